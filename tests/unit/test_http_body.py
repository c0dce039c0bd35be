"""Bodies are decoded a piece at a time and cut at the limit."""

from __future__ import annotations

import gzip
import itertools
import tracemalloc
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_ingest.errors import (
    DocumentTooLarge,
    DurableIngestError,
    SourceUnavailable,
    SourceUnreadable,
)
from durable_ingest.http.body import read_body

URL = "https://site.example/page"
MIB = 1024 * 1024


def read(
    chunks: Iterable[bytes], *, encoding: str = "", length: str | None = None, limit: int = MIB
) -> bytes:
    return read_body(chunks, encoding=encoding, length=length, max_bytes=limit, url=URL)


def cut(content: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


@given(
    members=st.lists(st.binary(max_size=300_000), min_size=1, max_size=3),
    size=st.integers(min_value=1, max_value=70_000),
)
def test_gzip_comes_out_as_it_went_in_however_it_is_cut(members: list[bytes], size: int) -> None:
    packed = b"".join(gzip.compress(member) for member in members)
    size = max(size, len(packed) // 200)
    assert b"".join(members) == read(cut(packed, size), encoding="gzip")


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 131_072, 1_000_000])
def test_gzip_of_round_sizes_loses_no_byte(size: int) -> None:
    content = bytes(itertools.islice(itertools.cycle(range(251)), size))
    assert content == read([gzip.compress(content)], encoding="gzip")


def test_zeros_after_the_last_gzip_member_are_ignored() -> None:
    assert read([gzip.compress(b"text") + bytes(512)], encoding="x-gzip") == b"text"


def test_an_empty_body_may_claim_to_be_compressed() -> None:
    assert read([], encoding="gzip") == b""


def test_a_gzip_bomb_costs_no_more_memory_than_the_limit() -> None:
    packer = zlib.compressobj(9, wbits=31)
    block = bytes(MIB)
    bomb = b"".join([*(packer.compress(block) for _ in range(256)), packer.flush()])
    assert len(bomb) < MIB
    tracemalloc.start()
    try:
        with pytest.raises(DocumentTooLarge, match=f"more than {MIB} bytes"):
            read([bomb], encoding="gzip")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * MIB


def test_an_endless_body_is_read_no_further_than_shows_it() -> None:
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield b"x" * 1000

    with pytest.raises(DocumentTooLarge):
        read(endless(), limit=10_000)
    assert taken == 11


@pytest.mark.parametrize("length", ["1048577", "0001048577", "9" * 5000])
def test_a_declared_length_over_the_limit_is_refused_unread(length: str) -> None:
    unread = iter([b"text"])
    with pytest.raises(DocumentTooLarge, match="over the limit of 1048576"):
        read(unread, length=length)
    assert next(unread) == b"text"


@pytest.mark.parametrize("length", ["4", "0004", "0", "", "-1", "four", "٤"])
def test_other_declared_lengths_do_not_matter(length: str) -> None:
    assert read([b"text"], length=length) == b"text"


@dataclass(frozen=True)
class Broken:
    name: str
    encoding: str
    body: bytes
    error: type[DurableIngestError]


BROKEN = [
    Broken("no gzip", "gzip", b"plain text", SourceUnreadable),
    Broken("checksum", "gzip", gzip.compress(b"text")[:-8] + bytes(8), SourceUnreadable),
    Broken("cut short", "gzip", gzip.compress(b"text" * 1000)[:-9], SourceUnavailable),
    Broken("brotli", "br", b"", SourceUnreadable),
    Broken("twice", "gzip, gzip", b"", SourceUnreadable),
]


@pytest.mark.parametrize("case", BROKEN, ids=lambda case: case.name)
def test_damaged_or_unasked_encodings_are_errors(case: Broken) -> None:
    with pytest.raises(case.error, match=URL):
        read([case.body], encoding=case.encoding)


def test_identity_is_no_encoding() -> None:
    assert read([b"te", b"xt"], encoding="Identity") == b"text"
