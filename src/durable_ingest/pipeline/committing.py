"""Stage 6: make a batch visible, whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from durable_ingest.errors import EmbedderRejected
from durable_ingest.ids import commit_id, digest
from durable_ingest.models import Counts
from durable_ingest.pipeline.batches import EmbeddedBatch, PreparedBatch
from durable_ingest.pipeline.discovering import error_row
from durable_ingest.ports import CommitBatch, Store

DELETE_GROUP = 1000
"""Tombstones per commit when many documents vanished."""


def without_rejected(prepared: PreparedBatch, embedded: EmbeddedBatch | None) -> PreparedBatch:
    """The batch without documents of which the embedder refused a chunk; each leaves a row.

    A document is in the index whole or not at all.
    """
    if embedded is None or not embedded.rejected:
        return prepared
    records, errors = [], list(prepared.remainder.errors)
    for record in prepared.records:
        reasons = [
            f"chunk {row.ordinal}: {embedded.rejected[row.vector_key]}"
            for row in record.chunks
            if row.vector_key in embedded.rejected
        ]
        if not reasons:
            records.append(record)
            continue
        error = EmbedderRejected(reasons[0])
        errors.append(error_row(record.state.document_id, "embed", error))
    remainder = prepared.remainder.model_copy(update={"errors": errors})
    return replace(prepared, records=records, remainder=remainder)


def commit(
    store: Store,
    prepared: PreparedBatch,
    embedded: EmbeddedBatch | None,
    *,
    first_run_id: str,
    ordinal: int,
) -> tuple[Counts, int]:
    """Commit one batch; doing it again with the same arguments changes nothing.

    Returns:
        What became of the batch's documents, and the sequence number of the index.
    """
    remainder = prepared.remainder
    counts = Counts(
        unchanged=remainder.unchanged,
        failed=len(remainder.errors),
        chunks=sum(len(record.chunks) for record in prepared.records),
        embedded=0 if embedded is None else embedded.embedded,
        reused=0 if embedded is None else embedded.reused,
        truncated=prepared.truncated,
        bytes=remainder.bytes_read,
    )
    if prepared.empty:
        sequence = store.info().sequence
    else:
        inputs = digest(
            *(record.state.model_dump_json() for record in prepared.records),
            *(state.model_dump_json() for state in remainder.touched),
            *remainder.gone,
        )
        result = store.commit(
            CommitBatch(
                commit_id=commit_id(first_run_id, ordinal, inputs),
                documents=prepared.records,
                touched=remainder.touched,
                deleted=remainder.gone,
                vector_keys=[] if embedded is None else embedded.keys,
                vectors=None if embedded is None else embedded.vectors,
            )
        )
        sequence = result.sequence
        counts = counts.model_copy(
            update={
                "added": result.added,
                "updated": result.updated,
                "deleted": result.deleted,
            }
        )
    outcomes = counts.added + counts.updated + counts.unchanged + counts.failed
    return counts.model_copy(update={"documents": outcomes}), sequence


def delete(
    store: Store, document_ids: Sequence[str], *, first_run_id: str, ordinal: int
) -> tuple[int, int]:
    """Tombstone documents that vanished from their source.

    When it is done again after a crash, the ids that are left are fewer, but the count is the
    same: commits are named by their place, and one that was made already says what it deleted.

    Returns:
        How many this run deleted, earlier tries included, and the sequence number of the index.
    """
    deleted = begin = place = 0
    while True:
        group = document_ids[begin : begin + DELETE_GROUP]
        # Once more with no ids left: an earlier try may have deleted the last ones.
        result = store.commit(
            CommitBatch(
                commit_id=commit_id(first_run_id, ordinal, f"vanished {place}"), deleted=group
            )
        )
        deleted += result.deleted
        place += 1
        if result.repeated:
            continue
        if not group:
            return deleted, result.sequence
        begin += DELETE_GROUP
