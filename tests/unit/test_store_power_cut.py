"""Power cuts at every file call: a later start finds the commit before or the one after."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from durable_ingest.conformance.disks import FragileDisk, PowerCut, memory_folder
from durable_ingest.conformance.store_cases import SETTINGS, put
from durable_ingest.conformance.store_model import record, state, unit
from durable_ingest.errors import IndexMissing
from durable_ingest.files import TEMPORARY
from durable_ingest.models import ChunkRow, DocumentState
from durable_ingest.ports import CommitBatch, CommitResult, SearchHit
from durable_ingest.stores import checkpoints
from durable_ingest.stores.faiss import FaissStore

DERIVED = "derived"
# Locks are no data, and SQLite writes the lookups itself, after the commit is durable.
IGNORED = (DERIVED, "writer.lock", "writer.pid")


@dataclass(frozen=True)
class Seen:
    """All that an index says of itself."""

    sequence: int
    head: str
    documents: tuple[DocumentState, ...]
    chunks: tuple[tuple[ChunkRow, ...], ...]
    hits: tuple[SearchHit, ...]


def look(store: FaissStore) -> Seen:
    info = store.verify()
    assert info == store.info()
    documents = tuple(store.documents())
    chunks = tuple(tuple(store.chunk_rows(each.document_id)) for each in documents)
    hits = tuple(store.search(unit("key-t0"), k=100))
    assert sum(map(len, chunks)) == len(hits) == info.chunks
    return Seen(info.sequence, info.head, documents, chunks, hits)


def same_content(seen: Seen, other: Seen) -> bool:
    """Whether two indexes hold the same; commit times make their digests differ."""
    return replace(seen, head="") == replace(other, head="")


@dataclass(frozen=True)
class Case:
    """A commit to be cut short, on top of an index with two commits."""

    name: str
    batch: CommitBatch


CASES = [
    Case("new documents", put("cut", record("c", "t2", "t3"), record("d", "t0"))),
    Case("replaced", put("cut", record("a", "t3", "t3"), record("b"))),
    Case("deleted", CommitBatch("cut", deleted=["a", "zzz"])),
    Case("touched", CommitBatch("cut", touched=[state("b", {"x": 1})])),
    Case("segments that are there already", put("cut", record("a", "t0", "t1"))),
    Case(
        "everything at once",
        replace(put("cut", record("c", "t4")), deleted=["a"], touched=[state("b", {"x": 2})]),
    ),
]


@pytest.fixture
def folder() -> Iterator[Path]:
    with memory_folder() as found:
        yield found


def begin(place: Path, commits: int = 2) -> Path:
    with FaissStore.create(place, SETTINGS) as store:
        store.commit(put("first", record("a", "t0", "t1")))
        for number in range(2, commits + 1):
            store.commit(put(f"commit {number}", record("b", f"t{number % 5}", "t0")))
    return place


def lookups_before(root: Path, aftermath: Path) -> None:
    shutil.copytree(root.with_name("start") / DERIVED, aftermath / DERIVED)


def lookups_now(root: Path, aftermath: Path) -> None:
    shutil.copytree(root / DERIVED, aftermath / DERIVED)


def lookups_gone(root: Path, aftermath: Path) -> None:
    assert root != aftermath


LOOKUPS = [lookups_before, lookups_now, lookups_gone]


def sweep(
    folder: Path, batch: CommitBatch, variant: Callable[[Path, Path], None], commits: int = 2
) -> int:
    """Cut the power at every step of a commit; returns how many aftermaths were looked at."""
    start = begin(folder / "start", commits)
    with FaissStore.open(start) as store:
        before = look(store)
    calm = shutil.copytree(start, folder / "calm")
    with FaissStore.open(calm, files=(disk := FragileDisk(calm, ignore=IGNORED))) as store:
        steps_to_open = disk.steps
        result = store.commit(batch)
        after = look(store)
    looked = 0
    for calls in range(steps_to_open, disk.steps + 1):
        root = shutil.copytree(start, folder / f"cut-{calls}")
        fragile = FragileDisk(root, calls=calls, ignore=IGNORED)
        acknowledged = True
        store = FaissStore.open(root, files=fragile)
        try:
            store.commit(batch)
        except PowerCut:
            acknowledged = False
        for aftermath in fragile.aftermaths(folder / "after"):
            variant(root, aftermath)
            looked += 1
            check(aftermath, batch, before, after, result, acknowledged=acknowledged)
        store.close()
    assert acknowledged  # the last one was cut after the commit had returned
    return looked


def check(
    place: Path,
    batch: CommitBatch,
    before: Seen,
    after: Seen,
    result: CommitResult,
    *,
    acknowledged: bool,
) -> None:
    with FaissStore.open(place) as store:
        found = look(store)
        done = same_content(after, found)
        assert done or before == found
        assert done or not acknowledged
        assert replace(result, repeated=done) == store.commit(batch)
        assert same_content(after, look(store))
        assert store.commit(put("next", record("next", "t0"))).sequence == result.sequence + 1
    leftovers = [path.name for path in place.rglob("*") if path.name.endswith(TEMPORARY)]
    assert leftovers == []


@pytest.mark.parametrize("variant", LOOKUPS, ids=lambda each: each.__name__)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_power_cut_during_a_commit_leaves_the_old_or_the_new_state(
    folder: Path, case: Case, variant: Callable[[Path, Path], None]
) -> None:
    assert sweep(folder, case.batch, variant) >= 5


def test_a_power_cut_while_a_checkpoint_is_written_leaves_the_new_state(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "EVERY", 4)
    for variant in LOOKUPS:
        part = folder / variant.__name__
        part.mkdir()
        assert sweep(part, put("cut", record("c", "t2")), variant, commits=3) >= 10


def test_a_power_cut_while_an_index_is_made_leaves_none_or_an_empty_one(folder: Path) -> None:
    counted = folder / "counted"
    counted.mkdir()
    disk = FragileDisk(counted, ignore=["index/derived/lookup.sqlite"])
    FaissStore.create(counted / "index", SETTINGS, files=disk).close()
    looked = 0
    for calls in range(disk.steps + 1):
        root = folder / f"cut-{calls}"
        root.mkdir()
        fragile = FragileDisk(
            root, calls=calls, ignore=[f"index/{name}" for name in ("writer.lock", "writer.pid")]
        )
        store: FaissStore | None = None
        try:
            store = FaissStore.create(root / "index", SETTINGS, files=fragile)
        except PowerCut:
            pass
        else:
            store.close()
        for aftermath in fragile.aftermaths(folder / "after"):
            looked += 1
            try:
                FaissStore.open(aftermath / "index").close()
            except IndexMissing:
                assert store is None
            with FaissStore.create(aftermath / "index", SETTINGS) as again:
                assert again.commit(put("c", record("a", "t0"))).sequence == 1
                again.verify()
    assert looked > disk.steps
