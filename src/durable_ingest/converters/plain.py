"""Plain text, and every other `text/*` that no converter of its own reads."""

from __future__ import annotations

from durable_ingest.converters.binary import refuse_binary
from durable_ingest.converters.charset import decode
from durable_ingest.converters.versions import text_fingerprint
from durable_ingest.models import Conversion

__all__ = ["PlainConverter"]


class PlainConverter:
    """Reads text as it stands; only encoding and newlines change."""

    media_types = frozenset({"text/plain"})

    @property
    def fingerprint(self) -> str:
        """Names the rules' version and the charset detector's."""
        return text_fingerprint("plain/1")

    def convert(
        self, content: bytes, *, media_type: str, charset: str | None = None, uri: str = ""
    ) -> Conversion:
        """Decode one document.

        Args:
            content: The bytes.
            media_type: `text/plain` or another text type, for messages.
            charset: Charset that came with the bytes, unverified.
            uri: Names the document in messages.

        Returns:
            The text with LF newlines, no title.

        Raises:
            ConversionFailed: The bytes are no text.
        """
        read = decode(content, declared=charset)
        refuse_binary(content, charset=read.charset, uri=uri, media_type=media_type)
        return Conversion(
            text=read.text,
            media_type="text/plain",
            charset=read.charset,
            charset_rule=read.rule,
            method="plain",
            notes=list(read.notes),
        )
