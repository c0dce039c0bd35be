"""The database's lock lives as long as the process that inherited it; records survive anything."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from durable_ingest.devserver.launch import spawn
from durable_ingest.devserver.locks import DatabaseLock, lock_path
from durable_ingest.devserver.records import ServerRecord, read_owner, read_server, write_record

# One process that waits for ever; its words make it look like a server.
SERVER = [sys.executable, "-c", "import signal; signal.pause()", "server", "start-dev"]


@pytest.fixture
def lock(tmp_path: Path) -> DatabaseLock:
    return DatabaseLock(lock_path(tmp_path / "temporal.db"))


def test_the_rule_for_lock_files_is_one(tmp_path: Path) -> None:
    assert lock_path(tmp_path / "temporal.db") == tmp_path / "database.lock"
    assert lock_path(tmp_path / "mine.sqlite") == tmp_path / "mine.sqlite.lock"


def test_the_lock_goes_over_to_the_server_and_ends_with_it(lock: DatabaseLock) -> None:
    assert lock.acquire()
    process = spawn(SERVER, lock=lock)
    with process:
        other = DatabaseLock(lock.path)
        assert not other.acquire()
        assert not other.is_free()
        holder = other.holder()
        assert holder is not None
        assert holder[0] == process.pid == other.named_pid()
        process.kill()
        process.wait()
    assert lock.acquire(timeout=5)
    assert lock.named_pid() is None
    lock.close()


def test_two_descriptors_of_one_process_exclude_each_other(lock: DatabaseLock) -> None:
    assert lock.acquire()
    assert not DatabaseLock(lock.path).acquire()
    lock.close()
    assert DatabaseLock(lock.path).is_free()


def test_a_holder_that_is_no_server_is_never_named(
    lock: DatabaseLock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("durable_ingest.devserver.locks._NAMING_SECONDS", 0.1)
    assert lock.acquire()
    with spawn(["/bin/sleep", "60"], lock=lock) as process:  # not a server by its words
        assert DatabaseLock(lock.path).holder() is None
        process.kill()
    assert lock.acquire(timeout=5)
    with spawn(SERVER) as process:  # a server by its words that does not hold the lock
        lock.path.write_text(str(process.pid), encoding="utf-8")
        assert DatabaseLock(lock.path).holder() is None
        process.kill()
    lock.close()


RECORD = ServerRecord(
    pid=1,
    started="boot:2",
    port=7233,
    namespace="default",
    cli="1.9.1",
    server="1.32.0",
    settings=("server", "start-dev"),
    executable="/bin/temporal",
)


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_record(tmp_path / "server.json", RECORD)
    assert read_server(tmp_path / "server.json") == RECORD
    assert [path.name for path in tmp_path.iterdir()] == ["server.json"]


@dataclass(frozen=True)
class Case:
    id: str
    content: bytes


CASES = [
    Case("empty", b""),
    Case("cut short", b'{"pid": 1, "star'),
    Case("a list", b"[1]"),
    Case("a field too few", b'{"pid": 1}'),
    Case("a pid that is none", b'{"pid": "x", "started": 1}'),
    Case("no text", b"\xff\xfe\x00"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_record_that_is_damaged_is_no_record(case: Case, tmp_path: Path) -> None:
    (tmp_path / "record").write_bytes(case.content)
    assert read_server(tmp_path / "record") is None
    assert read_owner(tmp_path / "record") is None
    assert read_server(tmp_path / "missing") is None
