"""The model that stores are compared with: dictionaries, and a search that looks at everything.

Vectors are few and simple (one-hot, or halves all over), so that their products are exact in any
arithmetic and many scores are equal: the order of equal scores is then compared too.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from numpy.typing import NDArray

from durable_ingest.ids import chunk_ids, sha256
from durable_ingest.models import ChunkRow, DocumentRecord, DocumentState, Metadata
from durable_ingest.ports import CommitBatch, CommitResult, SearchFilter, Store

DIMENSION = 4
_SHAPES = np.array(
    [
        [1, 0, 0, 0],
        [0, 1, 0, 0],
        [0, 0, -1, 0],
        [0.5, 0.5, 0.5, 0.5],
        [0.5, -0.5, 0.5, -0.5],
    ],
    dtype=np.float32,
)


def unit(key: str) -> NDArray[np.float32]:
    """The vector of a key: `key-tN` and `key-=tN ...` have shape N, others any."""
    name = key.removeprefix("key-").removeprefix("=")
    number = int(name[1]) if name[:1] == "t" and name[1:2].isdigit() else zlib.crc32(key.encode())
    found: NDArray[np.float32] = _SHAPES[number % len(_SHAPES)]
    return found


def state(document_id: str, metadata: Metadata | None = None, version: int = 0) -> DocumentState:
    """A state of a document."""
    return DocumentState(
        document_id=document_id,
        content_sha256=sha256(str(version).encode()),
        fingerprint="f",
        metadata=metadata or {},
    )


def record(
    document_id: str, *texts: str, metadata: Metadata | None = None, version: int = 0
) -> DocumentRecord:
    """A document with a chunk for each text; equal texts share a vector key."""
    ids = chunk_ids(document_id, [("", text) for text in texts])
    chunks = [
        ChunkRow(
            chunk_id=chunk_id,
            document_id=document_id,
            ordinal=ordinal,
            text=text,
            start=ordinal * 10,
            end=ordinal * 10 + len(text),
            vector_key=f"key-{text}",
        )
        for ordinal, (chunk_id, text) in enumerate(zip(ids, texts, strict=True))
    ]
    found = state(document_id, metadata, version).model_copy(update={"chunks": len(chunks)})
    return DocumentRecord(state=found, chunks=chunks)


@dataclass
class Model:
    """What a store should hold.

    Attributes:
        documents: Live documents by id.
        results: What each commit did, by its id.
        batches: The commits made, for repeating them.
    """

    documents: dict[str, DocumentRecord] = field(default_factory=dict)
    results: dict[str, CommitResult] = field(default_factory=dict)
    batches: list[CommitBatch] = field(default_factory=list)

    def keys(self) -> set[str]:
        """Vector keys in use."""
        return {chunk.vector_key for chunk in self.chunks()}

    def chunks(self) -> list[ChunkRow]:
        """Live chunks."""
        return [chunk for document in self.documents.values() for chunk in document.chunks]

    def commit(self, batch: CommitBatch) -> CommitResult:
        """The result that a commit should have, its vectors left out."""
        if batch.commit_id in self.results:
            return replace(self.results[batch.commit_id], repeated=True)
        sequence = len(self.results)
        if not (batch.documents or batch.touched or batch.deleted or batch.vector_keys):
            return CommitResult(sequence)
        put = {each.state.document_id: each for each in batch.documents}
        result = CommitResult(
            sequence=sequence + 1,
            added=len(put.keys() - self.documents.keys()),
            updated=len(put.keys() & self.documents.keys()),
            touched=len(batch.touched),
            deleted=len(set(batch.deleted) & self.documents.keys()),
            chunks=sum(len(each.chunks) for each in put.values()),
        )
        self.documents |= put
        for touched in batch.touched:
            old = self.documents[touched.document_id]
            new = touched.model_copy(update={"chunks": len(old.chunks)})
            self.documents[touched.document_id] = old.model_copy(update={"state": new})
        for document_id in batch.deleted:
            self.documents.pop(document_id, None)
        self.results[batch.commit_id] = result
        self.batches.append(batch)
        return result

    def search(
        self, query: NDArray[np.float32], k: int, where: SearchFilter
    ) -> list[tuple[float, str]]:
        """Score and chunk id of each hit, by looking at every chunk."""
        found = sorted(
            (-float(unit(chunk.vector_key) @ query), chunk.chunk_id, chunk.document_id)
            for chunk in self.chunks()
            if self._matches(chunk.document_id, where)
        )
        used: dict[str, int] = {}
        out: list[tuple[float, str]] = []
        for negative, chunk_id, document_id in found:
            used[document_id] = used.get(document_id, 0) + 1
            if where.per_document is None or used[document_id] <= where.per_document:
                out.append((-negative, chunk_id))
        return out[:k]

    def _matches(self, document_id: str, where: SearchFilter) -> bool:
        if where.documents is not None and document_id not in where.documents:
            return False
        if not document_id.startswith(where.uri_prefix):
            return False
        metadata = self.documents[document_id].state.metadata
        return all(metadata.get(name) == wanted for name, wanted in where.metadata.items())


_IDS = st.sampled_from(["a/1", "a/2", "a/3", "b/1", "b/2"])
_TEXTS = st.lists(st.sampled_from(["t0", "t1", "t2", "t3", "t4", "=t0"]), max_size=5)
_FILTERS = st.builds(
    SearchFilter,
    metadata=st.one_of(st.just({}), st.fixed_dictionaries({"color": st.sampled_from(["r", "g"])})),
    documents=st.one_of(st.none(), st.lists(_IDS, max_size=3)),
    uri_prefix=st.sampled_from(["", "", "a/", "b/1", "c"]),
    per_document=st.one_of(st.none(), st.integers(1, 3)),
)


class StoreMachine(RuleBasedStateMachine):
    """Does the same to a store and to the model, and compares what they say.

    Args:
        make: Makes an empty store.
        reopen: Opens another object on the same index.
        model: An empty model.
    """

    def __init__(
        self, make: Callable[[], Store], reopen: Callable[[Store], Store], model: Model
    ) -> None:
        super().__init__()
        self._make = make
        self._reopen = reopen
        self._model = model
        self._store: Store | None = None
        self._versions = 0

    @property
    def store(self) -> Store:
        """The store under test."""
        assert self._store is not None
        return self._store

    @initialize()
    def start(self) -> None:
        """Begin with an empty store."""
        self._store = self._make()

    @rule(
        put=st.dictionaries(_IDS, _TEXTS, max_size=3),
        touched=st.sets(_IDS, max_size=2),
        deleted=st.lists(_IDS, max_size=2),
        color=st.sampled_from(["r", "g"]),
        sparing=st.booleans(),
    )
    def commit(
        self,
        put: dict[str, list[str]],
        touched: set[str],
        deleted: list[str],
        color: str,
        *,
        sparing: bool,
    ) -> None:
        """Commit a batch; `sparing` gives only vectors that the store says it lacks."""
        self._versions += 1
        documents = [
            record(name, *texts, metadata={"color": color}, version=self._versions)
            for name, texts in put.items()
        ]
        gone = [name for name in deleted if name not in put]
        states = [
            state(name, {"color": color}, self._versions)
            for name in sorted(touched & self._model.documents.keys())
            if name not in put and name not in gone
        ]
        keys = sorted({chunk.vector_key for each in documents for chunk in each.chunks})
        if sparing:
            known = self.store.known_vectors(keys)
            assert self._model.keys() & set(keys) <= known.keys()
            keys = [key for key in keys if key not in known]
        self._commit(_batch(f"commit {self._versions}", documents, states, gone, keys))

    @precondition(lambda self: self._model.batches)
    @rule(choice=st.integers(0, 1000))
    def repeat(self, choice: int) -> None:
        """Commit an earlier batch again."""
        self._commit(self._model.batches[choice % len(self._model.batches)])

    @rule(keep=st.booleans())
    def reopen(self, *, keep: bool) -> None:
        """Go on with another object; `keep` closes the old one only afterwards."""
        old = self.store
        if not keep:
            old.close()
        self._store = self._reopen(old)
        old.close()

    @rule(shape=st.integers(0, len(_SHAPES) - 1), k=st.integers(1, 30), where=_FILTERS)
    def search(self, shape: int, k: int, where: SearchFilter) -> None:
        """Search for one of the vectors."""
        query = _SHAPES[shape]
        hits = self.store.search(query, k=k, where=where)
        expected = self._model.search(query, k, where)
        assert expected == [(hit.score, hit.chunk_id) for hit in hits]

    @invariant()
    def agrees(self) -> None:
        """Counts, states and chunks are those of the model."""
        if self._store is None:
            return
        model, info = self._model, self.store.info()
        assert (
            len(model.results),
            len(model.documents),
            len(model.chunks()),
            len(model.keys()),
        ) == (info.sequence, info.documents, info.chunks, info.vectors)
        expected = [model.documents[name].state for name in sorted(model.documents)]
        assert expected == self.store.documents()
        for name, document in model.documents.items():
            assert document.chunks == self.store.chunk_rows(name)

    def teardown(self) -> None:
        """Close the store."""
        if self._store is not None:
            self._store.close()

    def _commit(self, batch: CommitBatch) -> None:
        expected = self._model.commit(batch)
        result = self.store.commit(batch)
        assert expected == replace(result, vectors=0)


def _batch(
    name: str,
    documents: Sequence[DocumentRecord],
    touched: Sequence[DocumentState],
    deleted: Sequence[str],
    keys: Sequence[str],
) -> CommitBatch:
    vectors = np.stack([unit(key) for key in keys]) if keys else None
    return CommitBatch(name, documents, touched, deleted, keys, vectors)
