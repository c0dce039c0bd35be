"""Damaged files: those of the log are found and named, derived ones come back."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from durable_ingest.conformance.disks import memory_folder
from durable_ingest.conformance.store_cases import SETTINGS, put
from durable_ingest.conformance.store_model import record, state, unit
from durable_ingest.errors import IndexDamaged, InvalidInput
from durable_ingest.models import ChunkRow, DocumentState
from durable_ingest.ports import CommitBatch, SearchHit, StoreInfo
from durable_ingest.stores import checkpoints
from durable_ingest.stores.faiss import FaissStore

Everything = tuple[StoreInfo, list[DocumentState], list[list[ChunkRow]], list[SearchHit]]


@pytest.fixture
def folder() -> Iterator[Path]:
    with memory_folder() as found:
        yield found


@pytest.fixture
def index(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An index with six commits, a checkpoint of the fourth, and no process that uses it."""
    monkeypatch.setattr(checkpoints, "EVERY", 4)
    place = folder / "index"
    with FaissStore.create(place, SETTINGS) as store:
        store.commit(put("1", record("a", "t0", "t1"), record("b", "t2")))
        store.commit(put("2", record("c", "t3", metadata={"x": 1})))
        store.commit(CommitBatch("3", touched=[state("a", {"x": 2})]))
        store.commit(put("4", record("b", "t2", "t4"), record("d")))
        store.commit(CommitBatch("5", deleted=["c"]))
        store.commit(put("6", record("e", "=t0")))
    assert [each.name for each in (place / "checkpoints").iterdir()] == ["00000004.json"]
    return place


def read_all(store: FaissStore) -> Everything:
    documents = store.documents()
    chunks = [store.chunk_rows(each.document_id) for each in documents]
    return store.info(), documents, chunks, store.search(unit("key-t0"), k=100)


def look(place: Path) -> Everything:
    with FaissStore.open(place) as store:
        return read_all(store)


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def empty(data: bytes) -> bytes:
    return data[:0]


def zeroed(data: bytes) -> bytes:
    return bytes(len(data))


def flipped(data: bytes) -> bytes:
    place = len(data) * 2 // 3
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def longer(data: bytes) -> bytes:
    return data + b"\0"


DAMAGES = [cut, empty, zeroed, flipped, longer]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda each: each.__name__)
def test_damage_to_any_file_of_the_log_is_found_and_named(
    index: Path, damage: Callable[[bytes], bytes]
) -> None:
    expected = look(index)
    files = [
        index / "index.json",
        *sorted((index / "commits").iterdir()),
        *sorted((index / "segments").iterdir()),
    ]
    assert len(files) > 10
    for path in files:
        good = path.read_bytes()
        path.write_bytes(damage(good))
        if path.read_bytes() == good:  # half of nothing
            continue
        with pytest.raises(IndexDamaged, match=path.name), FaissStore.open(index) as store:
            store.verify()
        # Whatever is served all the same does not depend on the damaged file.
        try:
            complaint, served = path.name, look(index)
        except IndexDamaged as error:
            complaint, served = str(error), expected
        assert path.name in complaint
        assert expected == served
        path.write_bytes(good)
        assert expected == look(index)


@pytest.mark.parametrize("keep_lookups", [True, False], ids=["lookups", "no lookups"])
def test_a_missing_file_of_the_log_is_found_and_named(index: Path, *, keep_lookups: bool) -> None:
    commits, segments = index / "commits", index / "segments"
    for path in (*sorted(commits.iterdir()), *sorted(segments.iterdir())):
        hidden = path.rename(index.parent / path.name)
        if not keep_lookups:
            shutil.rmtree(index / "derived", ignore_errors=True)
            shutil.rmtree(index / "checkpoints", ignore_errors=True)
            if path.name == "00000006.json":
                hidden.rename(path)  # without lookups nobody can know that there was more
                continue
        with pytest.raises(IndexDamaged, match=path.name), FaissStore.open(index) as store:
            store.verify()
        hidden.rename(path)
    assert look(index)[0].sequence == 6


def test_a_missing_index_json_beside_commits_is_damage_and_not_a_new_index(index: Path) -> None:
    (index / "index.json").unlink()
    with pytest.raises(IndexDamaged, match=r"index\.json"):
        FaissStore.open(index)
    with pytest.raises(IndexDamaged, match=r"index\.json"):
        FaissStore.create(index, SETTINGS)


