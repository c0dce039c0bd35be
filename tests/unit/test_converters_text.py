"""Plain text and Markdown, what is no text at all, and the choice of the converter."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest

from durable_ingest.conformance.converter import ConverterContract
from durable_ingest.converters import converter_for, converters_fingerprint, readable_types
from durable_ingest.converters.front_matter import split_front_matter
from durable_ingest.converters.html import HtmlConverter
from durable_ingest.converters.markdown import MarkdownConverter, first_heading
from durable_ingest.converters.plain import PlainConverter
from durable_ingest.errors import ConversionFailed, UnsupportedMediaType
from durable_ingest.models import Conversion, Metadata
from durable_ingest.ports import Converter

PAGE = """---
title: "Tides: a guide"
tags: [harbour, moon]
draft: false
weight: 3
height: 4.5
lang: en
authors:
  - Ada
  - Bo
nested:
  deep: 1
---

# Heading

Text.
"""


class TestPlainConverter(ConverterContract):
    samples = (b"One.\n\nTwo.\n", "Größe\r\n".encode(), "日本語の文".encode())

    def create(self) -> Converter:
        return PlainConverter()


class TestMarkdownConverter(ConverterContract):
    samples = (PAGE.encode(), b"Setext\n======\n\n```py\n# no heading\n```\n", b"---\n\nrule\n")

    def create(self) -> Converter:
        return MarkdownConverter()


def markdown(text: str) -> Conversion:
    return MarkdownConverter().convert(text.encode(), media_type="text/markdown")


def test_front_matter_becomes_metadata_and_leaves_the_text() -> None:
    assert Conversion(
        text="# Heading\n\nText.\n",
        media_type="text/markdown",
        title="Tides: a guide",
        language="en",
        charset="utf-8",
        charset_rule="utf-8",
        method="markdown",
        notes=[
            "front matter became metadata: 7 fields",
            "1 front matter fields are no scalars and were left out",
        ],
        metadata={
            "tags": ["harbour", "moon"],
            "draft": False,
            "weight": 3,
            "height": 4.5,
            "lang": "en",
            "authors": ["Ada", "Bo"],
        },
    ) == markdown(PAGE)


@dataclass(frozen=True)
class Block:
    name: str
    text: str
    metadata: Metadata = field(default_factory=dict)
    rest: str | None = None


BLOCKS = [
    Block(
        "quoted", "---\na: 'x: y'\nb: \"z # no\"\n---\nrest", {"a": "x: y", "b": "z # no"}, "rest"
    ),
    Block("comment", "---\n# c\na: b # d\n---\nrest", {"a": "b"}, "rest"),
    Block("dots end it", "---\na: b\n...\nrest", {"a": "b"}, "rest"),
    Block("folded", "---\na: >\n  one\n  two\n---\n", {"a": "one two"}, ""),
    Block("literal", "---\na: |\n  one\n  two\n---\n", {"a": "one\ntwo"}, ""),
    Block("quoted list", "---\na: ['x, y', \"z\"]\n---\n", {"a": ["x, y", "z"]}, ""),
    Block("list at the edge", "---\na:\n- x\n- 2\n---\n", {"a": ["x", 2]}, ""),
    Block("nothing", "---\na:\nb: null\nc: ~\nd: e\n---\n", {"d": "e"}, ""),
    Block("first of two", "---\na: 1\na: 2\n---\n", {"a": 1}, ""),
    Block(
        "anchors and objects",
        "---\na: &x 1\nb: {c: d}\ne: !!python/name:os\nf: g\n---\n",
        {"f": "g"},
        "",
    ),
    Block("huge number", f"---\na: {'9' * 5000}\n---\n", {"a": "9" * 2000}, ""),
    Block("a rule", "---\n\nJust prose.\n\n---\nmore"),
    Block("never closed", "---\na: b\n"),
    Block("not at the start", "\n---\na: b\n---\n"),
    Block("prose between", "---\na: b\nProse here\n---\n"),
    Block("empty", "---\n---\nrest"),
    Block("url line", "---\nhttp://host/\n---\n"),
]


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.name)
def test_front_matter_is_read_leniently_or_left_in_the_text(block: Block) -> None:
    found = split_front_matter(block.text)
    rest = block.text if block.rest is None else block.rest
    assert (block.metadata, rest) == (found.metadata, block.text[found.end :])


HEADINGS = [
    ("# One", "One"),
    ("text\n\n## Two ##\n", "Two"),
    ("Three\n=====\n", "Three"),
    ("Four\n---\n", "Four"),
    ("```\n# no\n```\n# Five", "Five"),
    ("~~~~\n# no\n~~~\n# no\n~~~~\n# Six", "Six"),
    ("#hashtag\n\n# C# sharp", "C# sharp"),
    ("- item\n---\n# Seven", "Seven"),
    ("#\n# Eight", "Eight"),
    ("    # code\n", None),
    ("no heading\n", None),
    ("", None),
    ("x\n" * 70_000 + "# too late", None),
]


@pytest.mark.parametrize(
    ("text", "title"), HEADINGS, ids=[title or text[:12] for text, title in HEADINGS]
)
def test_title_is_the_first_heading_outside_code(text: str, title: str | None) -> None:
    assert title == first_heading(text)


def test_plain_text_has_no_title_and_keeps_every_character_but_newlines() -> None:
    conversion = PlainConverter().convert(b"# no heading\r\n\tkept  \r", media_type="text/plain")
    assert (None, "# no heading\n\tkept  \n") == (conversion.title, conversion.text)
    assert ("text/plain", "plain") == (conversion.media_type, conversion.method)


BINARY = {
    "pdf": b"%PDF-1.7\n1 0 obj",
    "zip": b"PK\x03\x04" + b"content" * 20,
    "png": b"\x89PNG\r\n\x1a\n" + b"a" * 100,
    "executable": b"\x7fELF\x02\x01\x01" + bytes(60),
    "zeros": bytes(1000),
    "random": random.Random(1).randbytes(4000),
    "records": b"name\x00\x01\x02\x03" * 50,
    "doubles": b"\x00\x00\x00\x00\x00\x00\xf0?" * 100,
}


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("media_type", ["text/plain", "text/markdown", "text/html"])
def test_binary_bytes_under_a_text_type_are_refused(name: str, media_type: str) -> None:
    with pytest.raises(ConversionFailed, match=r"file:///x looks binary: .* declare its real"):
        converter_for(media_type).convert(BINARY[name], media_type=media_type, uri="file:///x")


TEXTS = {
    "terminal log": b"\x1b[31mred\x1b[0m and \x08 back\n" * 10,
    "a few NULs": b"a line with one\x00NUL in it\n" * 20,
    "form feeds": b"page\n\x0cpage\n" * 20,
    "latin-1": "Größe über alles Maß hinaus\n".encode("latin-1") * 20,
    "utf-16": "wide\n".encode("utf-16") * 20,
    "prose on zip files": b"PK is what ZIP archives begin with.",
}


@pytest.mark.parametrize("name", TEXTS)
def test_unusual_text_is_still_text(name: str) -> None:
    assert PlainConverter().convert(TEXTS[name], media_type="text/plain").text.strip()


CHOICES = [
    ("text/html", HtmlConverter),
    ("application/xhtml+xml", HtmlConverter),
    ("Text/Markdown; charset=utf-8", MarkdownConverter),
    ("text/plain", PlainConverter),
    ("text/x-python", PlainConverter),
]


@pytest.mark.parametrize(("media_type", "kind"), CHOICES)
def test_converter_is_chosen_by_media_type(media_type: str, kind: type) -> None:
    assert isinstance(converter_for(media_type), kind)
    assert converter_for(media_type) is converter_for(media_type)


@pytest.mark.parametrize("media_type", ["application/pdf", "image/png", "", "text"])
def test_unread_media_types_are_refused_with_what_is_read(media_type: str) -> None:
    with pytest.raises(UnsupportedMediaType) as raised:
        converter_for(media_type)
    assert repr(media_type) in str(raised.value)
    for readable in readable_types():
        assert readable in str(raised.value)


def test_fingerprint_covers_all_converters_or_those_asked_for() -> None:
    everything = converters_fingerprint()
    assert everything == converters_fingerprint(readable_types())
    assert everything != converters_fingerprint(["text/plain"])
    assert converters_fingerprint(["text/plain"]) == converters_fingerprint(["text/csv"])


def test_ten_megabytes_of_lines_come_out_whole() -> None:
    content = b"A line of words that goes on for a while.\n" * 250_000
    assert PlainConverter().convert(content, media_type="text/plain").text == content.decode()
    assert markdown(content.decode()).title is None
