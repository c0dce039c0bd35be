"""Reads a response body: never more than the limit, counted after decompression.

Only gzip is asked for and decoded here, a piece at a time, so that a small body which unpacks to
gigabytes costs no more memory than the limit.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

from durable_ingest.errors import DocumentTooLarge, SourceUnavailable, SourceUnreadable

__all__ = ["ACCEPT_ENCODING", "read_body"]

ACCEPT_ENCODING = "gzip"

_PIECE = 64 * 1024
_GZIP_MAGIC = b"\x1f\x8b"


def read_body(
    chunks: Iterable[bytes],
    *,
    encoding: str,
    length: str | None,
    max_bytes: int,
    url: str,
) -> bytes:
    """Read and decode a whole body.

    Args:
        chunks: The body as it comes over the wire.
        encoding: Value of `Content-Encoding`, empty for none.
        length: Value of `Content-Length`, None when the server did not say.
        max_bytes: Most bytes of the decoded body.
        url: For messages.

    Raises:
        DocumentTooLarge: The decoded body is over `max_bytes`; no more was read than shows it.
        SourceUnreadable: An encoding that was not asked for, or damaged data.
        SourceUnavailable: The compressed data end too early.
    """
    codings = [part.strip().lower() for part in encoding.split(",") if part.strip()]
    codings = [coding for coding in codings if coding != "identity"]
    if not codings:
        if length is not None and length.isdecimal() and _over(length, max_bytes):
            raise DocumentTooLarge(
                f"{url} has {length} bytes, over the limit of {max_bytes}: "
                "raise max_document_bytes to take it"
            )
        pieces: Iterable[bytes] = chunks
    elif codings in (["gzip"], ["x-gzip"]):
        pieces = _inflate(chunks, url)
    else:
        raise SourceUnreadable(
            f"{url} came with Content-Encoding {encoding!r}, though only "
            f"{ACCEPT_ENCODING!r} was asked for"
        )
    body = bytearray()
    for piece in pieces:
        body += piece
        if len(body) > max_bytes:
            raise DocumentTooLarge(
                f"{url} has more than {max_bytes} bytes, the limit; reading stopped there: "
                "raise max_document_bytes to take it"
            )
    return bytes(body)


def _over(length: str, max_bytes: int) -> bool:
    digits = length.lstrip("0")
    # Compared by digits first: Python refuses to make an int of a very long number.
    return len(digits) > len(str(max_bytes)) or (bool(digits) and int(digits) > max_bytes)


def _inflate(chunks: Iterable[bytes], url: str) -> Iterator[bytes]:
    decoder = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    started = False
    try:
        for chunk in chunks:
            data = chunk
            while data:
                if decoder.eof:
                    if not data.startswith(_GZIP_MAGIC[: len(data)]):
                        return  # padding after the last member
                    decoder = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
                started = True
                piece = decoder.decompress(data, _PIECE)
                yield piece
                while not decoder.eof and len(piece) == _PIECE and not decoder.unconsumed_tail:
                    # All input is taken, and there may be output left inside the decoder.
                    piece = decoder.decompress(b"", _PIECE)
                    yield piece
                data = decoder.unused_data if decoder.eof else decoder.unconsumed_tail
    except zlib.error as error:
        raise SourceUnreadable(f"{url} came with damaged gzip data: {error}") from error
    if started and not decoder.eof:
        raise SourceUnavailable(f"{url} ended in the middle of its gzip data")
