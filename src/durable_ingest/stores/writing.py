"""Making a commit.

Order is everything: segments and their names durable first, then the record that makes them
count, then the lookups. A crash before the record leaves litter; one after it leaves lookups that
are behind, which the next user of the index catches up.
"""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from durable_ingest.errors import InvalidInput, StoreBusy
from durable_ingest.models import DocumentState
from durable_ingest.ports import CommitResult, IndexSettings
from durable_ingest.stores import queries
from durable_ingest.stores.batches import PreparedBatch
from durable_ingest.stores.changes import Changes, Outcome, apply_rows, record_commits
from durable_ingest.stores.log import CommitLog, CommitRecord, SegmentRef
from durable_ingest.stores.lookup import Lookup, LookupDamaged
from durable_ingest.stores.rows import RowSegment, decode_rows, encode_rows
from durable_ingest.stores.segments import ROWS, VECTORS, Segments, as_bytes


class LookupsBehind(Exception):
    """The commit is durable, but the lookups could not follow.

    Attributes:
        result: What the commit did.
    """

    def __init__(self, result: CommitResult) -> None:
        super().__init__(result)
        self.result = result


class Writer:
    """Makes commits; its caller holds the writer lock, and the lookups follow the log.

    Args:
        log: Where commits go.
        segments: Where their content goes.
        settings: What the index was made with.
    """

    def __init__(self, log: CommitLog, segments: Segments, settings: IndexSettings) -> None:
        self._log = log
        self._segments = segments
        self._settings = settings

    def commit(self, lookup: Lookup, batch: PreparedBatch) -> CommitResult:
        """Make one commit, or find that it was made already.

        Raises:
            InvalidInput: The batch contradicts the index; nothing was written.
            LookupsBehind: It was made, but the lookups have to catch up.
            LookupDamaged: They have to be made anew; nothing was made visible.
            OSError: A file could not be written; nothing was made visible.
        """
        with lookup.reading():
            made = queries.find_commit(lookup, batch.commit_id)
            if made is not None:
                return replace(self._log.read(made)[0].result, repeated=True)
            if batch.empty:
                return CommitResult(lookup.standing().sequence)
            fresh = self._check_vectors(lookup, batch)
            _check_owners(lookup, batch)
            touched = _count_chunks(lookup, batch)
        data = encode_rows(fresh, batch.documents, touched)
        rows = decode_rows(data)  # what the lookups get is what was written, read back
        rows_ref, vectors_ref = self._write_segments(data, rows, batch, fresh)
        return self._publish(lookup, batch, rows, rows_ref, vectors_ref)

    def _write_segments(
        self, data: bytes, rows: RowSegment, batch: PreparedBatch, fresh: list[str]
    ) -> tuple[SegmentRef | None, SegmentRef | None]:
        vectors_ref = rows_ref = None
        if fresh:
            matrix = np.stack([batch.vectors[key] for key in fresh])
            vectors_ref = self._segments.write(as_bytes(matrix), kind=VECTORS, count=len(fresh))
        if data:
            rows_ref = self._segments.write(data, kind=ROWS, count=rows.records)
            self._segments.sync()
        return rows_ref, vectors_ref

    def _publish(
        self,
        lookup: Lookup,
        batch: PreparedBatch,
        rows: RowSegment,
        rows_ref: SegmentRef | None,
        vectors_ref: SegmentRef | None,
    ) -> CommitResult:
        result: CommitResult | None = None
        try:
            # The lookups change first, unseen until their transaction ends, since they tell what
            # the commit does; a failed append rolls them back.
            with lookup.writing():
                standing = lookup.standing()
                sequence = standing.sequence + 1
                outcome = apply_rows(
                    Changes(lookup, sequence, standing.totals),
                    rows,
                    name=f"{rows_ref.sha256}.{ROWS}" if rows_ref else "",
                    vectors=f"{vectors_ref.sha256}.{VECTORS}" if vectors_ref else "",
                    deleted=batch.deleted,
                )
                record = CommitRecord(
                    sequence=sequence,
                    commit_id=batch.commit_id,
                    previous=standing.head or self._log.origin,
                    rows=rows_ref,
                    vectors=vectors_ref,
                    deleted=batch.deleted,
                    result=_result(sequence, outcome),
                    totals=outcome.totals,
                    committed=datetime.now(UTC).isoformat(timespec="milliseconds"),
                )
                digest = self._append(record)
                result = record.result
                record_commits(
                    lookup, [(sequence, batch.commit_id)], head=digest, totals=record.totals
                )
        except (sqlite3.Error, LookupDamaged) as error:
            if result is None:
                raise
            raise LookupsBehind(result) from error
        return result

    def _append(self, record: CommitRecord) -> str:
        try:
            return self._log.append(record)
        except FileExistsError as error:
            raise StoreBusy(
                f"another process wrote commit {record.sequence} without holding the writer lock:"
                " is the index on a file system whose locks do not work? Trying again goes on"
                " after that commit"
            ) from error

    def _check_vectors(self, lookup: Lookup, batch: PreparedBatch) -> list[str]:
        """Keys whose vectors have to be stored; refuses chunks without a vector."""
        wanted = sorted(batch.vector_keys() | batch.vectors.keys())
        known = {vector.key for vector in queries.find_vectors(lookup, wanted)}
        for document in batch.documents:
            for chunk in document.chunks:
                key = chunk.vector_key
                if key not in batch.vectors and key not in known:
                    raise InvalidInput(
                        f"chunk {chunk.chunk_id!r} uses vector {key!r}, which is neither in the"
                        " batch nor in the index"
                    )
        return [key for key in batch.vectors if key not in known]


def _check_owners(lookup: Lookup, batch: PreparedBatch) -> None:
    """Refuse chunk ids that a document outside the batch holds."""
    leaving = {document.state.document_id for document in batch.documents} | set(batch.deleted)
    for chunk_id, owner in queries.owners_of_chunks(lookup, batch.chunk_ids()).items():
        if owner not in leaving:
            raise InvalidInput(
                f"chunk id {chunk_id!r} belongs to document {owner!r}, which the batch does not"
                " replace"
            )


def _count_chunks(lookup: Lookup, batch: PreparedBatch) -> list[DocumentState]:
    """The touched states, saying how many chunks their documents have."""
    found = queries.find_states(lookup, (state.document_id for state in batch.touched))
    out: list[DocumentState] = []
    for state in batch.touched:
        known = found.get(state.document_id)
        if known is None:
            raise InvalidInput(
                f"document {state.document_id!r} is touched, but it is not in the index: put it"
            )
        chunks = DocumentState.model_validate_json(known).chunks
        out.append(state.model_copy(update={"chunks": chunks}))
    return out


def _result(sequence: int, outcome: Outcome) -> CommitResult:
    return CommitResult(
        sequence=sequence,
        added=outcome.added,
        updated=outcome.updated,
        touched=outcome.touched,
        deleted=outcome.deleted,
        chunks=outcome.chunks,
        vectors=outcome.vectors,
    )
