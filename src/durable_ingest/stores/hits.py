"""A search: nearest vectors, the chunks that use them, and the hits that remain.

Hits are ordered by score, equal scores by chunk id. A vector may have several chunks, a filter
or a limit by document may drop some, and equal scores may go on beyond the vectors that were
fetched; so more are fetched until the order of the first `k` hits cannot change any more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from durable_ingest.models import ChunkRow, DocumentState
from durable_ingest.ports import SearchFilter, SearchHit
from durable_ingest.stores.filters import matching_documents, vectors_of_documents
from durable_ingest.stores.lookup import Lookup
from durable_ingest.stores.queries import ChunkPlace, chunks_of_vectors, state_of
from durable_ingest.stores.records import read_chunk
from durable_ingest.stores.segments import Segments
from durable_ingest.stores.vectors import VectorIndex

_SPARE = 8
_GROWTH = 4


def find_hits(
    lookup: Lookup,
    segments: Segments,
    index: VectorIndex,
    query: NDArray[np.float64],
    *,
    k: int,
    where: SearchFilter,
) -> list[SearchHit]:
    """The `k` best hits, fewer only if fewer chunks match.

    Args:
        lookup: Inside `reading`.
        segments: Where the texts are.
        index: Shows the same commit as `lookup`.
        query: `(dimension,)`, of unit length.
        k: Most hits.
        where: Restrictions.
    """
    documents = matching_documents(lookup, where)
    allowed = None if documents is None else vectors_of_documents(lookup, documents)
    limit = k + _SPARE
    known: dict[int, list[ChunkPlace]] = {}
    while True:
        nearest = index.nearest(query, limit, allowed)
        fresh = [number for number in nearest.scores if number not in known]
        _gather(known, lookup, fresh)
        # What scores no higher than the floor might yet be overtaken by a vector not fetched.
        settled = [
            (-score, chunk.chunk_id, chunk)
            for number, score in nearest.scores.items()
            if score > nearest.floor
            for chunk in known[number]
            if documents is None or chunk.document in documents
        ]
        settled.sort(key=lambda entry: entry[:2])
        chosen = _choose(settled, k, where.per_document)
        if len(chosen) == k or nearest.floor == -np.inf:
            return _read_hits(lookup, segments, chosen)
        limit *= _GROWTH


def _gather(known: dict[int, list[ChunkPlace]], lookup: Lookup, numbers: list[int]) -> None:
    for number in numbers:
        known[number] = []
    if numbers:
        for chunk in chunks_of_vectors(lookup, numbers):
            known[chunk.vector].append(chunk)


def _choose(
    entries: Iterable[tuple[float, str, ChunkPlace]], k: int, per_document: int | None
) -> list[tuple[float, ChunkPlace]]:
    out: list[tuple[float, ChunkPlace]] = []
    used: Counter[int] = Counter()
    for negative, _, chunk in entries:
        if per_document is not None and used[chunk.document] >= per_document:
            continue
        used[chunk.document] += 1
        out.append((-negative, chunk))
        if len(out) == k:
            break
    return out


def _read_hits(
    lookup: Lookup, segments: Segments, chosen: list[tuple[float, ChunkPlace]]
) -> list[SearchHit]:
    states: dict[int, DocumentState] = {}
    out: list[SearchHit] = []
    for score, place in chosen:
        chunk = read_chunk(segments, place)
        if place.document not in states:
            state = state_of(lookup, place.document)
            states[place.document] = DocumentState.model_validate_json(state)
        out.append(_hit(score, chunk, states[place.document]))
    return out


def _hit(score: float, chunk: ChunkRow, state: DocumentState) -> SearchHit:
    return SearchHit(
        score=score,
        text=chunk.text,
        document_id=chunk.document_id,
        chunk_id=chunk.chunk_id,
        start=chunk.start,
        end=chunk.end,
        heading_path=tuple(chunk.heading_path),
        title=state.title,
        metadata=dict(state.metadata),
        ordinal=chunk.ordinal,
    )
