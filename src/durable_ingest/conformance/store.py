"""What every store promises, as tests.

```python
class TestMyStore(StoreContract):
    def make_store(self, settings: IndexSettings, folder: Path) -> Store:
        return MyStore.create(folder / "index", settings)

    def reopen(self, store: Store) -> Store:
        return MyStore.open(store.directory)
```
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import chain, count

import numpy as np
import pytest
from hypothesis import HealthCheck
from hypothesis import settings as configure
from hypothesis.stateful import run_state_machine_as_test

from durable_ingest.conformance.disks import memory_folder
from durable_ingest.conformance.store_cases import (
    BAD_BATCHES,
    NEW,
    SETTINGS,
    BadBatch,
    by,
    put,
)
from durable_ingest.conformance.store_model import Model, StoreMachine, record, state, unit
from durable_ingest.conformance.store_search import StoreSearchContract
from durable_ingest.errors import InvalidInput
from durable_ingest.models import ChunkRow, DocumentRecord, DocumentState
from durable_ingest.ports import (
    CommitBatch,
    CommitResult,
    Store,
)

__all__ = ["StoreContract"]


class StoreContract(StoreSearchContract):
    """Inherit it in a test class; say how to make a store and how to open it again.

    Attributes:
        examples: Random histories that the model-based test tries.
        steps: Steps of each.
    """

    examples: int = 60
    steps: int = 20

    @abstractmethod
    def reopen(self, store: Store) -> Store:
        """Another object on the same index; `store` may still be open, and stays so."""

    def test_fulfils_the_port(self, store: Store) -> None:
        """It has the port's methods."""
        assert isinstance(store, Store)

    def test_an_empty_store_holds_nothing(self, store: Store) -> None:
        """Every question has an empty answer."""
        info = store.info()
        assert (
            info.sequence,
            info.head,
            info.documents,
            info.chunks,
            info.vectors,
        ) == (0, "", 0, 0, 0)
        assert info.settings == SETTINGS
        assert store.states(["x"]) == {}
        assert store.documents() == []
        assert store.chunk_rows("x") == []
        assert store.known_vectors(["x"]) == {}
        assert store.search(unit("key-t0"), k=5) == []

    def test_what_is_put_comes_back_exactly(self, store: Store) -> None:
        """States, chunks and vectors are those that were given, bit by bit."""
        document = DocumentRecord(
            state=DocumentState(
                document_id="file:///ä/€.md",
                content_sha256="ab" * 32,
                fingerprint="f",
                media_type="text/markdown",
                title='Ünïcode \U0001f469\u200d\U0001f467 "quoted"',
                size=12,
                modified_ns=1_700_000_000_123_456_789,
                scanned_ns=2**62,
                etag='W/"x"',
                last_modified="Tue, 01 Jul 2025 10:00:00 GMT",
                metadata={"s": "ü\n", "i": 2**53 + 1, "f": 0.1, "b": True, "l": ["x", 1, 2.5]},
                chunks=1,
            ),
            chunks=[
                ChunkRow(
                    chunk_id="chunk",
                    document_id="file:///ä/€.md",
                    ordinal=0,
                    text="line\r\nline\u2028\u0085 \x00 \t 日本語 \U0001f600",
                    start=3,
                    end=30,
                    tokens=7,
                    heading_path=["A", "B / C"],
                    kind="code",
                    context="A > B\n",
                    vector_key="key",
                )
            ],
        )
        vector = np.array([[0.1, -0.7, 0.1, 0.7]], dtype=np.float32)
        result = store.commit(
            CommitBatch("c", documents=[document], vector_keys=["key"], vectors=vector)
        )
        assert result == CommitResult(sequence=1, added=1, chunks=1, vectors=1)
        for each in (store, self.reopen(store)):
            assert each.states(["file:///ä/€.md"]) == {"file:///ä/€.md": document.state}
            assert each.documents() == [document.state]
            assert each.chunk_rows("file:///ä/€.md") == document.chunks
            found = each.known_vectors(["key"])["key"]
            assert (found.dtype, found.tobytes()) == (np.dtype("float32"), vector.tobytes())
            hit = each.search(vector[0], k=1)[0]
            assert hit.score == pytest.approx(1.0, abs=1e-6)
            assert (
                document.chunks[0].text,
                "file:///ä/€.md",
                "chunk",
                3,
                30,
                ("A", "B / C"),
                document.state.title,
                document.state.metadata,
                0,
            ) == (
                hit.text,
                hit.document_id,
                hit.chunk_id,
                hit.start,
                hit.end,
                hit.heading_path,
                hit.title,
                hit.metadata,
                hit.ordinal,
            )
            if each is not store:
                each.close()

    def test_putting_replaces_the_whole_document(self, store: Store) -> None:
        """No old chunk stays, whether the new ones are more, fewer or none."""
        for number, texts in enumerate((["t0", "t1", "t0"], ["t1", "t2"], [], ["t0"]), start=1):
            document = record("d", *texts, version=number)
            result = store.commit(put(f"c{number}", document))
            assert (number == 1, number > 1) == (bool(result.added), bool(result.updated))
            assert document.chunks == store.chunk_rows("d")
            assert {"d": document.state} == store.states(["d"])
            info = store.info()
            assert (1, len(texts), len(set(texts))) == (info.documents, info.chunks, info.vectors)

    def test_content_that_returns_commits_again(self, store: Store) -> None:
        """X, Y, X are three commits, and X is what is found."""
        batches = [
            put("run 1", record("d", "t0")),
            put("run 2", record("d", "t1")),
            put("run 3", record("d", "t0")),
        ]
        sequences = [store.commit(batch).sequence for batch in batches]
        assert sequences == [1, 2, 3]
        assert [chunk.text for chunk in store.chunk_rows("d")] == ["t0"]

    def test_a_repeated_commit_does_nothing_and_says_what_it_did(self, store: Store) -> None:
        """Neither at once, nor later, nor from another object."""
        batch = put("c1", record("a", "t0", "t1"), record("b", "t1"))
        first = store.commit(batch)
        assert first == CommitResult(sequence=1, added=2, chunks=3, vectors=2)
        assert replace(first, repeated=True) == store.commit(batch)
        second = store.commit(replace(put("c2", record("a", "t2")), deleted=["b"]))
        assert second == CommitResult(sequence=2, updated=1, deleted=1, chunks=1, vectors=1)
        other = self.reopen(store)
        before = store.info()
        assert replace(first, repeated=True) == other.commit(batch)
        assert replace(second, repeated=True) == store.commit(CommitBatch("c2"))
        assert before == store.info() == other.info()
        other.close()

    def test_touching_changes_the_state_alone(self, filled: Store) -> None:
        """Chunks stay; the store keeps counting them."""
        chunks = filled.chunk_rows("here")
        touched = filled.states(["here"])["here"].model_copy(
            update={"modified_ns": 5, "metadata": {"new": "value"}}
        )
        result = filled.commit(CommitBatch("touch", touched=[touched]))
        assert result == CommitResult(sequence=2, touched=1)
        assert filled.states(["here"]) == {"here": touched}
        assert chunks == filled.chunk_rows("here")
        assert len(filled.search(unit("key-t0"), k=1, where=by(new="value"))) == 1
        assert filled.search(unit("key-t0"), k=1, where=by(kind="only")) == []

    def test_deleted_documents_are_gone_and_unknown_ones_ignored(self, filled: Store) -> None:
        """Deleting counts what was there."""
        batch = CommitBatch("delete", deleted=["nothing", "here", "here"])
        assert filled.commit(batch) == CommitResult(sequence=2, deleted=1)
        info = filled.info()
        assert (info.documents, info.chunks, info.vectors) == (0, 0, 0)
        assert filled.states(["here"]) == {}
        assert filled.search(unit("key-t0"), k=5) == []

    def test_deleting_unknown_documents_is_a_commit_too(self, store: Store) -> None:
        """Its repetition must not delete what came in between."""
        assert store.commit(CommitBatch("delete", deleted=["d"])) == CommitResult(sequence=1)
        store.commit(put("put", record("d", "t0")))
        repeated = store.commit(CommitBatch("delete", deleted=["d"]))
        assert repeated == CommitResult(sequence=1, repeated=True)
        assert list(store.states(["d"])) == ["d"]

    def test_nothing_to_do_leaves_no_commit(self, filled: Store) -> None:
        """An empty batch names the newest commit."""
        before = filled.info()
        assert filled.commit(CommitBatch("nothing")) == CommitResult(sequence=1)
        assert before == filled.info()

    def test_vectors_in_use_need_not_be_given_again(self, filled: Store) -> None:
        """A known key is enough, and a vector given for it is not stored twice."""
        known = filled.known_vectors(["key-t0", "key-t1"])
        assert list(known) == ["key-t0"]
        bare = CommitBatch("bare", documents=[record("b", "t0")])
        assert filled.commit(bare) == CommitResult(sequence=2, added=1, chunks=1)
        result = filled.commit(put("again", record("c", "t0", "t1")))
        assert result == CommitResult(sequence=3, added=1, chunks=2, vectors=1)
        assert filled.info().vectors == 2
        filled.commit(CommitBatch("less", deleted=["here", "b"]))
        assert sorted(filled.known_vectors(["key-t0", "key-t1"])) == ["key-t0", "key-t1"]

    def test_a_chunk_may_move_between_documents_of_one_batch(self, filled: Store) -> None:
        """Its id is free once its old document is replaced or deleted."""
        chunk = filled.chunk_rows("here")[0]
        taken = DocumentRecord(
            state=state("there"), chunks=[chunk.model_copy(update={"document_id": "there"})]
        )
        filled.commit(CommitBatch("move", documents=[taken], deleted=["here"]))
        assert [each.chunk_id for each in filled.chunk_rows("there")] == [chunk.chunk_id]

    def test_documents_are_listed_in_order_and_in_pages(self, store: Store) -> None:
        """Pages do not overlap; the order is that of code points."""
        ids = sorted(["b", "a", "B", "ä", "a/1", "a-1", "\U0001f600", "\uff5e", "10", "9"])
        store.commit(put("c", *(record(each, "t0") for each in ids)))
        assert ids == [each.document_id for each in store.documents()]
        paged: list[str] = []
        while page := store.documents(after=paged[-1] if paged else "", limit=3):
            paged += [each.document_id for each in page]
        assert ids == paged
        with pytest.raises(InvalidInput, match="limit is 0"):
            store.documents(limit=0)

    @pytest.mark.parametrize("case", BAD_BATCHES, ids=lambda case: case.name)
    def test_a_batch_that_contradicts_itself_changes_nothing(
        self, filled: Store, case: BadBatch
    ) -> None:
        """It is refused, the message names what is wrong, and its id stays free."""
        before = filled.info()
        with pytest.raises(InvalidInput, match=case.match):
            filled.commit(case.batch)
        assert before == filled.info()
        assert filled.states(["new", "other"]) == {}
        assert filled.commit(put("bad", NEW)).added == 1

    def test_commits_of_several_threads_and_objects_are_serialised(self, store: Store) -> None:
        """Nothing is lost and every sequence number is given once."""
        others = [self.reopen(store), store]

        def write(number: int) -> list[int]:
            target = others[number % 2]
            return [
                target.commit(put(f"{number}-{turn}", record(f"d{number}-{turn}", "t0"))).sequence
                for turn in range(5)
            ]

        with ThreadPoolExecutor(4) as pool:
            sequences = sorted(chain.from_iterable(pool.map(write, range(4))))
        assert list(range(1, 21)) == sequences
        assert [each.info().documents for each in others] == [20, 20]
        assert len(store.search(unit("key-t0"), k=100)) == 20
        others[0].close()

    def test_a_reader_sees_each_commit_of_another_object(self, store: Store) -> None:
        """At its next question, in search as elsewhere."""
        reader = self.reopen(store)
        for number in range(1, 5):
            store.commit(put(f"c{number}", record(f"d{number}", "t0", "t1")))
            assert number == reader.info().sequence
            assert 2 * number == len(reader.search(unit("key-t0"), k=100))
        store.commit(CommitBatch("delete", deleted=["d1", "d3"]))
        assert {hit.document_id for hit in reader.search(unit("key-t0"), k=100)} == {"d2", "d4"}
        reader.close()

    def test_a_closed_store_refuses(self, filled: Store) -> None:
        """Closing twice is allowed, using after is not."""
        other = self.reopen(filled)
        other.close()
        other.close()
        calls: list[Callable[[], object]] = [
            other.info,
            lambda: other.search(unit("key-t0"), k=1),
            lambda: other.commit(put("late", NEW)),
        ]
        for call in calls:
            with pytest.raises(InvalidInput, match="closed"):
                call()
        assert filled.info().sequence == 1

    def test_any_history_gives_what_a_plain_dictionary_would(self) -> None:
        """Random puts, touches, deletions, repetitions and reopenings, compared with a model."""
        with memory_folder() as root:
            numbers = count()

            def make() -> Store:
                folder = root / str(next(numbers))
                folder.mkdir()
                return self.make_store(SETTINGS, folder)

            class Machine(StoreMachine):
                """Of this store."""

                def __init__(machine) -> None:  # noqa: N805 - `self` is the contract
                    super().__init__(make, self.reopen, Model())

            run_state_machine_as_test(
                Machine,
                settings=configure(
                    max_examples=self.examples,
                    stateful_step_count=self.steps,
                    deadline=None,
                    suppress_health_check=list(HealthCheck),
                ),
            )
