"""Artifacts in a folder: contract, power cuts, full disks, several processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from durable_ingest.artifacts.local import LocalArtifacts
from durable_ingest.conformance.artifacts import ArtifactStoreContract
from durable_ingest.conformance.disks import FragileDisk, FullDisk, PowerCut
from durable_ingest.errors import ArtifactMissing, StorageFull
from durable_ingest.files import TEMPORARY
from durable_ingest.ids import sha256
from durable_ingest.models import ArtifactRef
from durable_ingest.ports import ArtifactStore

DATA = b"bytes of a batch " * 100
REF = ArtifactRef(sha256=sha256(DATA), size=len(DATA))


class TestLocalArtifacts(ArtifactStoreContract):
    def make_artifacts(self, folder: Path) -> ArtifactStore:
        return LocalArtifacts(folder)

    def damage(self, artifacts: ArtifactStore, ref: ArtifactRef, data: bytes) -> None:
        assert isinstance(artifacts, LocalArtifacts)
        artifacts.path(ref).write_bytes(data)


def steps_of_put(folder: Path) -> int:
    folder.mkdir()
    disk = FragileDisk(folder)
    LocalArtifacts(folder / "artifacts", disk).put(DATA)
    return disk.steps


def test_a_power_cut_leaves_the_artifact_whole_or_absent(tmp_path: Path) -> None:
    steps = steps_of_put(tmp_path / "count")
    found = 0
    for calls in range(steps + 1):
        root = tmp_path / f"cut-{calls}"
        root.mkdir()
        disk = FragileDisk(root, calls=calls)
        acknowledged = True
        try:
            LocalArtifacts(root / "artifacts", disk).put(DATA)
        except PowerCut:
            acknowledged = False
        for aftermath in disk.aftermaths(tmp_path / "after"):
            found += 1
            later = LocalArtifacts(aftermath / "artifacts")
            try:
                assert later.get(REF) == DATA
            except ArtifactMissing:
                assert not acknowledged
            assert later.put(DATA).sha256 == REF.sha256
            assert later.get(REF) == DATA
    assert found > 2 * steps


@pytest.mark.parametrize("lasting", [False, True], ids=["once", "lasting"])
def test_a_full_disk_is_reported_and_leaves_nothing_half_written(
    tmp_path: Path, *, lasting: bool
) -> None:
    for step in range(100):
        folder = tmp_path / str(step)
        disk = FullDisk(step, lasting=lasting)
        try:
            LocalArtifacts(folder, disk).put(DATA)
        except StorageFull:
            pass
        else:
            break
        assert not [path for path in folder.rglob("*") if path.name.endswith(TEMPORARY)]
        later = LocalArtifacts(folder)
        assert later.put(DATA).sha256 == REF.sha256
        assert later.get(REF) == DATA
    assert step > 4


def test_storing_equal_bytes_again_writes_no_file(tmp_path: Path) -> None:
    class NoWrites(FragileDisk):
        def write_new(self, path: Path, parts: Iterable[bytes | bytearray | memoryview]) -> None:
            raise AssertionError(path, parts)

    LocalArtifacts(tmp_path / "a").put(DATA)
    assert LocalArtifacts(tmp_path / "a", NoWrites(tmp_path / "a")).put(DATA).size == len(DATA)


def test_leftovers_are_swept_once_they_are_a_day_old(tmp_path: Path) -> None:
    artifacts = LocalArtifacts(tmp_path / "a")
    ref = artifacts.put(DATA)
    folder = artifacts.path(ref).parent
    old, new = folder / f".old{TEMPORARY}", folder / f".new{TEMPORARY}"
    for path in (old, new, tmp_path / "a" / "stray file"):
        path.write_bytes(b"half")
    day_ago = old.stat().st_mtime - 25 * 3600
    os.utime(old, (day_ago, day_ago))
    os.utime(artifacts.path(ref), (day_ago, day_ago))
    assert artifacts.sweep() == 1
    assert (old.exists(), new.exists(), artifacts.get(ref)) == (False, True, DATA)
    assert LocalArtifacts(tmp_path / "nowhere").sweep() == 0


WRITER = """
import sys
from pathlib import Path
from durable_ingest.artifacts.local import LocalArtifacts
artifacts = LocalArtifacts(Path(sys.argv[1]))
sys.stdin.readline()
for number in range(40):
    artifacts.put(number.to_bytes(4, "big") * 5000)
"""


def test_processes_may_store_the_same_bytes_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(folder)], stdin=subprocess.PIPE)
        for _ in range(2)
    ]
    for writer in writers:  # all are loaded before any may begin
        assert writer.stdin is not None
        writer.stdin.write(b"\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate(timeout=60)
    assert [writer.returncode for writer in writers] == [0, 0]
    artifacts = LocalArtifacts(folder)
    for number in range(40):
        data = number.to_bytes(4, "big") * 5000
        assert artifacts.get(ArtifactRef(sha256=sha256(data), size=len(data))) == data
    assert not [path for path in folder.rglob("*") if path.name.endswith(TEMPORARY)]
