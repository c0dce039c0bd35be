"""The durable embedded index: a folder with a commit log, segments and derived lookups.

`docs/index-format.md` describes the folder. In short: a commit writes its segments, makes them
durable, then makes one commit record visible; SQLite and FAISS only repeat what the log says.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from durable_ingest.errors import InvalidInput
from durable_ingest.files import Files, OsFiles, reporting_full_disk
from durable_ingest.models import ChunkRow, DocumentState
from durable_ingest.ports import (
    CommitBatch,
    CommitResult,
    IndexSettings,
    SearchFilter,
    SearchHit,
    StoreInfo,
)
from durable_ingest.stores import queries
from durable_ingest.stores.batches import prepare_batch, prepare_query
from durable_ingest.stores.filters import check_filter
from durable_ingest.stores.hits import find_hits
from durable_ingest.stores.layout import Layout
from durable_ingest.stores.loading import read_vectors
from durable_ingest.stores.lookup import Lookup, Standing
from durable_ingest.stores.manifest import (
    compare_settings,
    create_manifest,
    explaining_permissions,
    read_manifest,
)
from durable_ingest.stores.records import read_chunk
from durable_ingest.stores.session import Session

LOCK_TIMEOUT = 10.0
"""Seconds that a commit waits for another writer, unless told otherwise."""


class FaissStore:
    """A durable index in a folder; fulfils `durable_ingest.ports.Store`.

    A crash at any moment leaves the index as it was before a commit or after it. Commits are
    serialised over threads and processes; readers see one commit at a time and do not wait for a
    writer. Any thread may call any method. Made by `open` or `create`; a context manager.

    A batch in which there is nothing to do leaves no commit: its result names the newest one.
    `known_vectors` knows every vector ever stored, whether a live chunk uses it or not, so that
    content which comes back need not be embedded again. The store itself counts a state's
    `chunks`.

    Args:
        directory: The folder of an index that exists.
        files: File calls.
        read_only: Refuse commits.
        lock_timeout: Seconds that a commit waits for another writer.
    """

    def __init__(
        self, directory: Path, files: Files, *, read_only: bool, lock_timeout: float
    ) -> None:
        self._layout = Layout(directory)
        manifest = read_manifest(files, self._layout)
        self._settings = manifest.settings
        self._read_only = read_only
        self._session = Session(self._layout, files, manifest, lock_timeout=lock_timeout)

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        read_only: bool = False,
        lock_timeout: float = LOCK_TIMEOUT,
        files: Files | None = None,
    ) -> Self:
        """Open an index that exists.

        Args:
            directory: Its folder.
            read_only: Refuse commits. The lookups in `derived/` are kept up all the same where
                the folder may be written; where it may not, they are held in memory.
            lock_timeout: Seconds that a commit waits for another writer.
            files: File calls, for tests.

        Raises:
            IndexMissing: There is none.
            IndexMismatch: It has a newer format version.
            IndexDamaged: It is not what was written.
        """
        calls = files or OsFiles()
        return cls(Path(directory), calls, read_only=read_only, lock_timeout=lock_timeout)

    @classmethod
    def create(
        cls,
        directory: Path,
        settings: IndexSettings,
        *,
        lock_timeout: float = LOCK_TIMEOUT,
        files: Files | None = None,
    ) -> Self:
        """Open an index, making it first when there is none.

        Args:
            directory: Its folder; it and those above it are made when missing. It may hold the
                folders `server`, `artifacts` and `reports`, nothing else.
            settings: What it is, or was, made with.
            lock_timeout: Seconds that a commit waits for another writer.
            files: File calls, for tests.

        Raises:
            IndexMismatch: It was made with other settings, or has a newer format version.
            IndexDamaged: It is not what was written.
            InvalidInput: The folder holds other things or may not be written, or the settings
                are senseless.
            StorageFull: No space left.
        """
        calls = files or OsFiles()
        layout = Layout(Path(directory))
        if not calls.exists(layout.manifest):
            with (
                reporting_full_disk("a new index", layout.directory),
                explaining_permissions(layout),
                suppress(FileExistsError),  # another process was first: compare with its settings
            ):
                create_manifest(calls, layout, settings)
        compare_settings(settings, read_manifest(calls, layout).settings, layout)
        return cls(layout.directory, calls, read_only=False, lock_timeout=lock_timeout)

    @property
    def directory(self) -> Path:
        """The folder of the index."""
        return self._layout.directory

    @property
    def settings(self) -> IndexSettings:
        """What the index was made with."""
        return self._settings

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the lookups; any later call but this one is refused."""
        self._session.close()

    def info(self) -> StoreInfo:
        """Settings, newest commit and live counts."""
        return self._describe(self._session.read(Lookup.standing))

    def states(self, document_ids: Sequence[str]) -> dict[str, DocumentState]:
        """States of those documents that are live."""
        found = self._session.read(lambda lookup: queries.find_states(lookup, document_ids))
        return {key: DocumentState.model_validate_json(state) for key, state in found.items()}

    def documents(self, *, after: str = "", limit: int = 1000) -> list[DocumentState]:
        """Live documents in order of id, from the first id greater than `after` on.

        Raises:
            InvalidInput: `limit` is below 1.
        """
        if limit < 1:
            raise InvalidInput(f"limit is {limit!r}: it must be 1 or more")
        found = self._session.read(lambda lookup: queries.list_states(lookup, after, limit))
        return [DocumentState.model_validate_json(state) for state in found]

    def chunk_rows(self, document_id: str) -> list[ChunkRow]:
        """The live chunks of a document in order; empty when unknown.

        Raises:
            IndexDamaged: Bytes that are needed are not what was written.
        """
        segments = self._session.segments
        return self._session.read(
            lambda lookup: [
                read_chunk(segments, place)
                for place in queries.chunks_of_document(lookup, document_id)
            ]
        )

    def known_vectors(self, keys: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """Vectors of those keys that were ever stored, `(dimension,)` float32 each.

        Raises:
            IndexDamaged: Bytes that are needed are not what was written.
        """
        segments = self._session.segments
        return self._session.read(lambda lookup: read_vectors(lookup, segments, keys))

    def search(
        self, vector: NDArray[np.float32], *, k: int, where: SearchFilter | None = None
    ) -> list[SearchHit]:
        """The `k` most similar chunks, best first; equal scores in order of chunk id.

        The first search reads all live vectors into memory; later ones read what is new. The
        query is brought to unit length.

        Args:
            vector: `(dimension,)`.
            k: Most hits, 1 or more.
            where: Restrictions; fewer than `k` hits only if fewer chunks match.

        Raises:
            InvalidInput: The query has another shape, no length, or is not finite.
            IndexDamaged: Bytes that are needed are not what was written.
            MissingExtra: FAISS is not installed.
        """
        if k < 1:
            raise InvalidInput(f"k is {k!r}: it must be 1 or more")
        query = prepare_query(vector, self._settings.dimension)
        restrictions = where or SearchFilter()
        check_filter(restrictions)
        session = self._session
        return session.read(
            lambda lookup: find_hits(
                lookup,
                session.segments,
                session.vectors(lookup),
                query,
                k=k,
                where=restrictions,
            )
        )

    def commit(self, batch: CommitBatch) -> CommitResult:
        """Make the changes visible and durable, or raise and change nothing.

        Raises:
            StoreBusy: Another writer did not finish in time.
            StorageFull: No space left; the index is as before.
            InvalidInput: The batch contradicts itself or the index, or the index may not be
                written.
            IndexDamaged: The log is not what was written.
        """
        if self._read_only:
            raise InvalidInput(
                f"the index in {str(self.directory)!r} was opened read-only: open it without"
                " read_only to commit"
            )
        return self._session.commit(prepare_batch(batch, self._settings))

    def check(self) -> None:
        """Compare the digest of every segment, once per process.

        Raises:
            IndexDamaged: One is missing or not what was written.
        """
        self._session.check()

    def verify(self) -> StoreInfo:
        """Read every byte of the index and check it against the log.

        Returns:
            What the index holds, as the log alone says it.

        Raises:
            IndexDamaged: Something is not what was written; the message names the file.
        """
        return self._describe(self._session.verify())

    def _describe(self, standing: Standing) -> StoreInfo:
        totals = standing.totals
        return StoreInfo(
            settings=self._settings,
            sequence=standing.sequence,
            head=standing.head,
            documents=totals.documents,
            chunks=totals.chunks,
            vectors=totals.vectors,
        )
