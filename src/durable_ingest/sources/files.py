"""Documents in local files: a file, a folder, a pattern, or a stored copy of something else."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from functools import lru_cache
from json import loads
from pathlib import Path

from durable_ingest.errors import (
    DurableIngestError,
    InvalidInput,
    SourceMissing,
    SourceRefused,
    SourceUnreadable,
)
from durable_ingest.ids import canonical_json, canonical_uri, file_uri, path_of
from durable_ingest.models import DocumentRef, ErrorRow, PlannedDocument, SourceSpec
from durable_ingest.ports import Fetched
from durable_ingest.settings import WorkerSettings
from durable_ingest.sources.media_types import SUFFIXES, check_declared, sniff, suffix_of
from durable_ingest.sources.reading import check_regular, read_file, translate_error
from durable_ingest.sources.roots import Roots
from durable_ingest.sources.selection import Pattern, Selection, parse_selection
from durable_ingest.sources.walking import FoundFile, walk

__all__ = ["FileSource", "root_of"]


class FileSource:
    """Finds and reads files below the worker's `allowed_roots`.

    A folder yields its documents by suffix, a pattern exactly what it matches, a file itself
    whatever it is called. Options are described in `docs/sources.md`.
    """

    def __init__(self, settings: WorkerSettings) -> None:
        self._roots = Roots(settings.allowed_roots)

    def discover(self, spec: SourceSpec) -> Iterator[DocumentRef | ErrorRow]:
        """Yield the source's files, sorted by the bytes of their URIs.

        A file outside the roots, a pipe, a device or an unreadable folder becomes an error row.

        Raises:
            InvalidInput: The URI, an option or the media type is wrong.
            SourceMissing: There is no such file or folder.
            SourceUnreadable: The folder cannot be listed.
            SourceUnavailable: The system is short of something.
        """
        selection = _selection_of(spec)
        media_type = check_declared(spec.media_type)
        if selection.options.path is not None:
            yield self._stored_copy(spec, selection.options.path, media_type)
            return
        base, pattern = _search(selection)
        try:
            real = self._roots.resolve(base)
        except SourceRefused as error:
            yield _row(file_uri(base), error)
            return
        try:
            status = real.stat()
        except OSError as error:
            raise translate_error(base, error) from error
        if not stat.S_ISDIR(status.st_mode):
            if pattern is not None:
                raise SourceMissing(f"{str(base)!r} is a file, so no pattern can match below it")
            yield self._single(file_uri(base), base, media_type, status)
            return
        found = walk(
            base,
            file_uri(base),
            selection.documents() if pattern is None else pattern,
            roots=self._roots,
            follow_symlinks=selection.options.follow_symlinks,
        )
        for item in found:
            if isinstance(item, FoundFile):
                yield DocumentRef(
                    uri=item.uri,
                    kind=spec.kind,
                    media_type=media_type,
                    size=item.size,
                    modified_ns=item.modified_ns,
                )
            else:
                yield _row(item.uri, item.error)

    def fetch(self, planned: PlannedDocument, *, max_bytes: int) -> Fetched:
        """Read one file; its place is checked again when it is opened.

        Raises:
            SourceRefused: Outside the roots by now, or no regular file.
            SourceMissing: It is gone.
            SourceUnreadable: No permission, or a folder.
            DocumentTooLarge: Over `max_bytes`.
            SourceUnavailable: It changed while it was read, three times over.
        """
        ref = planned.ref
        path = parse_selection(_location(ref)).path
        reading = read_file(path, self._roots, max_bytes=max_bytes)
        return Fetched(
            content=reading.content,
            media_type=(
                ref.media_type or SUFFIXES.get(suffix_of(path.name)) or sniff(reading.content)
            ),
            size=len(reading.content),
            modified_ns=reading.modified_ns,
            scanned_ns=reading.scanned_ns,
        )

    def covers(self, spec: SourceSpec, uri: str) -> bool:
        """Whether the file belongs to the source by its name alone; the disk is not looked at."""
        selection = _selection_of(spec)
        if selection.options.path is not None:
            return uri == _identity(spec.uri)
        if not uri.startswith("file:"):
            return False
        return selection.covers(path_of(uri))

    def _single(
        self, uri: str, path: Path, media_type: str | None, status: os.stat_result
    ) -> DocumentRef | ErrorRow:
        try:
            check_regular(path, status.st_mode)
        except SourceRefused as error:
            return _row(uri, error)
        return DocumentRef(
            uri=uri,
            media_type=media_type,
            size=status.st_size,
            modified_ns=status.st_mtime_ns,
        )

    def _stored_copy(
        self, spec: SourceSpec, location: str, media_type: str | None
    ) -> DocumentRef | ErrorRow:
        """A document that is read from a file but named otherwise."""
        uri = _identity(spec.uri)
        path = parse_selection(location).path
        try:
            real = self._roots.resolve(path)
        except SourceRefused as error:
            return _row(uri, error)
        try:
            status = real.stat()
        except OSError as error:
            raise translate_error(path, error) from error
        if stat.S_ISDIR(status.st_mode):
            raise SourceUnreadable(
                f"{str(path)!r} is a folder, and the stored copy of {uri!r} was expected"
            )
        item = self._single(uri, path, media_type, status)
        if isinstance(item, ErrorRow):
            return item
        return item.model_copy(update={"location": file_uri(path)})


def root_of(spec: SourceSpec) -> Path:
    """The file or folder that a source surely means to read: a pattern's fixed part.

    Raises:
        InvalidInput: It is no `file:` URI, or an option is wrong.
    """
    selection = _selection_of(spec)
    if selection.options.path is not None:
        return parse_selection(selection.options.path).path
    return _search(selection)[0]


def _search(selection: Selection) -> tuple[Path, Pattern | None]:
    """Where to look, and for what; a name that exists is no pattern."""
    if not selection.parts or os.path.lexists(selection.path):
        return selection.path, None
    return selection.root, selection.pattern()


def _selection_of(spec: SourceSpec) -> Selection:
    if "path" in spec.options:
        # The URI is a name only and may have any scheme.
        uri = spec.options["path"]
        if not isinstance(uri, str):
            raise InvalidInput(f"option 'path' must be a file: URI, not {uri!r}")
        return _parsed(uri, canonical_json(spec.options))
    return _parsed(spec.uri, canonical_json(spec.options) if spec.options else b"{}")


@lru_cache(maxsize=1024)
def _parsed(uri: str, options: bytes) -> Selection:
    # Asked once per stored document when looking for vanished ones.
    return parse_selection(uri, loads(options))


def _identity(uri: str) -> str:
    if uri.lower().startswith("file:"):
        return file_uri(parse_selection(uri).path)
    return canonical_uri(uri)


def _location(ref: DocumentRef) -> str:
    return ref.location or ref.uri


def _row(uri: str, error: DurableIngestError) -> ErrorRow:
    return ErrorRow(
        uri=uri,
        stage="discover",
        error_type=type(error).__name__,
        message=str(error),
        rule=getattr(error, "rule", None),
    )
