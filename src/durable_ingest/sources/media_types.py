"""What type a document has: by its suffix, by its first bytes, by its HTTP header."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from durable_ingest.errors import InvalidInput

__all__ = [
    "HTML",
    "MARKDOWN",
    "OCTETS",
    "PLAIN",
    "READABLE",
    "SUFFIXES",
    "XHTML",
    "check_declared",
    "parse_content_type",
    "sniff",
    "suffix_of",
]

HTML = "text/html"
XHTML = "application/xhtml+xml"
MARKDOWN = "text/markdown"
PLAIN = "text/plain"
OCTETS = "application/octet-stream"

READABLE = frozenset({HTML, XHTML, MARKDOWN, PLAIN})
"""Types that the converters read."""

SUFFIXES: Mapping[str, str] = MappingProxyType(
    {
        ".html": HTML,
        ".htm": HTML,
        ".xhtml": XHTML,
        ".xht": XHTML,
        ".md": MARKDOWN,
        ".markdown": MARKDOWN,
        ".mdown": MARKDOWN,
        ".mkd": MARKDOWN,
        ".txt": PLAIN,
        ".text": PLAIN,
        ".rst": PLAIN,
        ".adoc": PLAIN,
        ".asciidoc": PLAIN,
    }
)
"""Suffixes of documents that a folder walk takes. Logs and source code are no documents unless
the option `suffixes` says so."""

SNIFFED = 8 * 1024
"""Bytes at the beginning that decide what a file without a known suffix is."""

_ALIASES = {
    "text/x-markdown": MARKDOWN,
    "text/x-web-markdown": MARKDOWN,
    "binary/octet-stream": OCTETS,
    "application/x-octet-stream": OCTETS,
}
_MAGIC = (
    (b"%PDF-", "application/pdf"),
    (b"PK\x03\x04", "application/zip"),
    (b"\x1f\x8b\x08", "application/gzip"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
)
_UNICODE_MARKS = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff", b"\xef\xbb\xbf")
# Possessive, so that a page of comments costs no more than its length.
_HTML_START = re.compile(
    rb"\s*+(?:<\?xml[^>]*+>\s*+)?+(?><!--.*?-->\s*+)*+<(?:!doctype\s+html|html[\s>])",
    re.IGNORECASE | re.DOTALL,
)
_CHARSET = re.compile(r";\s*charset\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s;,]+))", re.IGNORECASE)
_TOKEN = r"[A-Za-z0-9!#$&^_.+-]+"  # noqa: S105 - the grammar's name, no secret
_TYPE = re.compile(rf"{_TOKEN}/{_TOKEN}")


def suffix_of(name: str) -> str:
    """The suffix with its dot, lower case; empty for names like `README` or `.profile`."""
    stem, dot, suffix = name.rpartition(".")
    return f".{suffix.lower()}" if dot and stem else ""


def sniff(content: bytes) -> str:
    """The type of bytes whose name says nothing; only the first 8 KiB are looked at.

    A NUL byte makes it `application/octet-stream`, unless a byte order mark announces UTF-16 or
    UTF-32; anything else is HTML if it begins so, plain text if not.
    """
    head = content[:SNIFFED]
    for magic, media_type in _MAGIC:
        if head.startswith(magic):
            return media_type
    if b"\x00" in head and not head.startswith(_UNICODE_MARKS):
        return OCTETS
    start = head.removeprefix(b"\xef\xbb\xbf")
    return HTML if _HTML_START.match(start) else PLAIN


def parse_content_type(value: str | None) -> tuple[str | None, str | None]:
    """Media type and charset of a `Content-Type` header, lower case; None for what is absent."""
    if value is None:
        return None, None
    # Two headers arrive joined by a comma; the first one counts.
    media_type = re.split(r"[;,]", value, maxsplit=1)[0].strip().lower()
    found = _CHARSET.search(value)
    charset = next((group for group in found.groups() if group), None) if found else None
    if not _TYPE.fullmatch(media_type):
        return None, charset
    return _ALIASES.get(media_type, media_type), charset


def check_declared(media_type: str | None) -> str | None:
    """A media type that a user declared, lower case.

    Raises:
        InvalidInput: It is not of the form type/subtype.
    """
    if media_type is None:
        return None
    text = media_type.strip().lower()
    if not _TYPE.fullmatch(text):
        raise InvalidInput(
            f"media type {media_type!r} is not of the form type/subtype, such as 'text/html'"
        )
    return _ALIASES.get(text, text)
