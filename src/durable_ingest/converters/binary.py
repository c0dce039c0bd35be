"""Telling text from files that only claim to be text."""

from __future__ import annotations

from durable_ingest.errors import ConversionFailed

__all__ = ["refuse_binary"]

_SAMPLE = 64 * 1024
# Bytes that text has no use for; tab, newlines, form feed, backspace (man pages), escape
# (terminal logs, ISO-2022) and substitute (end of file in DOS) do occur.
_CONTROLS = bytes(code for code in (*range(0x20), 0x7F) if code not in b"\t\n\r\f\b\x1b\x1a")
# Random bytes hold 9 % of these, text none; NUL in text is damage of a few bytes.
_MOST_IN_UTF8 = 0.3
_MOST_ELSEWHERE = 0.05
# Only what prose cannot begin with; the share of control characters finds the rest.
_SIGNATURES = (
    (b"%PDF-", "a PDF file"),
    (b"PK\x03\x04", "a ZIP archive or office document"),
    (b"\x1f\x8b\x08", "a gzip archive"),
    (b"\xfd7zXZ\x00", "an xz archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"\x89PNG\r\n\x1a\n", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"\x7fELF", "an ELF program"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old office document"),
    (b"SQLite format 3\x00", "an SQLite database"),
    (b"\x00asm", "a WebAssembly module"),
)


def refuse_binary(content: bytes, *, charset: str, uri: str, media_type: str) -> None:
    """Raise if the bytes are no text.

    Args:
        content: The bytes.
        charset: Encoding found for them; UTF-16 and UTF-32 are full of NUL bytes by nature.
        uri: Names the document in the message.
        media_type: What the bytes were said to be.

    Raises:
        ConversionFailed: A known signature, or too many control characters.
    """
    where = uri or "the document"
    for signature, name in _SIGNATURES:
        if content.startswith(signature):
            raise ConversionFailed(
                f"{where} looks binary: it begins like {name}, not like {media_type!r}; "
                "declare its real media type or leave it out"
            )
    if charset.startswith(("utf-16", "utf-32")):
        return
    sample = content[:_SAMPLE]
    found = len(sample) - len(sample.translate(None, _CONTROLS))
    most = _MOST_IN_UTF8 if charset == "utf-8" else _MOST_ELSEWHERE
    if found > most * len(sample):
        raise ConversionFailed(
            f"{where} looks binary: {found} of its first {len(sample)} bytes are control "
            f"characters, which {media_type!r} does not hold; declare its real media type or "
            "leave it out"
        )
