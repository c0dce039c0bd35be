"""Documents on the web: one address, one document; links are not followed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from urllib.parse import urlsplit

from durable_ingest.errors import InvalidInput, UnsupportedMediaType
from durable_ingest.http import Head, HttpClient, check_url
from durable_ingest.ids import canonical_uri
from durable_ingest.models import (
    DocumentRef,
    DocumentState,
    ErrorRow,
    PlannedDocument,
    SourceSpec,
)
from durable_ingest.ports import Fetched, Unchanged
from durable_ingest.settings import WorkerSettings
from durable_ingest.sources.media_types import (
    OCTETS,
    READABLE,
    SUFFIXES,
    check_declared,
    parse_content_type,
    suffix_of,
)

__all__ = ["WebSource"]

_ACCEPT = "text/html, application/xhtml+xml, text/markdown, text/plain;q=0.9, */*;q=0.1"
_NOT_MODIFIED = 304


class WebSource:
    """Reads single web pages; several threads may fetch at once.

    Args:
        settings: Limits, and whether private addresses may be reached.
        client: Used instead of one made from the settings.
    """

    def __init__(self, settings: WorkerSettings, *, client: HttpClient | None = None) -> None:
        self._allow_private = settings.allow_private_addresses
        self._client = HttpClient(settings) if client is None else client

    def discover(self, spec: SourceSpec) -> Iterator[DocumentRef | ErrorRow]:
        """Yield the one document; nothing is sent yet.

        Raises:
            InvalidInput: It is no web address, an option was given, or the media type is wrong.
            SourceRefused: Another scheme, credentials in the address, or a literal address that
                is not allowed.
        """
        if spec.options:
            raise InvalidInput(
                f"unknown option {next(iter(spec.options))!r} of a web source; there are none"
            )
        check_url(spec.uri, allow_private=self._allow_private)
        yield DocumentRef(
            uri=canonical_uri(spec.uri),
            kind=spec.kind,
            media_type=check_declared(spec.media_type),
        )

    def fetch(self, planned: PlannedDocument, *, max_bytes: int) -> Fetched | Unchanged:
        """Read the page, unless the server says that it is as the index knows it.

        Raises:
            UnsupportedMediaType: The server sent a type that no converter reads; the body was
                not read.
            TerminalError: As `HttpClient.get` says.
            SourceUnavailable: As `HttpClient.get` says.
        """
        ref = planned.ref
        scanned_ns = time.time_ns()
        response = self._client.get(
            ref.uri,
            max_bytes=max_bytes,
            headers={"Accept": _ACCEPT, **_conditions(planned.known)},
            inspect=lambda head: _check_type(head, ref.media_type),
        )
        etag = response.headers.get("ETag")
        last_modified = response.headers.get("Last-Modified")
        if response.status == _NOT_MODIFIED:
            return Unchanged(etag=etag, last_modified=last_modified, scanned_ns=scanned_ns)
        media_type, charset = _type_of(
            Head(response.url, response.status, response.headers), ref.media_type
        )
        return Fetched(
            content=response.content,
            media_type=media_type,
            charset=charset,
            size=len(response.content),
            scanned_ns=scanned_ns,
            etag=etag,
            last_modified=last_modified,
        )

    def covers(self, spec: SourceSpec, uri: str) -> bool:
        """Whether `uri` is the source's own address."""
        try:
            return canonical_uri(spec.uri) == canonical_uri(uri)
        except ValueError:
            return False

    def close(self) -> None:
        """Close all connections; the source cannot fetch after."""
        self._client.close()


def _conditions(known: DocumentState | None) -> dict[str, str]:
    out: dict[str, str] = {}
    if known is not None and known.etag:
        out["If-None-Match"] = known.etag
    if known is not None and known.last_modified:
        out["If-Modified-Since"] = known.last_modified
    return out


def _check_type(head: Head, declared: str | None) -> None:
    media_type, _ = _type_of(head, declared)
    if media_type not in READABLE:
        raise UnsupportedMediaType(
            f"{head.url} is {media_type!r}, which no converter reads; "
            f"there are: {', '.join(sorted(READABLE))}"
        )


def _type_of(head: Head, declared: str | None) -> tuple[str, str | None]:
    """Type and charset: the server's, unless it says nothing of use.

    Then the type that the user declared, or what the address ends in.
    """
    media_type, charset = parse_content_type(head.headers.get("Content-Type"))
    if media_type in {None, OCTETS}:
        name = urlsplit(head.url).path.rpartition("/")[2]
        media_type = declared or SUFFIXES.get(suffix_of(name))
    return media_type or OCTETS, charset
