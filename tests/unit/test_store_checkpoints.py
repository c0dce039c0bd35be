"""Checkpoints shorten replay, keep their distance, and are never believed blindly."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from durable_ingest.conformance.disks import memory_folder
from durable_ingest.conformance.store_cases import SETTINGS, put
from durable_ingest.conformance.store_model import record, state, unit
from durable_ingest.files import OsFiles
from durable_ingest.ports import CommitBatch
from durable_ingest.stores import checkpoints
from durable_ingest.stores.checkpoints import EVERY, Checkpoints
from durable_ingest.stores.faiss import FaissStore
from durable_ingest.stores.log import Totals


@pytest.fixture
def folder() -> Iterator[Path]:
    with memory_folder() as found:
        yield found


def write_many(place: Path, first: int, last: int) -> None:
    with FaissStore.create(place, SETTINGS) as store:
        for number in range(first, last + 1):
            batch = put(f"c{number}", record(f"d{number % 9}", f"t{number % 5}", f"={number}"))
            store.commit(batch)
        store.commit(CommitBatch(f"touch{last}", touched=[state("d1", {"at": last})]))


def names(place: Path) -> list[str]:
    return sorted(path.name for path in (place / "checkpoints").iterdir())


class CountingFiles(OsFiles):
    """Counts the files of the log that are read."""

    def __init__(self) -> None:
        self.commits: set[str] = set()
        self.segments: set[str] = set()

    def read(self, path: Path) -> bytes:
        if path.parent.name in {"commits", "segments"}:
            (self.commits if path.parent.name == "commits" else self.segments).add(path.name)
        return super().read(path)


def test_a_checkpoint_is_written_every_so_many_commits_and_two_are_kept(folder: Path) -> None:
    place = folder / "index"
    write_many(place, 1, EVERY - 2)
    assert names(place) == []
    write_many(place, EVERY, 2 * EVERY)
    assert names(place) == ["00000064.json", "00000128.json"]
    write_many(place, 2 * EVERY + 1, 3 * EVERY)
    assert names(place) == ["00000128.json", "00000192.json"]


def test_replay_begins_at_the_newest_checkpoint(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "EVERY", 16)
    monkeypatch.setattr("durable_ingest.stores.recovery.EVERY", 4)
    place = folder / "index"
    write_many(place, 1, 100)
    with FaissStore.open(place) as store:
        expected = (store.info(), store.documents(), store.search(unit("key-t0"), k=99))
    shutil.rmtree(place / "derived")
    files = CountingFiles()
    with FaissStore.open(place, files=files) as store:
        assert expected == (store.info(), store.documents(), store.search(unit("key-t0"), k=99))
        assert store.commit(put("c7", record("d7", "t0"))).repeated  # known from the checkpoint
        store.verify()
    assert names(place)[-1] == "00000096.json"
    fresh = CountingFiles()
    shutil.rmtree(place / "derived")
    FaissStore.open(place, files=fresh).close()
    assert {f"{number:08d}.json" for number in range(96, 102)} == fresh.commits
    assert len(fresh.segments) < 20


def test_a_checkpoint_of_another_history_is_not_used(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "EVERY", 4)
    place, other = folder / "index", folder / "other"
    write_many(place, 1, 6)
    write_many(other, 10, 15)
    with FaissStore.open(place) as store:
        expected = (store.info(), store.documents())
    shutil.copy(other / "checkpoints" / "00000004.json", place / "checkpoints")
    shutil.rmtree(place / "derived")
    with FaissStore.open(place) as store:
        assert expected == (store.info(), store.documents())


def test_a_checkpoint_ahead_of_the_log_is_not_used(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "EVERY", 4)
    place = folder / "index"
    write_many(place, 1, 8)
    for path in (place / "commits").iterdir():
        if int(path.stem) > 3:
            path.unlink()
    shutil.rmtree(place / "derived")
    with FaissStore.open(place) as store:
        assert store.info().sequence == 3


def test_a_checkpoint_names_places_and_repeats_no_text(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "EVERY", 4)
    write_many(folder / "index", 1, 4)
    content = (folder / "index" / "checkpoints" / "00000004.json").read_text()
    assert set(json.loads(content)) == {
        "sequence",
        "head",
        "totals",
        "commits",
        "segments",
        "keys",
        "documents",
        "sha256",
    }
    assert "key-" not in content


def test_checkpoints_grow_rarer_as_the_index_grows(tmp_path: Path) -> None:
    paced = Checkpoints(tmp_path, OsFiles())
    small, large = Totals(documents=100), Totals(documents=10_000_000)
    assert [False, True, False] == [
        paced.due(each, small) for each in (EVERY - 1, EVERY, EVERY + 1)
    ]
    assert not paced.due(EVERY, large)
    assert paced.due(2000 * EVERY, large)
    assert paced.due(EVERY, Totals(documents=10_000_000, writes=5_000_000))
