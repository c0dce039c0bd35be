"""Artifacts as the activities use them: JSON lines, chained error rows, manifests."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence

from durable_ingest.models import ArtifactRef, ErrorRow
from durable_ingest.pipeline.batches import JSON_LINES, dump_lines, load_lines
from durable_ingest.ports import ArtifactStore

JSON = "application/json"


def put_references(store: ArtifactStore, references: Sequence[ArtifactRef]) -> ArtifactRef:
    """Store a list of references, in order."""
    return store.put(dump_lines(references), media_type=JSON_LINES)


def get_references(store: ArtifactStore, ref: ArtifactRef) -> list[ArtifactRef]:
    """The inverse of `put_references`."""
    return list(load_lines(ArtifactRef, store.get(ref)))


def chain_errors(
    store: ArtifactStore, rows: Sequence[ErrorRow], previous: ArtifactRef | None
) -> ArtifactRef | None:
    """Put rows in front of those that a run has so far.

    Each link names the one before it, so that a workflow carries one reference however many
    documents fail.
    """
    if not rows:
        return previous
    head = {"previous": None if previous is None else previous.model_dump()}
    return store.put(json.dumps(head).encode() + b"\n" + dump_lines(rows), media_type=JSON_LINES)


def read_errors(store: ArtifactStore, newest: ArtifactRef | None) -> Iterator[list[ErrorRow]]:
    """The links of a chain, newest first."""
    while newest is not None:
        first, _, rest = store.get(newest).partition(b"\n")
        yield list(load_lines(ErrorRow, rest))
        previous = json.loads(first)["previous"]
        newest = None if previous is None else ArtifactRef.model_validate(previous)


def put_rows(store: ArtifactStore, rows: Iterable[ErrorRow]) -> ArtifactRef:
    """Store rows as JSON lines for people."""
    return store.put(dump_lines(rows), media_type=JSON_LINES)
