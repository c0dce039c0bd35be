"""What every store promises of searches; part of `StoreContract`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from durable_ingest.conformance.store_cases import (
    BAD_QUERIES,
    DOCUMENTS,
    MATCHING,
    SETTINGS,
    BadQuery,
    Matching,
    by,
    put,
)
from durable_ingest.conformance.store_model import record, unit
from durable_ingest.errors import InvalidInput
from durable_ingest.models import ChunkRow, DocumentRecord
from durable_ingest.ports import CommitBatch, IndexSettings, SearchFilter, Store


class StoreSearchContract:
    """Searches: order, ties, filters, and as many hits as there can be."""

    @abstractmethod
    def make_store(self, settings: IndexSettings, folder: Path) -> Store:
        """A new, empty store; `folder` is an empty folder for it alone."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Store]:
        """An empty store."""
        store = self.make_store(SETTINGS, tmp_path)
        yield store
        store.close()

    @pytest.fixture
    def filled(self, store: Store) -> Store:
        """A store with the document `here` and its one chunk, and the documents for filters."""
        store.commit(put("here", record("here", "t0", metadata={"kind": "only"})))
        return store

    @pytest.mark.parametrize("case", BAD_QUERIES, ids=lambda case: case.name)
    def test_a_senseless_search_is_refused(self, filled: Store, case: BadQuery) -> None:
        """The message says what was given."""
        with pytest.raises(InvalidInput, match=case.match):
            filled.search(case.vector, k=case.k, where=case.where)

    @pytest.mark.parametrize("case", MATCHING, ids=lambda case: case.name)
    def test_filters_match_exactly(self, store: Store, case: Matching) -> None:
        """Values are compared by type and value, names as they are."""
        documents = [record(name, "t0", metadata=data) for name, data in DOCUMENTS.items()]
        store.commit(put("c", *documents))
        hits = store.search(unit("key-t0"), k=50, where=case.where)
        assert sorted(case.expected) == sorted(hit.document_id for hit in hits)

    def test_equal_scores_are_ordered_by_chunk_id(self, store: Store) -> None:
        """Also where `k` cuts through them, whatever the order of writing was."""
        for number in range(12):
            store.commit(
                put(f"c{number}", record(f"d{number * 7 % 12}", "t0", "t4", f"=t0 {number}"))
            )
        every = store.search(unit("key-t0"), k=100)
        expected = sorted(every, key=lambda hit: (-hit.score, hit.chunk_id))
        assert [hit.chunk_id for hit in expected] == [hit.chunk_id for hit in every]
        assert len(every) == 36
        for k in range(1, 37):
            cut = store.search(unit("key-t0"), k=k)
            assert [hit.chunk_id for hit in expected[:k]] == [hit.chunk_id for hit in cut]

    def test_restrictions_leave_k_hits_if_there_are_k(self, store: Store) -> None:
        """However many better ones they drop."""
        many = record("many", *["t0"] * 60, *(f"=t0 {number}" for number in range(60)))
        few = [
            record(f"few{number}", f"t{number % 3}", metadata={"few": True}) for number in range(6)
        ]
        store.commit(put("c", many, *few))
        where = by(few=True)
        assert len(store.search(unit("key-t0"), k=6, where=where)) == 6
        assert len(store.search(unit("key-t0"), k=9, where=where)) == 6
        hits = store.search(unit("key-t0"), k=7, where=SearchFilter(per_document=1))
        assert len({hit.document_id for hit in hits}) == 7
        hits = store.search(unit("key-t0"), k=100, where=SearchFilter(per_document=3))
        assert [
            sum(hit.document_id == "many" for hit in hits),
            sum(hit.document_id != "many" for hit in hits),
        ] == [3, 6]

    def test_search_agrees_with_exhaustive_comparison(self, store: Store, tmp_path: Path) -> None:
        """On vectors without structure, for every `k`, after replacing and deleting."""
        random = np.random.default_rng(7)
        folder = tmp_path / "other"
        folder.mkdir()
        store = self.make_store(replace(SETTINGS, dimension=24), folder)
        vectors: dict[str, NDArray[np.float32]] = {}
        live: dict[str, list[ChunkRow]] = {}
        for number in range(6):
            documents: list[DocumentRecord] = []
            for each in range(40):
                name = f"d{each + number * 20}"
                document = record(name, *(f"{number} {each} {place}" for place in range(3)))
                documents.append(document)
                live[name] = list(document.chunks)
            keys = [chunk.vector_key for document in documents for chunk in document.chunks]
            rows = random.standard_normal((len(keys), 24))
            rows /= np.linalg.norm(rows, axis=1, keepdims=True)
            matrix = rows.astype(np.float32)
            vectors |= dict(zip(keys, matrix, strict=True))
            gone = [f"d{number}", f"d{number * 20 + 60}"]
            for name in gone:
                live.pop(name, None)
            documents = [each for each in documents if each.state.document_id not in gone]
            store.commit(CommitBatch(f"c{number}", documents, (), gone, keys, matrix))
            query = random.standard_normal(24).astype(np.float32)
            unit_query = query / np.linalg.norm(query)
            expected = sorted(
                (
                    (
                        float(vectors[chunk.vector_key].astype(np.float64) @ unit_query),
                        chunk.chunk_id,
                    )
                    for chunks in live.values()
                    for chunk in chunks
                ),
                reverse=True,
            )
            for k in (1, 10, 1000):
                hits = store.search(query, k=k)
                assert [each[1] for each in expected[:k]] == [hit.chunk_id for hit in hits]
                scores = [each[0] for each in expected[:k]]
                assert scores == pytest.approx([hit.score for hit in hits], abs=1e-5)
        store.close()