def test_commits_of_another_index_are_refused(index: Path, folder: Path) -> None:
    other = folder / "other"
    with FaissStore.create(other, SETTINGS) as store:
        store.commit(put("1", record("a", "t4")))
    shutil.rmtree(index / "derived")
    shutil.rmtree(index / "checkpoints")
    shutil.copy(other / "commits" / "00000001.json", index / "commits")
    with pytest.raises(IndexDamaged, match=r"00000001\.json|00000002\.json"):
        look(index)


def test_a_commit_on_a_damaged_log_is_refused(index: Path) -> None:
    newest = index / "commits" / "00000006.json"
    newest.write_bytes(flipped(newest.read_bytes()))
    with pytest.raises(IndexDamaged, match=r"00000006\.json"):
        FaissStore.open(index)


@dataclass(frozen=True)
class Loss:
    """What is done to the lookups."""

    name: str
    inflict: Callable[[Path], None]


def remove_all(derived: Path) -> None:
    shutil.rmtree(derived)


def empty_folder(derived: Path) -> None:
    shutil.rmtree(derived)
    derived.mkdir()


def write_garbage(derived: Path) -> None:
    (derived / "lookup.sqlite").write_bytes(b"garbage " * 1000)


def truncate(derived: Path) -> None:
    path = derived / "lookup.sqlite"
    path.write_bytes(cut(path.read_bytes()))


def run(*statements: str) -> Callable[[Path], None]:
    def inflict(derived: Path) -> None:
        connection = sqlite3.connect(derived / "lookup.sqlite", isolation_level=None)
        for statement in statements:
            connection.execute(statement)
        connection.close()

    return inflict


LOSSES = [
    Loss("removed", remove_all),
    Loss("emptied", empty_folder),
    Loss("garbage", write_garbage),
    Loss("truncated", truncate),
    Loss("a table gone", run("DROP TABLE chunks")),
    Loss("a chunk gone", run("DELETE FROM chunks WHERE n = 1")),
    Loss("a document gone", run("DELETE FROM documents WHERE n = 1")),
    Loss("a vector gone", run("DELETE FROM vectors WHERE n = 1")),
    Loss("a commit gone", run("DELETE FROM commits WHERE n = 2")),
    Loss("a segment gone", run("DELETE FROM segments WHERE n = 1")),
    Loss("a chunk moved", run("UPDATE chunks SET start = start + 1 WHERE n = 1")),
    Loss("a state changed", run("UPDATE documents SET state = replace(state, '0', '1')")),
    Loss("a use forgotten", run("UPDATE vectors SET refs = refs - 1 WHERE n = 1")),
    Loss("an older sequence", run("UPDATE meta SET sequence = 3")),
    Loss("a newer sequence", run("UPDATE meta SET sequence = 9")),
    Loss("another head", run("UPDATE meta SET head = 'abc'")),
    Loss("no row of meta", run("DELETE FROM meta")),
]


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.name)
@pytest.mark.parametrize("with_checkpoint", [True, False], ids=["checkpoint", "no checkpoint"])
def test_lost_or_damaged_lookups_come_back_from_the_log(
    index: Path, loss: Loss, *, with_checkpoint: bool
) -> None:
    expected = look(index)
    if not with_checkpoint:
        shutil.rmtree(index / "checkpoints")
    loss.inflict(index / "derived")
    assert expected == look(index)
    with FaissStore.open(index) as store:
        assert store.commit(put("6", record("e", "t0"))).repeated
        assert store.commit(put("7", record("e", "t0"))).updated == 1
        store.verify()


@pytest.mark.parametrize("loss", [*LOSSES[:2], *LOSSES[5:]], ids=lambda loss: loss.name)
def test_lookups_lost_while_the_index_is_open_come_back(index: Path, loss: Loss) -> None:
    with FaissStore.open(index) as store:
        expected = read_all(store)
        loss.inflict(index / "derived")
        with FaissStore.open(index) as second:  # finds the damage and builds new ones
            assert expected == read_all(second)
        assert expected == read_all(store)
        assert store.commit(put("7", record("e", "t0"))).updated == 1
        store.verify()


ALIVE = [each for each in LOSSES if each.name in {"a chunk gone", "a vector gone", "a chunk moved"}]


