"""No space left at any file call: said so, nothing changed, the next commit works."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from durable_ingest.conformance.disks import FullDisk, memory_folder
from durable_ingest.conformance.store_cases import SETTINGS, put
from durable_ingest.conformance.store_model import record, unit
from durable_ingest.errors import StorageFull
from durable_ingest.files import TEMPORARY, OsFiles
from durable_ingest.stores import checkpoints
from durable_ingest.stores.faiss import FaissStore
from durable_ingest.stores.lookup import Lookup

BATCH = put("batch", record("a", "t2"), record("new", "t3"))


@pytest.fixture
def folder() -> Iterator[Path]:
    with memory_folder() as found:
        yield found


def begin(place: Path) -> None:
    with FaissStore.create(place, SETTINGS) as store:
        store.commit(put("first", record("a", "t0", "t1")))


def steps_to_open(place: Path) -> int:
    disk = FullDisk(10**9)
    FaissStore.open(place, files=disk).close()
    return disk.steps


@pytest.mark.parametrize("lasting", [False, True], ids=["once", "lasting"])
def test_a_full_disk_leaves_the_index_as_it_was(folder: Path, *, lasting: bool) -> None:
    failures = 0
    while True:
        place = folder / str(failures)
        begin(place)
        disk = FullDisk(steps_to_open(place) + failures, lasting=lasting)
        with FaissStore.open(place, files=disk) as store:
            before = store.info()
            try:
                store.commit(BATCH)
            except StorageFull:
                failures += 1
            else:
                break
            assert before == store.info() == store.verify()
            leftovers = [each for each in place.rglob("*") if each.name.endswith(TEMPORARY)]
            assert leftovers == []
            if not lasting:
                assert store.commit(BATCH).added == 1
        with FaissStore.open(place) as later:
            result = later.commit(BATCH)
            assert (2, 1, 1) == (result.sequence, result.added, result.updated)
            assert result.repeated is not lasting
            assert later.verify().documents == 2
    assert failures >= 6


def test_a_full_disk_while_an_index_is_made_leaves_none(folder: Path) -> None:
    failures = 0
    while True:
        place = folder / str(failures) / "index"
        try:
            FaissStore.create(place, SETTINGS, files=FullDisk(failures)).close()
        except StorageFull:
            failures += 1
        else:
            break
        with FaissStore.create(place, SETTINGS) as store:
            assert store.commit(BATCH).sequence == 1
    assert failures >= 7


def test_a_checkpoint_that_finds_no_space_does_not_fail_the_commit(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class NoCheckpoints(OsFiles):
        def replace(self, source: Path, target: Path) -> None:
            if target.parent.name == "checkpoints":
                FullDisk(0).replace(source, target)
            super().replace(source, target)

    monkeypatch.setattr(checkpoints, "EVERY", 2)
    with FaissStore.create(folder / "index", SETTINGS, files=NoCheckpoints()) as store:
        for number in range(5):
            store.commit(put(f"c{number}", record("a", f"t{number}")))
    assert list((folder / "index" / "checkpoints").iterdir()) == []
    FaissStore.open(folder / "index").close()


def test_lookups_that_find_no_space_are_held_in_memory(folder: Path) -> None:
    class NoDerived(OsFiles):
        def make_directory(self, path: Path) -> None:
            if path.name == "derived" and path.exists():
                FullDisk(0).make_directory(path)
            super().make_directory(path)

    begin(folder / "index")
    for each in (folder / "index" / "derived").iterdir():
        each.unlink()
    with FaissStore.open(folder / "index", files=NoDerived()) as store:
        assert store.commit(BATCH).sequence == 2
        assert store.info().documents == 2
    with FaissStore.open(folder / "index") as later:
        assert later.info().documents == 2


def test_lookups_without_space_in_the_middle_of_a_commit_change_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(folder / "index")
    opened = Lookup.open

    def open_small(path: Path) -> Lookup:
        lookup = opened(path)
        pages = lookup.connection.execute("PRAGMA page_count").fetchone()[0]
        lookup.connection.execute(f"PRAGMA max_page_count = {pages}")
        return lookup

    monkeypatch.setattr(Lookup, "open", open_small)
    many = put("many", *(record(f"document {number}", "t0", "t1") for number in range(500)))
    with FaissStore.open(folder / "index") as store:
        before = store.info()
        with pytest.raises(StorageFull, match="lookups"):
            store.commit(many)
        assert before == store.info()
    monkeypatch.undo()
    with FaissStore.open(folder / "index") as store:
        assert store.commit(many).added == 500


def test_lookups_that_fail_after_the_commit_is_durable_do_not_undo_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    begin(folder / "index")
    with FaissStore.open(folder / "index") as store:
        monkeypatch.setattr("durable_ingest.stores.writing.record_commits", fail)
        assert store.commit(BATCH).sequence == 2
        monkeypatch.undo()
        assert store.info() == store.verify()
        assert store.commit(BATCH).repeated


def test_a_reader_catches_up_with_a_commit_whose_writer_died_before_the_lookups(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    begin(folder / "index")
    with (
        FaissStore.open(folder / "index") as reader,
        FaissStore.open(folder / "index") as writer,
    ):
        assert len(reader.search(unit("key-t0"), k=9)) == 2
        monkeypatch.setattr("durable_ingest.stores.writing.record_commits", fail)
        assert writer.commit(BATCH).sequence == 2
        monkeypatch.undo()
        assert [hit.text for hit in reader.search(unit("key-t2"), k=1)] == ["t2"]
        assert reader.info() == reader.verify() == writer.info()
