"""What type a document has."""

from __future__ import annotations

import gzip
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_ingest.errors import InvalidInput
from durable_ingest.sources.media_types import (
    HTML,
    OCTETS,
    PLAIN,
    READABLE,
    SUFFIXES,
    check_declared,
    parse_content_type,
    sniff,
    suffix_of,
)


@dataclass(frozen=True)
class Sniffed:
    name: str
    content: bytes
    expected: str


SNIFFED = [
    Sniffed("empty", b"", PLAIN),
    Sniffed("text", b"just text", PLAIN),
    Sniffed("latin-1", b"caf\xe9", PLAIN),
    Sniffed("nul", b"text\x00more", OCTETS),
    Sniffed("nul after 8 KiB", b"x" * 8192 + b"\x00", PLAIN),
    Sniffed("utf-16 with mark", "text".encode("utf-16"), PLAIN),
    Sniffed("utf-16 without mark", "text".encode("utf-16-le"), OCTETS),
    Sniffed("doctype", b"\n <!DOCTYPE  html><title>x</title>", HTML),
    Sniffed("html", b"<HTML lang=en>", HTML),
    Sniffed("marked html", b"\xef\xbb\xbf<html>", HTML),
    Sniffed("xhtml", b'<?xml version="1.0"?>\n<html xmlns="x">', HTML),
    Sniffed("comment first", b"<!-- made by hand --> <!-- twice -->\n<html>", HTML),
    Sniffed("mention of html", b"the <html> tag", PLAIN),
    Sniffed("htmlish", b"<htmlx>", PLAIN),
    Sniffed("pdf", b"%PDF-1.7\n", "application/pdf"),
    Sniffed("gzip", gzip.compress(b""), "application/gzip"),
    Sniffed("zip", b"PK\x03\x04rest", "application/zip"),
]


@pytest.mark.parametrize("case", SNIFFED, ids=lambda case: case.name)
def test_bytes_without_a_name_are_typed_by_how_they_begin(case: Sniffed) -> None:
    assert case.expected == sniff(case.content)


@pytest.mark.timeout(5)
def test_a_page_of_comments_is_typed_in_time() -> None:
    assert sniff(b"<!---->" * 1200) == PLAIN


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.md", ".md"),
        ("a.b.HTML", ".html"),
        ("README", ""),
        (".profile", ""),
        ("a.", "."),
        ("", ""),
    ],
)
def test_the_suffix_begins_at_the_last_dot(name: str, expected: str) -> None:
    assert expected == suffix_of(name)


def test_every_known_suffix_has_a_type_that_is_read() -> None:
    assert set(SUFFIXES.values()) == READABLE


@dataclass(frozen=True)
class Header:
    value: str | None
    expected: tuple[str | None, str | None]


HEADERS = [
    Header(None, (None, None)),
    Header("", (None, None)),
    Header("text/html", ("text/html", None)),
    Header("Text/HTML; Charset=UTF-8", ("text/html", "UTF-8")),
    Header('text/html;charset="iso-8859-1"', ("text/html", "iso-8859-1")),
    Header("text/html; charset='utf-8'", ("text/html", "utf-8")),
    Header("text/plain; format=flowed; charset=koi8-r", ("text/plain", "koi8-r")),
    Header("text/html; charset=", ("text/html", None)),
    Header("text/html, text/html; charset=utf-8", ("text/html", "utf-8")),
    Header("text/x-markdown", ("text/markdown", None)),
    Header("binary/octet-stream", (OCTETS, None)),
    Header("html", (None, None)),
    Header("; charset=utf-8", (None, "utf-8")),
    Header("text/ html", (None, None)),
]


@pytest.mark.parametrize("case", HEADERS, ids=lambda case: repr(case.value))
def test_type_and_charset_are_read_from_the_header(case: Header) -> None:
    assert case.expected == parse_content_type(case.value)


@given(st.text(max_size=80))
def test_no_header_breaks_the_reader(value: str) -> None:
    media_type, _ = parse_content_type(value)
    assert media_type is None or media_type == media_type.lower().strip()


@pytest.mark.parametrize("declared", ["html", "text/", "text/html; charset=utf-8", "", "a b/c"])
def test_a_declared_type_must_be_a_bare_type(declared: str) -> None:
    with pytest.raises(InvalidInput, match="not of the form type/subtype"):
        check_declared(declared)


def test_a_declared_type_is_put_in_lower_case() -> None:
    assert (check_declared("Text/HTML"), check_declared(None)) == ("text/html", None)