@pytest.mark.parametrize("loss", ALIVE, ids=lambda loss: loss.name)
def test_lookups_damaged_under_an_open_index_are_noticed_when_read(index: Path, loss: Loss) -> None:
    with FaissStore.open(index) as store:
        expected = read_all(store)
        loss.inflict(index / "derived")
        assert expected[3] == store.search(unit("key-t0"), k=100)
        assert expected == read_all(store)


def test_opening_a_sound_index_builds_nothing(index: Path) -> None:
    lookups = index / "derived" / "lookup.sqlite"
    before = lookups.stat().st_ino
    with FaissStore.open(index) as store:
        store.commit(put("7", record("a", "t0"), record("b")))
        store.commit(CommitBatch("8", touched=[state("a")], deleted=["d"]))
        with FaissStore.open(index) as second:
            assert second.info() == store.info()
    assert look(index)[0].sequence == 8
    assert before == lookups.stat().st_ino


def test_a_damaged_segment_that_a_commit_needs_is_written_again(index: Path) -> None:
    batch = put("7", record("f", "t0", "a vector of its own"))
    calm = shutil.copytree(index, index.parent / "calm")
    with FaissStore.open(calm) as store:
        store.commit(batch)
    for path in (calm / "segments").iterdir():
        if not (index / "segments" / path.name).exists():
            (index / "segments" / path.name).write_bytes(flipped(path.read_bytes()))
    with FaissStore.open(index) as store:
        store.commit(batch)
        assert store.verify() == store.info()


def test_lookups_that_know_of_lost_commits_say_what_to_do(index: Path) -> None:
    (index / "commits" / "00000006.json").unlink()
    with pytest.raises(
        IndexDamaged, match=r"00000006\.json.*know of 6 commits .delete that folder"
    ):
        FaissStore.open(index)
    shutil.rmtree(index / "derived")
    assert look(index)[0].sequence == 5


def test_lookups_that_fell_behind_catch_up(index: Path) -> None:
    older = index.parent / "older"
    shutil.copytree(index / "derived", older)
    with FaissStore.open(index) as store:
        for number in range(7, 12):
            store.commit(put(str(number), record("e", f"t{number % 5}")))
        store.commit(CommitBatch("delete", deleted=["a"]))
    expected = look(index)
    shutil.rmtree(index / "derived")
    older.rename(index / "derived")
    assert expected == look(index)


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda each: each.__name__)
def test_a_damaged_checkpoint_costs_nothing_but_time(
    index: Path, damage: Callable[[bytes], bytes]
) -> None:
    expected = look(index)
    path = index / "checkpoints" / "00000004.json"
    path.write_bytes(damage(path.read_bytes()))
    shutil.rmtree(index / "derived")
    assert expected == look(index)


def test_any_flipped_bit_in_the_lookups_is_harmless(index: Path) -> None:
    expected = look(index)
    path = index / "derived" / "lookup.sqlite"
    good = path.read_bytes()
    choose = random.Random(5)
    for _ in range(150):
        place = choose.randrange(len(good))
        path.write_bytes(
            good[:place] + bytes([good[place] ^ (1 << choose.randrange(8))]) + good[place + 1 :]
        )
        assert expected == look(index)


def test_a_flipped_bit_in_the_write_ahead_log_of_sqlite_loses_nothing(index: Path) -> None:
    with FaissStore.open(index) as store:
        for number in range(7, 12):
            store.commit(put(str(number), record("e", f"t{number % 5}")))
        crashed = shutil.copytree(index, index.parent / "crashed")
        expected = read_all(store)
    log = crashed / "derived" / "lookup.sqlite-wal"
    good, lookups = log.read_bytes(), (crashed / "derived" / "lookup.sqlite").read_bytes()
    assert good
    for place in range(40, len(good), len(good) // 60):
        (crashed / "derived" / "lookup.sqlite").write_bytes(lookups)
        (crashed / "derived" / "lookup.sqlite-shm").unlink(missing_ok=True)
        log.write_bytes(good[:place] + bytes([good[place] ^ 16]) + good[place + 1 :])
        assert expected == look(crashed)


def test_a_closed_or_damaged_index_takes_no_commit(index: Path) -> None:
    store = FaissStore.open(index)
    store.close()
    with pytest.raises(InvalidInput, match="closed"):
        store.verify()
