"""Which network addresses a worker may reach.

The registries are IANA's special-purpose address registries for IPv4 and IPv6; the standard
library knows most of them, and what it lacks or learnt only lately is listed here.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from durable_ingest.errors import SourceUnreadable

__all__ = ["Address", "is_metadata", "is_public", "literal", "resolve"]

Address = IPv4Address | IPv6Address

_GLOBAL_UNICAST = IPv6Network("2000::/3")
_DOCUMENTATION = IPv6Network("3fff::/20")  # RFC 9637, unknown to older standard libraries
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address
_COMPATIBLE = IPv6Network("::/96")  # RFC 4291 2.5.5.1, deprecated but still routed by some
_SHARED = IPv4Network("100.64.0.0/10")  # RFC 6598

# Where clouds hand out credentials. Some look public, so they are named one by one.
_METADATA = frozenset(
    {
        IPv4Address("169.254.169.254"),  # most clouds
        IPv4Address("169.254.170.2"),  # container credentials
        IPv4Address("169.254.170.23"),
        IPv4Address("100.100.100.200"),
        IPv4Address("168.63.129.16"),  # a public range, answered inside the cloud only
        IPv4Address("192.0.0.192"),
        IPv6Address("fd00:ec2::254"),
        IPv6Address("fd00:ec2::23"),
        IPv6Address("fd20:ce::254"),
    }
)

_NO_SUCH_HOST = frozenset(
    code
    for code in (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", None))
    if isinstance(code, int)
)


def literal(host: str) -> Address | None:
    """The address that `host` spells, None if it is a name.

    Spellings that resolvers take for numbers count too: `2130706433`, `0x7f.1`, `0177.0.0.1`.
    """
    try:
        return ip_address(host.strip("[]"))
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(host))
    except (OSError, ValueError):
        return None


def is_public(address: Address) -> bool:
    """Whether anyone on the internet reaches the same machine under this address.

    An IPv6 address that carries an IPv4 one is judged by that one; the old tunnels, 6to4 and
    Teredo, do not count, since no site is reached by them alone.
    """
    if isinstance(address, IPv4Address):
        return (
            address.is_global
            and not address.is_multicast
            and not address.is_reserved
            and address not in _SHARED
            and address not in _METADATA
        )
    if address.ipv4_mapped is not None:
        return is_public(address.ipv4_mapped)
    if address in _NAT64:
        return is_public(_last_32_bits(address))
    return (
        address in _GLOBAL_UNICAST
        and address.is_global
        and address not in _DOCUMENTATION
        and address.sixtofour is None
        and address.teredo is None
    )


def is_metadata(address: Address) -> bool:
    """Whether a cloud hands out credentials there; never allowed, whatever the settings say."""
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        address = IPv6Address(int(address))
    return address in _METADATA or any(inner in _METADATA for inner in _embedded(address))


def _embedded(address: Address) -> Iterator[IPv4Address]:
    if isinstance(address, IPv4Address):
        return
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    if address in _NAT64 or address in _COMPATIBLE:
        yield _last_32_bits(address)


def _last_32_bits(address: IPv6Address) -> IPv4Address:
    return IPv4Address(int(address) & 0xFFFF_FFFF)


def resolve(host: str, port: int) -> list[str]:
    """All addresses of a host, in the system's order of preference.

    Raises:
        SourceUnreadable: The name does not exist. A dead name server is another error (below),
            so an outage is not taken for a missing host.
        OSError: The name could not be looked up just now.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno in _NO_SUCH_HOST:
            raise SourceUnreadable(f"there is no host named {host!r}: check the address") from error
        raise
    except UnicodeError as error:
        raise SourceUnreadable(f"{host!r} is not a host name: {error}") from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))
