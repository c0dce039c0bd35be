"""Stage 2: which of them need work, by what the index knows.

The skip ladder, from the cheapest sure point on: equal stat signature here; HTTP 304 and content
digest when fetching; vector key when embedding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from durable_ingest.models import DocumentRef, DocumentState, PlannedDocument, SourceSpec
from durable_ingest.pipeline.discovering import Sources
from durable_ingest.pipeline.recipe import document_fingerprint
from durable_ingest.ports import Store

RACY_NS = 2_000_000_000
"""Files changed less than this before they were read are read again: file times are coarse."""

UNKNOWN_SIZE = 64 * 1024
"""Bytes assumed for a document whose size is not known before reading."""


@dataclass(frozen=True, slots=True)
class Planner:
    """Sorts discovered documents into unchanged ones and work.

    Attributes:
        states: Looks up what the index knows of some ids.
        fingerprint: Of the recipe.
        verify_content: Read documents even if their stat signature is equal.
    """

    states: Callable[[Sequence[str]], dict[str, DocumentState]]
    fingerprint: str
    verify_content: bool = False

    def plan(self, refs: Sequence[DocumentRef]) -> tuple[list[PlannedDocument], int]:
        """Split a page of documents.

        Returns:
            Those to read, with what the index knows of each, and how many are surely unchanged.
        """
        known = self.states([ref.uri for ref in refs])
        work: list[PlannedDocument] = []
        for ref in refs:
            state = known.get(ref.uri)
            if state is not None and self._surely_unchanged(ref, state):
                continue
            work.append(PlannedDocument(ref=ref, known=state))
        return work, len(refs) - len(work)

    def _surely_unchanged(self, ref: DocumentRef, state: DocumentState) -> bool:
        return (
            not self.verify_content
            and ref.modified_ns is not None
            and state.modified_ns == ref.modified_ns
            and state.size == ref.size
            and state.scanned_ns is not None
            and state.scanned_ns - ref.modified_ns > RACY_NS
            and state.fingerprint == document_fingerprint(self.fingerprint, ref)
        )


def batches(
    work: Iterable[PlannedDocument], *, bulk_size: int, bulk_bytes: int
) -> Iterator[list[PlannedDocument]]:
    """Group documents until a batch is full by count or by bytes; every batch has one at least."""
    batch: list[PlannedDocument] = []
    total = 0
    for item in work:
        size = UNKNOWN_SIZE if item.ref.size is None else item.ref.size
        if batch and (len(batch) >= bulk_size or total + size > bulk_bytes):
            yield batch
            batch, total = [], 0
        batch.append(item)
        total += size
    if batch:
        yield batch


def vanished(
    store: Store,
    specs: Sequence[SourceSpec],
    sources: Sources,
    seen: set[str],
    unreadable: Iterable[str] = (),
) -> Iterator[str]:
    """Ids of indexed documents that these sources would have yielded, but did not.

    Documents that other sources brought in are never touched, nor those below a place that could
    not be read this time: an unmounted disk must not empty an index.

    Args:
        store: The index.
        specs: Sources of the run.
        sources: The adapter of a registry name.
        seen: Ids of all documents found.
        unreadable: URIs of sources, folders and documents that could not be listed.
    """
    blocked = set(unreadable)
    below = tuple(uri.rstrip("/") + "/" for uri in blocked)
    listed = [spec for spec in specs if spec.uri not in blocked]
    after = ""
    while page := store.documents(after=after, limit=1000):
        for state in page:
            uri = state.document_id
            if uri in seen or uri in blocked or uri.startswith(below):
                continue
            if any(sources(spec.kind).covers(spec, uri) for spec in listed):
                yield uri
        after = page[-1].document_id
