"""A server's database is judged before the server meets it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from durable_ingest.devserver.databases import make_ready, state_of
from durable_ingest.errors import ServerUnavailable

TABLE = (
    "CREATE TABLE namespaces "
    "(partition_id INTEGER, id BLOB, name TEXT, data BLOB, data_encoding TEXT)"
)


def database(*statements: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        with closing(sqlite3.connect(path)) as connection, connection:
            for statement in statements:
                connection.execute(statement)

    return make


def filled(path: Path) -> None:
    database(TABLE)(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        row = (1, b"id", "default", bytes(1000), "proto3")
        connection.executemany("INSERT INTO namespaces VALUES (?, ?, ?, ?, ?)", [row] * 100)


def broken(path: Path) -> None:
    filled(path)
    raw = path.read_bytes()
    path.write_bytes(raw[: len(raw) // 2])


@dataclass(frozen=True)
class Case:
    id: str
    make: Callable[[Path], object]
    expected: str


CASES = [
    Case("nothing", lambda _: None, "absent"),
    Case("empty file", Path.touch, "unfinished"),
    Case("table without rows", database(TABLE), "unfinished"),
    Case("in use before", filled, "good"),
    Case("cut in half", broken, "damaged"),
    Case("no database", lambda path: path.write_bytes(b"hello" * 1000), "damaged"),
    Case("somebody's notes", database("CREATE TABLE notes (text TEXT)"), "foreign"),
    Case("other namespaces", database("CREATE TABLE namespaces (name TEXT)"), "foreign"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_the_state_of_a_database_is_told(case: Case, tmp_path: Path) -> None:
    path = tmp_path / "odd?name#%41.db"
    case.make(path)
    assert case.expected == state_of(path)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_only_a_database_that_holds_nothing_is_cleared_away(case: Case, tmp_path: Path) -> None:
    path = tmp_path / "temporal.db"
    case.make(path)
    before = path.read_bytes() if path.exists() else None
    if case.expected in {"damaged", "foreign"}:
        with pytest.raises(ServerUnavailable, match=str(path)):
            make_ready(path)
    else:
        make_ready(path)
    expected = None if case.expected == "unfinished" else before
    assert expected == (path.read_bytes() if path.exists() else None)


def test_a_check_that_takes_long_is_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "temporal.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(TABLE)
        row = (1, b"id", "default", b"x", "proto3")
        connection.executemany("INSERT INTO namespaces VALUES (?, ?, ?, ?, ?)", [row] * 50_000)
    assert state_of(path, seconds=-1) == "good"
