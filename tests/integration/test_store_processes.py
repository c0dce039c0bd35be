"""Several processes on one index: killed writers, two writers at once, a lock that is held."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from durable_ingest.conformance.store_cases import SETTINGS, put
from durable_ingest.conformance.store_model import Model, record, unit
from durable_ingest.errors import StoreBusy
from durable_ingest.ports import CommitBatch, SearchFilter
from durable_ingest.stores.faiss import FaissStore

KILLS = 15


def batch(number: int) -> CommitBatch:
    """The commit of that number, the same in every process."""
    documents = [
        record(f"d{(number * 7 + each) % 23}", *(f"t{(number + each) % 5}" for _ in range(each)))
        for each in range(4)
    ]
    put_ids = {each.state.document_id for each in documents}
    deleted = [name for name in (f"d{number * 5 % 23}",) if name not in put_ids]
    return replace(put(f"commit {number}", *documents), deleted=deleted)


def write_on(directory: str, start: str) -> None:
    """Commit without end, saying each number once it is durable."""
    with FaissStore.open(Path(directory)) as store:
        for number in count(int(start)):
            store.commit(batch(number))
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()


def write_some(directory: str, name: str) -> None:
    """Commit forty documents once told to begin."""
    with FaissStore.open(Path(directory), lock_timeout=60) as store:
        sys.stdin.readline()
        for number in range(40):
            document = record(f"{name}{number}", "t0", f"={name} {number}")
            result = store.commit(put(f"{name} {number}", document))
            sys.stdout.write(f"{result.sequence}\n")


def hold_lock(directory: str, _: str) -> None:
    """Hold the writer lock until killed."""
    with FaissStore.open(Path(directory)) as store, store._session._exclusively():
        sys.stdout.write("held\n")
        sys.stdout.flush()
        sys.stdin.readline()


@contextmanager
def running(role: str, directory: Path, argument: object) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, __file__, role, str(directory), str(argument)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def model_at(sequence: int) -> Model:
    model = Model()
    for number in range(1, sequence + 1):
        model.commit(batch(number))
    return model


@pytest.mark.timeout(120)
def test_a_killed_writer_loses_no_commit_that_it_had_acknowledged(tmp_path: Path) -> None:
    directory = tmp_path / "index"
    FaissStore.create(directory, SETTINGS).close()
    choose = random.Random(11)
    acknowledged = 0
    for _ in range(KILLS):
        with running("write_on", directory, acknowledged + 1) as process:
            assert process.stdout is not None
            for _ in range(choose.randrange(1, 12)):
                acknowledged = int(process.stdout.readline())
            time.sleep(choose.random() * 0.02)  # so that it dies anywhere in a commit
            process.kill()
            rest = process.stdout.read().split()  # it may have got further meanwhile
            acknowledged = int(rest[-1]) if rest else acknowledged
        with FaissStore.open(directory) as store:
            info = store.verify()
            assert info == store.info()
            assert info.sequence in {acknowledged, acknowledged + 1}
            acknowledged = info.sequence
            model = model_at(acknowledged)
            expected = [model.documents[name].state for name in sorted(model.documents)]
            assert expected == store.documents()
            hits = store.search(unit("key-t0"), k=1000)
            assert model.search(unit("key-t0"), 1000, SearchFilter()) == [
                (hit.score, hit.chunk_id) for hit in hits
            ]
            assert store.commit(batch(acknowledged)).repeated
    assert acknowledged > KILLS


def test_two_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    directory = tmp_path / "index"
    FaissStore.create(directory, SETTINGS).close()
    with (
        running("write_some", directory, "a") as first,
        running("write_some", directory, "b") as second,
        FaissStore.open(directory) as reader,
    ):
        for process in (first, second):
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        seen = 0
        while reader.info().sequence < 80:  # each look is consistent, and none goes back
            info = reader.info()
            hits = reader.search(unit("key-t0"), k=1000)
            assert info.sequence >= seen
            assert info.chunks == 2 * info.documents == 2 * info.sequence
            assert len(hits) >= info.chunks
            seen = info.sequence
            assert {first.poll(), second.poll()} <= {None, 0}
        sequences = [
            int(line) for process in (first, second) for line in process.communicate()[0].split()
        ]
        assert sorted(sequences) == list(range(1, 81))
        expected = sorted(f"{name}{number}" for name in "ab" for number in range(40))
        assert expected == [each.document_id for each in reader.documents()]
        assert reader.verify() == reader.info()


def test_a_held_lock_is_reported_with_its_holder_and_freed_by_its_death(tmp_path: Path) -> None:
    directory = tmp_path / "index"
    FaissStore.create(directory, SETTINGS).close()
    with (
        running("hold_lock", directory, "") as holder,
        FaissStore.open(directory, lock_timeout=0.1) as store,
    ):
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(StoreBusy, match=f"process {holder.pid} is writing"):
            store.commit(put("c", record("a", "t0")))
        assert store.info().sequence == 0  # readers do not wait
        holder.kill()
        holder.wait()
        assert store.commit(put("c", record("a", "t0"))).sequence == 1


def test_lookups_that_nobody_may_build_are_held_in_memory(tmp_path: Path) -> None:
    directory = tmp_path / "index"
    with FaissStore.create(directory, SETTINGS) as store:
        store.commit(put("c", record("a", "t0")))
    with running("hold_lock", directory, "") as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        for each in (directory / "derived").iterdir():
            each.unlink()
        with FaissStore.open(directory, lock_timeout=0.1) as store:
            assert [hit.document_id for hit in store.search(unit("key-t0"), k=1)] == ["a"]
            assert not (directory / "derived" / "lookup.sqlite").exists()


if __name__ == "__main__":
    {"write_on": write_on, "write_some": write_some, "hold_lock": hold_lock}[sys.argv[1]](
        *sys.argv[2:]
    )
