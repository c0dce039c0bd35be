"""Markdown: kept as written, but for its metadata block."""

from __future__ import annotations

import re

from durable_ingest.converters.binary import refuse_binary
from durable_ingest.converters.charset import decode
from durable_ingest.converters.front_matter import split_front_matter
from durable_ingest.converters.versions import text_fingerprint
from durable_ingest.models import Conversion, Metadata

__all__ = ["MarkdownConverter"]

_TITLE_WITHIN = 64 * 1024
_ATX = re.compile(r" {0,3}#{1,6}(?:[ \t]+(.*))?$")
_ATX_CLOSING = re.compile(r"(?:^|[ \t])#+[ \t]*$")
_SETEXT = re.compile(r" {0,3}(?:=+|-+)[ \t]*$")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_NO_PARAGRAPH = re.compile(r" {4}|\t| {0,3}(?:[>|#]|[-*+] |[0-9]{1,9}[.)] |<)")
_LONGEST_TITLE = 500
_LANGUAGES = ("lang", "language")


class MarkdownConverter:
    """Reads Markdown; fields of a `---` block become metadata and leave the text."""

    media_types = frozenset({"text/markdown", "text/x-markdown"})

    @property
    def fingerprint(self) -> str:
        """Names the rules' version and the charset detector's."""
        return text_fingerprint("markdown/1")

    def convert(
        self, content: bytes, *, media_type: str, charset: str | None = None, uri: str = ""
    ) -> Conversion:
        """Decode one document and take its title and metadata.

        The title is the block's `title`, or else the first heading within 64 Ki characters.

        Args:
            content: The bytes.
            media_type: For messages.
            charset: Charset that came with the bytes, unverified.
            uri: Names the document in messages.

        Raises:
            ConversionFailed: The bytes are no text.
        """
        read = decode(content, declared=charset)
        refuse_binary(content, charset=read.charset, uri=uri, media_type=media_type)
        notes = list(read.notes)
        front = split_front_matter(read.text)
        metadata: Metadata = dict(front.metadata)
        text = read.text
        if front.end:
            text = text[front.end :]
            notes.append(f"front matter became metadata: {len(metadata)} fields")
        if front.skipped:
            notes.append(f"{front.skipped} front matter fields are no scalars and were left out")
        title = _as_text(metadata.pop("title", None)) or first_heading(text)
        language = next(
            (found for key in _LANGUAGES if (found := _as_text(metadata.get(key)))), None
        )
        return Conversion(
            text=text,
            media_type="text/markdown",
            title=title,
            language=language,
            charset=read.charset,
            charset_rule=read.rule,
            method="markdown",
            notes=notes,
            metadata=metadata,
        )


def first_heading(text: str) -> str | None:
    """The text of the first ATX or setext heading outside code, None without one."""
    fence = ""
    previous = ""
    for line in text[:_TITLE_WITHIN].split("\n"):
        if (marks := _FENCE.match(line)) is not None:
            if not fence:
                fence = marks[1]
            elif line.strip().startswith(fence) and not line.strip().strip(fence[0]):
                fence = ""
            previous = ""
            continue
        if fence:
            continue
        if (atx := _ATX.match(line)) is not None:
            title = _ATX_CLOSING.sub("", atx[1] or "").strip()
            if title:
                return title[:_LONGEST_TITLE]
        if previous and _SETEXT.match(line):
            return previous.strip()[:_LONGEST_TITLE]
        previous = "" if _NO_PARAGRAPH.match(line) else line.strip()
    return None


def _as_text(value: object) -> str | None:
    """A metadata value as a title: text that is not blank, or a number."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return str(value).strip()[:_LONGEST_TITLE] or None
