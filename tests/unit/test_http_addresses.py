"""Which addresses count as public, in every spelling."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_ingest.errors import SourceUnreadable
from durable_ingest.http.addresses import is_metadata, is_public, literal, resolve

PUBLIC = [
    "93.184.216.34",
    "8.8.8.8",
    "1.1.1.1",
    "2606:4700:4700::1111",
    "2a00:1450:4001:80b::200e",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
]
PRIVATE = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.1.1",
    "169.254.169.254",
    "168.63.129.16",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.2.1",
    "192.168.1.1",
    "198.18.0.1",
    "203.0.113.7",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "2002:808:808::1",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "2001:0:7f00:1::",
    "2001:db8::1",
    "3fff::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%1",
    "fec0::1",
    "ff02::1",
    "5f00::1",
]


@pytest.mark.parametrize("text", PUBLIC)
def test_an_address_that_everyone_reaches_is_public(text: str) -> None:
    assert is_public(ip_address(text)) is True


@pytest.mark.parametrize("text", PRIVATE)
def test_an_address_of_a_special_range_is_not_public(text: str) -> None:
    assert is_public(ip_address(text)) is False


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_inside_an_ipv6_one_is_judged_as_itself(address: IPv4Address) -> None:
    mapped = IPv6Address(f"::ffff:{address}")
    translated = IPv6Address(int(IPv6Address("64:ff9b::")) + int(address))
    expected = is_public(address)
    assert (expected, expected) == (is_public(mapped), is_public(translated))


@given(st.ip_addresses())
def test_an_address_where_credentials_are_handed_out_is_never_public(
    address: IPv4Address | IPv6Address,
) -> None:
    assert not (is_metadata(address) and is_public(address))


@pytest.mark.parametrize(
    "text",
    ["169.254.169.254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "fd00:ec2::254%1"],
)
def test_credential_addresses_are_known_in_every_wrapping(text: str) -> None:
    assert is_metadata(ip_address(text)) is True


@dataclass(frozen=True)
class Spelling:
    host: str
    address: str | None


SPELLINGS = [
    Spelling("127.0.0.1", "127.0.0.1"),
    Spelling("2130706433", "127.0.0.1"),
    Spelling("0x7f000001", "127.0.0.1"),
    Spelling("0x7f.1", "127.0.0.1"),
    Spelling("0177.0.0.1", "127.0.0.1"),
    Spelling("127.1", "127.0.0.1"),
    Spelling("0", "0.0.0.0"),
    Spelling("::1", "::1"),
    Spelling("[::1]", "::1"),
    Spelling("localhost", None),
    Spelling("example.org", None),
    Spelling("1.2.3.4.5", None),
]


@pytest.mark.parametrize("case", SPELLINGS, ids=lambda case: case.host)
def test_numbers_that_resolvers_take_for_addresses_are_read_as_such(case: Spelling) -> None:
    found = literal(case.host)
    assert case.address == (None if found is None else str(found))


def test_loopback_resolves_to_addresses_without_repetition() -> None:
    found = resolve("localhost", 80)
    assert found == list(dict.fromkeys(found))
    assert all(ip_address(address).is_loopback for address in found)


def test_a_host_that_does_not_exist_is_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(SourceUnreadable, match=r"no host named 'nowhere\.example'"):
        resolve("nowhere.example", 80)


def test_a_name_server_that_does_not_answer_is_not_taken_for_a_missing_host(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(OSError, match="Temporary failure"):
        resolve("example.org", 80)


def test_a_label_that_no_name_server_could_hold_is_terminal() -> None:
    with pytest.raises(SourceUnreadable, match="is not a host name"):
        resolve("a" * 64 + ".example", 80)
