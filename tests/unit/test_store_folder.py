"""Where an index may be made, and what is refused on opening one."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from durable_ingest.conformance.store_cases import SETTINGS, put
from durable_ingest.conformance.store_model import record, unit
from durable_ingest.errors import IndexDamaged, IndexMismatch, IndexMissing, InvalidInput
from durable_ingest.files import TEMPORARY, OsFiles
from durable_ingest.ids import canonical_json, sha256
from durable_ingest.ports import CommitResult, IndexSettings
from durable_ingest.registry import load
from durable_ingest.stores.faiss import FaissStore


def begin(place: Path) -> Path:
    with FaissStore.create(place, SETTINGS) as store:
        store.commit(put("c", record("a", "t0", "t1")))
    return place


def tree(place: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(place)): path.read_bytes()
        for path in sorted(place.rglob("*"))
        if path.is_file()
    }


def test_the_registry_knows_the_store() -> None:
    assert load("stores", "faiss") is FaissStore


def test_creating_makes_the_folders_above_and_opens_what_is_there(tmp_path: Path) -> None:
    place = begin(tmp_path / "some" / "where" / "index")
    with FaissStore.create(place, SETTINGS) as store:
        assert (1, SETTINGS, place) == (store.info().sequence, store.settings, store.directory)


def test_a_relative_folder_is_fine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    begin(Path("index"))
    with FaissStore.open(Path("index")) as store:
        assert store.info().documents == 1


def test_an_index_may_lie_beside_its_server_and_artifacts(tmp_path: Path) -> None:
    for name in ("server", "artifacts", "reports"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("x")
    begin(tmp_path)


@dataclass(frozen=True)
class Other:
    """Asked-for settings that differ, and what the message names."""

    name: str
    settings: IndexSettings
    match: str


OTHERS = [
    Other("dimension", replace(SETTINGS, dimension=768), "dimension is 4, asked for is 768"),
    Other("embedder", replace(SETTINGS, embedder="z"), "embedder is 'fingerprint', .* 'z'"),
    Other("model", replace(SETTINGS, model="y"), "model is 'model', asked for is 'y'"),
    Other("both", replace(SETTINGS, model="y", dimension=1), "dimension is 4, .*; model is"),
]


@pytest.mark.parametrize("other", OTHERS, ids=lambda other: other.name)
def test_other_settings_are_refused_by_name_and_change_nothing(
    tmp_path: Path, other: Other
) -> None:
    place = begin(tmp_path / "index")
    before = tree(place)
    with pytest.raises(IndexMismatch, match=other.match):
        FaissStore.create(place, other.settings)
    assert before == tree(place)


def test_the_recipe_of_the_embedder_is_kept_and_not_compared(tmp_path: Path) -> None:
    FaissStore.create(tmp_path / "index", replace(SETTINGS, recipe="{}")).close()
    with FaissStore.create(tmp_path / "index", SETTINGS) as store:
        assert store.settings.recipe == "{}"


def test_a_newer_format_version_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    place = begin(tmp_path / "index")
    content = json.loads((place / "index.json").read_bytes())
    (place / "index.json").write_text(json.dumps({**content, "format": 2, "new": "field"}))
    before = tree(place)
    with pytest.raises(IndexMismatch, match="format version 2, this release reads up to 1"):
        FaissStore.open(place)
    with pytest.raises(IndexMismatch, match="install a newer"):
        FaissStore.create(place, SETTINGS)
    assert before == tree(place)


def test_settings_of_later_releases_are_ignored(tmp_path: Path) -> None:
    place = tmp_path / "index"
    FaissStore.create(place, SETTINGS).close()
    content = json.loads((place / "index.json").read_bytes())
    content.pop("sha256")
    content["settings"]["hue"] = "green"
    content["sha256"] = sha256(canonical_json(content))
    (place / "index.json").write_bytes(canonical_json(content))
    with FaissStore.open(place) as store:
        assert store.settings == SETTINGS


def test_no_index_is_reported_as_such(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    for name in ("nowhere", "empty", "file", "file/below"):
        with pytest.raises(IndexMissing, match=name):
            FaissStore.open(tmp_path / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "file"]


def test_an_index_is_not_made_among_other_files(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("x")
    with pytest.raises(InvalidInput, match=r"notes\.md"):
        FaissStore.create(tmp_path, SETTINGS)
    with pytest.raises(InvalidInput, match="no folder"):
        FaissStore.create(tmp_path / "notes.md", SETTINGS)
    assert tree(tmp_path) == {"notes.md": b"x"}


@dataclass(frozen=True)
class Senseless:
    """Settings that no index can have."""

    name: str
    settings: IndexSettings


@pytest.mark.parametrize(
    "case",
    [
        Senseless("dimension is 0", replace(SETTINGS, dimension=0)),
        Senseless("metric is 'euclid'", replace(SETTINGS, metric="euclid")),
    ],
    ids=lambda case: case.name,
)
def test_senseless_settings_are_refused(tmp_path: Path, case: Senseless) -> None:
    with pytest.raises(InvalidInput, match=case.name):
        FaissStore.create(tmp_path / "index", case.settings)
    assert not (tmp_path / "index").exists()


def test_an_index_json_of_something_else_is_damage(tmp_path: Path) -> None:
    for content in (b"", b"{}", b"[1]", b'{"format": 1}', b"\xff\xfe", b'{"sha256": 1}'):
        (tmp_path / "index.json").write_bytes(content)
        with pytest.raises(IndexDamaged, match=r"index\.json"):
            FaissStore.open(tmp_path)


class ReadOnlyFolder(OsFiles):
    """A folder without write permission; root, who runs tests too, is not stopped by modes."""

    def write_new(self, path: Path, parts: Iterable[bytes | bytearray | memoryview]) -> None:
        raise self._refusal(path)

    def make_directory(self, path: Path) -> None:
        raise self._refusal(path)

    def remove(self, path: Path) -> None:
        raise self._refusal(path)

    def sync_directory(self, path: Path) -> None:
        raise self._refusal(path)

    def writable(self, directory: Path) -> bool:
        return not directory.exists()

    def _refusal(self, path: Path) -> OSError:
        return OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))


@pytest.mark.parametrize("lookups", [True, False], ids=["lookups", "no lookups"])
def test_an_index_that_may_not_be_written_can_be_read(tmp_path: Path, *, lookups: bool) -> None:
    place = begin(tmp_path / "index")
    if not lookups:
        (place / "derived" / "lookup.sqlite").unlink()
    before = tree(place)
    with FaissStore.open(place, read_only=True, files=ReadOnlyFolder()) as store:
        assert [hit.chunk_id for hit in store.search(unit("key-t0"), k=1)] == [
            store.chunk_rows("a")[0].chunk_id
        ]
        with FaissStore.open(place) as writer:
            assert before.keys() <= tree(place).keys()
            writer.commit(put("d", record("b", "t0")))
        assert store.info().documents == 2
        with pytest.raises(InvalidInput, match="read-only"):
            store.commit(put("e", record("c", "t0")))
    with (
        FaissStore.open(place, files=ReadOnlyFolder()) as store,
        pytest.raises(InvalidInput, match="may not be written"),
    ):
        store.commit(put("e", record("c", "t0")))


def test_reading_an_index_that_may_not_be_written_leaves_it_alone(tmp_path: Path) -> None:
    place = begin(tmp_path / "index")
    before = tree(place)
    with FaissStore.open(place, read_only=True, files=ReadOnlyFolder()) as store:
        assert store.verify().documents == 1
    assert before == tree(place)


def test_making_an_index_where_it_may_not_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="may not be written"):
        FaissStore.create(tmp_path / "index", SETTINGS, files=ReadOnlyFolder())


def test_read_only_refuses_commits(tmp_path: Path) -> None:
    place = begin(tmp_path / "index")
    with (
        FaissStore.open(place, read_only=True) as store,
        pytest.raises(InvalidInput, match="read-only"),
    ):
        store.commit(put("d", record("b", "t0")))


def test_leftovers_of_dead_writers_are_swept_by_the_next_commit(tmp_path: Path) -> None:
    place = begin(tmp_path / "index")
    leftovers = [
        folder / f".left{TEMPORARY}"
        for folder in (place, place / "commits", place / "segments", place / "checkpoints")
    ]
    for path in leftovers:
        path.write_bytes(b"half")
    with FaissStore.open(place) as store:
        assert [True] * 4 == [path.exists() for path in leftovers]
        assert store.commit(put("d", record("b", "t0"))) == CommitResult(2, added=1, chunks=1)
    assert [False] * 4 == [path.exists() for path in leftovers]


def test_the_folder_has_the_documented_layout(tmp_path: Path) -> None:
    place = begin(tmp_path / "index")
    commit = json.loads((place / "commits" / "00000001.json").read_bytes())
    rows, vectors = commit["rows"]["sha256"], commit["vectors"]["sha256"]
    assert set(tree(place)) == {
        "index.json",
        "commits/00000001.json",
        f"segments/{rows}.rows",
        f"segments/{vectors}.vectors",
        "derived/lookup.sqlite",
        "writer.lock",
        "writer.pid",
    }
    stored = (place / "segments" / f"{vectors}.vectors").read_bytes()
    assert stored == unit("key-t0").tobytes() + unit("key-t1").tobytes()
    assert commit["previous"] == sha256((place / "index.json").read_bytes())
