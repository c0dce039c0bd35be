"""One store object, several threads: snapshots hold together and nobody waits forever."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from durable_ingest.conformance.store_cases import SETTINGS, put
from durable_ingest.conformance.store_model import record, unit
from durable_ingest.errors import StoreBusy
from durable_ingest.ports import CommitBatch
from durable_ingest.stores.faiss import FaissStore

COMMITS = 40


@pytest.mark.timeout(60)
def test_a_search_sees_whole_commits_while_others_commit_and_lookups_vanish(
    tmp_path: Path,
) -> None:
    done = Event()
    # Each commit replaces the one document, whose chunks all carry the number of the commit.
    batches = [
        put(f"c{number}", record("d", *(f"t{each} {number}" for each in range(5))))
        for number in range(COMMITS)
    ]
    with FaissStore.create(tmp_path / "index", SETTINGS) as store:
        store.commit(batches[0])

        def write() -> None:
            for batch in batches[1:]:
                store.commit(batch)
            done.set()

        def read() -> int:
            looks = 0
            while not done.is_set() or not looks:
                texts = [hit.text for hit in store.search(unit("key-t0"), k=50)]
                assert len(texts) == 5
                assert len({text.split()[1] for text in texts}) == 1
                looks += 1
            return looks

        def vanish() -> int:
            removed = 0
            while not done.is_set():
                (tmp_path / "index" / "derived" / "lookup.sqlite").unlink(missing_ok=True)
                removed += 1
                done.wait(0.02)
            return removed

        with ThreadPoolExecutor(4) as pool:
            jobs: list[Callable[[], object]] = [write, read, read, vanish]
            for job in [pool.submit(each) for each in jobs]:
                job.result()
        info = store.info()
        assert (COMMITS, 1, 5) == (info.sequence, info.documents, info.chunks)
        assert info == store.verify()


def test_a_second_thread_waits_for_the_first_and_then_gives_up(tmp_path: Path) -> None:
    entered, leave = Event(), Event()
    with FaissStore.create(tmp_path / "index", SETTINGS, lock_timeout=0.05) as store:

        def hold() -> None:
            with store._session._exclusively():
                entered.set()
                leave.wait(20)

        with ThreadPoolExecutor(1) as pool:
            holder = pool.submit(hold)
            assert entered.wait(20)
            with pytest.raises(StoreBusy, match="another thread"):
                store.commit(CommitBatch("c", deleted=["x"]))
            assert store.info().sequence == 0
            leave.set()
            holder.result()
        assert store.commit(CommitBatch("c", deleted=["x"])).sequence == 1
