"""The vector cache: what it returns is what was put, or nothing."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest

from durable_ingest.pipeline import vector_cache
from durable_ingest.pipeline.vector_cache import VectorCache


@pytest.fixture
def vectors() -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    """A thousand vectors of eight dimensions."""
    random = np.random.default_rng(7)
    return {f"key-{n}": random.random(8, dtype=np.float32) for n in range(1000)}


def test_what_was_put_comes_back_in_another_process_too(
    tmp_path: Path, vectors: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]
) -> None:
    first = VectorCache(tmp_path / "cache.sqlite")
    second = VectorCache(tmp_path / "cache.sqlite")
    first.put(vectors)
    found = second.get([*vectors, "unknown"])
    assert vectors.keys() == found.keys()
    assert all(np.array_equal(vectors[key], found[key]) for key in vectors)
    first.close()
    second.close()


def test_a_damaged_vector_counts_as_absent(tmp_path: Path) -> None:
    cache = VectorCache(tmp_path / "cache.sqlite")
    cache.put({"a": np.ones(4, np.float32), "b": np.ones(4, np.float32)})
    with sqlite3.connect(tmp_path / "cache.sqlite") as other:
        other.execute("UPDATE vectors SET vector = zeroblob(16) WHERE key = 'a'")
    other.close()
    assert ["b"] == list(cache.get(["a", "b"]))
    cache.close()


def test_a_file_that_is_no_database_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite"
    path.write_bytes(b"this is no database, whatever its name says" * 100)
    cache = VectorCache(path)
    cache.put({"a": np.ones(4, np.float32)})
    assert ["a"] == list(cache.get(["a"]))
    cache.close()


def test_a_cache_that_is_locked_or_cannot_be_made_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Above all, a file that another process uses is not removed."""
    monkeypatch.setattr(vector_cache, "_PATIENCE", 0.01)
    path = tmp_path / "cache.sqlite"
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("CREATE TABLE mine (number)")
    other.execute("BEGIN EXCLUSIVE")
    folder = tmp_path / "folder.sqlite"
    folder.mkdir()
    for place in (path, folder):
        cache = VectorCache(place)
        cache.put({"a": np.ones(4, np.float32)})
        assert {} == cache.get(["a"])
        cache.close()
    other.execute("COMMIT")
    assert [("mine",)] == other.execute("SELECT name FROM sqlite_master").fetchall()
    other.close()
