"""Bytes become text: which encoding is believed, and what is replaced."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_ingest.converters.charset import Decoded, decode, meta_charset
from durable_ingest.converters.labels import codec_of, name_of

RUSSIAN = "Рабочий процесс продолжается там, где остановился. " * 4
POLISH = (
    "Przepływ pracy jest wznawiany od miejsca, w którym się zatrzymał. Każdy dokument ma własną "
    "tożsamość, więc ta sama praca ma tę samą nazwę. Źródła są odczytywane raz. "
)
JAPANESE = "ワークフローは停止した場所から再開します。" * 8
GERMAN = "Größe und Gewicht ändern sich über Nacht. " * 4


@dataclass(frozen=True)
class Case:
    name: str
    content: bytes
    text: str
    charset: str
    rule: str
    declared: str | None = None
    html: bool = False


CASES = [
    Case("empty", b"", "", "utf-8", "utf-8"),
    Case("ascii", b"plain", "plain", "utf-8", "utf-8"),
    Case("utf-8", GERMAN.encode(), GERMAN, "utf-8", "utf-8"),
    Case("utf-8 with mark", b"\xef\xbb\xbfab", "ab", "utf-8", "bom"),
    Case("utf-16 with mark", GERMAN.encode("utf-16"), GERMAN, "utf-16le", "bom"),
    Case("big-endian mark", b"\xfe\xff\x00a\x00b", "ab", "utf-16be", "bom"),
    Case("utf-32 with mark", "añb".encode("utf-32"), "añb", "utf-32le", "bom"),
    Case("utf-16 that begins with NUL", b"\xff\xfe\x00\x00a\x00", "�a", "utf-16le", "bom"),
    Case("utf-16le without mark", GERMAN.encode("utf-16-le"), GERMAN, "utf-16le", "detected"),
    Case("utf-16be without mark", GERMAN.encode("utf-16-be"), GERMAN, "utf-16be", "detected"),
    Case("utf-32le without mark", GERMAN.encode("utf-32-le"), GERMAN, "utf-32le", "detected"),
    Case("utf-32be without mark", GERMAN.encode("utf-32-be"), GERMAN, "utf-32be", "detected"),
    Case("declared", RUSSIAN.encode("koi8-r"), RUSSIAN, "koi8-r", "declared", declared="KOI8-R"),
    Case("declared label of the web", b"\x93a\x94", "“a”", "windows-1252", "declared", "ascii"),
    Case(
        "declared multi-byte", JAPANESE.encode("cp932"), JAPANESE, "shift_jis", "declared", "sjis"
    ),
    Case("mark beats declaration", b"\xef\xbb\xbf\xc3\xa9", "é", "utf-8", "bom", "latin1"),
    Case("declared latin-1, is utf-8", GERMAN.encode(), GERMAN, "utf-8", "utf-8", "latin1"),
    Case("declared utf-8, is not", b"caf\xe9", "café", "windows-1252", "fallback", "utf-8"),
    Case("declared nonsense", b"abc", "abc", "utf-8", "utf-8", "no-such-charset"),
    Case(
        "meta",
        b'<meta charset="windows-1251"><p>' + RUSSIAN.encode("cp1251"),
        '<meta charset="windows-1251"><p>' + RUSSIAN,
        "windows-1251",
        "meta",
        html=True,
    ),
    Case(
        "declared beats meta",
        b"<meta charset=koi8-r>" + RUSSIAN.encode("cp1251"),
        "<meta charset=koi8-r>" + RUSSIAN,
        "windows-1251",
        "declared",
        declared="windows-1251",
        html=True,
    ),
    Case("windows-1251 detected", RUSSIAN.encode("cp1251"), RUSSIAN, "windows-1251", "detected"),
    Case("shift_jis detected", JAPANESE.encode("cp932"), JAPANESE, "shift_jis", "detected"),
    Case("windows-1250 detected", POLISH.encode("cp1250"), POLISH, "windows-1250", "detected"),
    Case("iso-8859-2 detected", POLISH.encode("iso8859-2"), POLISH, "iso-8859-2", "detected"),
    Case("latin-1 detected", GERMAN.encode("latin1"), GERMAN, "windows-1252", "detected"),
    Case("few high bytes", b"na\xefve caf\xe9", "naïve café", "windows-1252", "fallback"),
    Case("no windows-1252", b"a\x81b and more", "a�b and more", "windows-1252", "fallback"),
    Case("damaged utf-8", GERMAN.encode() + b"\xff", GERMAN + "�", "utf-8", "utf-8"),
    Case("surrogate in utf-8", b"a\xed\xa0\x80b", "a�b", "utf-8", "utf-8"),
    Case("NUL", b"a\x00bcdefghij", "a�bcdefghij", "utf-8", "utf-8"),
    Case("newlines", b"a\r\nb\rc\nd\r\n", "a\nb\nc\nd\n", "utf-8", "utf-8"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_charset_is_found_in_the_documented_order(case: Case) -> None:
    found = decode(case.content, declared=case.declared, html=case.html)
    assert (case.text, case.charset, case.rule) == (found.text, found.charset, found.rule)


def test_meta_tags_of_plain_text_are_text() -> None:
    content = b'<meta charset="koi8-r"> is how a page says it: \xe9'
    assert decode(content).charset == "windows-1252"


NOTES = [
    (b"caf\xe9", "utf-8", ("declared charset 'utf-8' does not fit the bytes",)),
    (
        "é".encode(),
        "latin1",
        ("declared charset 'latin1' was passed over: the bytes are valid utf-8",),
    ),
    (b"a", "klingon", ("declared charset 'klingon' is not known",)),
    (b"a\x00bcd\x00efgh", None, ("2 NUL characters were replaced by U+FFFD",)),
    (b"a\xed\xb0\x80", None, ("1 lone surrogates were replaced by U+FFFD",)),
    (
        GERMAN.encode() + b"\xff",
        None,
        ("1 byte sequences are no valid utf-8 and were replaced",),
    ),
    (b"plain", "utf-8", ()),
]


@pytest.mark.parametrize(("content", "declared", "notes"), NOTES)
def test_what_was_overruled_or_replaced_is_noted(
    content: bytes, declared: str | None, notes: tuple[str, ...]
) -> None:
    assert notes == decode(content, declared=declared).notes


META = [
    (b'<meta charset="utf-8">', "utf-8"),
    (b"<META CHARSET=Shift_JIS>", "Shift_JIS"),
    (b'<meta http-equiv="Content-Type" content="text/html; charset=koi8-r">', "koi8-r"),
    (b'<?xml version="1.0" encoding="iso-8859-2"?>', "iso-8859-2"),
    (b'<!-- <meta charset="big5"> --><meta charset="utf-8">', "utf-8"),
    (b"<p>charset=utf-8", None),
    (b" " * 2000 + b"<meta charset=utf-8>", None),
]


@pytest.mark.parametrize(("page", "label"), META)
def test_meta_charset_is_read_from_the_first_kilobyte(page: bytes, label: str | None) -> None:
    assert label == meta_charset(page)


def test_a_utf_16_declaration_that_can_be_read_as_ascii_means_utf_8() -> None:
    page = b"<meta charset=utf-16><p>\xc3\xa9"
    assert decode(page, html=True) == Decoded(page.decode(), "utf-8", "meta")


def test_every_canonical_name_has_a_codec_and_knows_itself() -> None:
    for label in ("latin1", "UTF8", "gb2312", "ks_c_5601-1987", "x-sjis", "mac_roman", "cp1251"):
        name = name_of(label)
        assert name is not None
        assert name == name_of(name)
        b"abc".decode(codec_of(name))


@pytest.mark.parametrize("label", ["utf-7", "base64", "rot13", "idna", "unicode_escape", "", "\0"])
def test_encodings_that_are_no_charset_are_not_read(label: str) -> None:
    assert name_of(label) is None


def test_detection_is_optional(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "charset_normalizer", None)
    found = decode(RUSSIAN.encode("cp1251"))
    assert ("windows-1252", "fallback") == (found.charset, found.rule)


@given(st.binary(max_size=300), st.sampled_from([None, "utf-16", "gbk", "utf-8", "hz", "latin1"]))
def test_any_bytes_decode_to_valid_unicode(content: bytes, declared: str | None) -> None:
    found = decode(content, declared=declared, html=True)
    found.text.encode()
    assert "\0" not in found.text
    assert "\r" not in found.text


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=200))
def test_valid_utf_8_comes_back_as_it_is(text: str) -> None:
    expected = text.removeprefix("\ufeff")
    assert decode(b"abc " + text.encode()).text == "abc " + text
    assert decode(text.encode(), declared="utf-8").text == expected
