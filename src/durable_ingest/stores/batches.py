"""What a batch must be before anything is written."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from durable_ingest.errors import InvalidInput
from durable_ingest.models import DocumentRecord, DocumentState
from durable_ingest.ports import CommitBatch, IndexSettings
from durable_ingest.stores.queries import is_storable

_UNIT = 1e-3  # how far from 1 the length of a vector may be


@dataclass(frozen=True, slots=True)
class PreparedBatch:
    """A batch that does not contradict itself.

    Attributes:
        commit_id: Names the change.
        documents: To put, their states saying how many chunks they have, chunks in order.
        touched: New states.
        deleted: Ids to remove, each once.
        vectors: Vectors by key, the first of those given for a key.
    """

    commit_id: str
    documents: tuple[DocumentRecord, ...]
    touched: tuple[DocumentState, ...]
    deleted: tuple[str, ...]
    vectors: dict[str, NDArray[np.float32]]

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.documents or self.touched or self.deleted or self.vectors)

    def vector_keys(self) -> set[str]:
        """Names of the vectors that its chunks use."""
        return {chunk.vector_key for document in self.documents for chunk in document.chunks}

    def chunk_ids(self) -> list[str]:
        """Ids of its chunks."""
        return [chunk.chunk_id for document in self.documents for chunk in document.chunks]


def prepare_batch(batch: CommitBatch, settings: IndexSettings) -> PreparedBatch:
    """Check everything that can be checked without the index.

    Raises:
        InvalidInput: Names the first contradiction found.
    """
    if not batch.commit_id or not is_storable(batch.commit_id):
        raise InvalidInput(f"commit_id is {batch.commit_id!r}: a commit needs a name")
    _check_documents(batch)
    documents = tuple(_prepare_document(document) for document in batch.documents)
    for state in (*(document.state for document in documents), *batch.touched):
        _check_state(state)
    _check_chunk_ids(documents)
    return PreparedBatch(
        commit_id=batch.commit_id,
        documents=documents,
        touched=tuple(batch.touched),
        deleted=tuple(dict.fromkeys(batch.deleted)),
        vectors=_prepare_vectors(batch, settings.dimension),
    )


def prepare_query(vector: NDArray[np.float32], dimension: int) -> NDArray[np.float64]:
    """A query of unit length.

    Raises:
        InvalidInput: It has another shape, no length, or numbers that are not finite.
    """
    query = np.asarray(vector, dtype=np.float64)
    if query.shape != (dimension,):
        raise InvalidInput(f"the query has shape {query.shape!r}: it must be {(dimension,)!r}")
    if not np.isfinite(query).all():
        raise InvalidInput("the query holds NaN or infinity: all its numbers must be finite")
    length = float(np.linalg.norm(query))
    if length == 0.0 or not math.isfinite(length):
        raise InvalidInput(f"the query has length {length!r}: it must be 1")
    return query / length


def _check_documents(batch: CommitBatch) -> None:
    seen: dict[str, str] = {}
    roles: Iterator[tuple[str, Iterable[str]]] = iter(
        (
            ("put", (document.state.document_id for document in batch.documents)),
            ("touched", (state.document_id for state in batch.touched)),
            ("deleted", dict.fromkeys(batch.deleted)),
        )
    )
    for role, ids in roles:
        for document_id in ids:
            if document_id in seen:
                raise InvalidInput(
                    f"document {document_id!r} is {seen[document_id]} and {role} in one batch:"
                    " name it once"
                )
            seen[document_id] = role


def _prepare_document(document: DocumentRecord) -> DocumentRecord:
    document_id = document.state.document_id
    for chunk in document.chunks:
        if chunk.document_id != document_id:
            raise InvalidInput(
                f"chunk {chunk.chunk_id!r} says it is of document {chunk.document_id!r}, yet it"
                f" comes with {document_id!r}"
            )
    chunks = sorted(document.chunks, key=lambda chunk: chunk.ordinal)
    for before, after in pairwise(chunks):
        if before.ordinal == after.ordinal:
            raise InvalidInput(
                f"chunks {before.chunk_id!r} and {after.chunk_id!r} of {document_id!r} both have"
                f" ordinal {after.ordinal!r}"
            )
    state = document.state
    if state.chunks != len(chunks):
        state = state.model_copy(update={"chunks": len(chunks)})
    return document.model_copy(update={"state": state, "chunks": chunks})


def _check_state(state: DocumentState) -> None:
    for name, value in state.metadata.items():
        for element in value if isinstance(value, list) else [value]:
            if isinstance(element, float) and not math.isfinite(element):
                raise InvalidInput(
                    f"metadata {name!r} of {state.document_id!r} is {element!r}: numbers must be"
                    " finite"
                )


def _check_chunk_ids(documents: Iterable[DocumentRecord]) -> None:
    seen: set[str] = set()
    for document in documents:
        for chunk in document.chunks:
            if chunk.chunk_id in seen:
                raise InvalidInput(f"chunk id {chunk.chunk_id!r} is given twice in one batch")
            seen.add(chunk.chunk_id)


def _prepare_vectors(batch: CommitBatch, dimension: int) -> dict[str, NDArray[np.float32]]:
    keys = list(batch.vector_keys)
    given = np.empty((0, dimension)) if batch.vectors is None else np.asarray(batch.vectors)
    if given.size == 0 and not keys:
        return {}
    if given.shape != (len(keys), dimension):
        raise InvalidInput(
            f"vectors have shape {given.shape!r}: {len(keys)} keys and dimension {dimension} need"
            f" {(len(keys), dimension)!r}"
        )
    for key in keys:
        if not key or not is_storable(key):
            raise InvalidInput(f"{key!r} names no vector: a vector key is text")
    with np.errstate(over="ignore"):
        matrix = np.ascontiguousarray(given, dtype=np.float32)
        lengths = np.sqrt((matrix.astype(np.float64) ** 2).sum(axis=1))
    wrong = ~np.isfinite(matrix).all(axis=1)
    if wrong.any():
        key = keys[int(wrong.argmax())]
        raise InvalidInput(f"vector {key!r} holds NaN or infinity: all numbers must be finite")
    wrong = np.abs(lengths - 1.0) > _UNIT
    if wrong.any():
        place = int(wrong.argmax())
        raise InvalidInput(
            f"vector {keys[place]!r} has length {lengths[place]:.6g}: metric cosine needs vectors"
            " of length 1"
        )
    out: dict[str, NDArray[np.float32]] = {}
    for key, row in zip(keys, matrix, strict=True):
        out.setdefault(key, row)
    return out
