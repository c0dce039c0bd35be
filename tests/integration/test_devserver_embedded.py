"""One server per directory, whatever is killed and whenever, against the real server."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from temporalio.client import Client

from durable_ingest.devserver import EmbeddedServer, Executable, ServerAddress, find_executable
from durable_ingest.devserver.locks import DatabaseLock
from durable_ingest.devserver.processes import start_time
from durable_ingest.errors import RunConflict, ServerUnavailable

pytestmark = pytest.mark.server

OWNER = """
import sys
from pathlib import Path
from durable_ingest.devserver import EmbeddedServer
from durable_ingest.errors import DurableIngestError
try:
    with EmbeddedServer(Path(sys.argv[1])) as server:
        print(server.address.pid, server.address.adopted, flush=True)
        sys.stdin.read()
except DurableIngestError as error:
    print(type(error).__name__, error, flush=True)
"""


@pytest.fixture(scope="module")
def temporal() -> Executable:
    return find_executable()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Return a folder for one server; a server still running there at the end is ended."""
    path = tmp_path / "a folder? #1 %41" / "server"
    yield path
    if path.exists():
        lock = DatabaseLock(path / "database.lock")
        holder = None if lock.is_free() else lock.holder()
        if holder is not None:
            os.kill(holder[0], signal.SIGKILL)


@contextmanager
def owner(folder: Path, temporal: Executable) -> Iterator[subprocess.Popen[str]]:
    """Start a process that owns the folder's server until its stdin ends."""
    environment = {**os.environ, "DURABLE_INGEST_TEMPORAL": str(temporal.path)}
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        yield process


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def orphan(folder: Path, temporal: Executable) -> int:
    """Leave a server behind whose parent was killed; return its pid."""
    with owner(folder, temporal) as process:
        pid, _, _ = said(process).partition(" ")
        process.kill()
    return int(pid)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def is_running(pid: int) -> bool:
    return start_time(pid) is not None


async def start_waiting_workflow(address: ServerAddress, workflow_id: str) -> None:
    client = await Client.connect(address.target_host, namespace=address.namespace)
    await client.start_workflow("Nobody", id=workflow_id, task_queue="nobody-listens")


async def event_count(address: ServerAddress, workflow_id: str) -> int:
    client = await Client.connect(address.target_host, namespace=address.namespace)
    return len((await client.get_workflow_handle(workflow_id).fetch_history()).events)


async def test_a_workflow_outlives_stop_and_start(folder: Path, temporal: Executable) -> None:
    server = EmbeddedServer(folder, executable=temporal)
    first = await asyncio.to_thread(server.start)
    assert server.start() == first  # started once
    assert server.is_alive()
    await start_waiting_workflow(first, "waits")
    await asyncio.to_thread(server.stop)
    assert not is_running(first.pid)
    assert not server.is_alive()
    server.stop()  # nothing left to do
    assert names_in(folder) == ["database.lock", "owner.lock", "server.log", "temporal.db"]
    with EmbeddedServer(folder, executable=temporal, namespace="other") as reopened:
        assert not reopened.address.adopted
        assert reopened.address.namespace == "other"
    with EmbeddedServer(folder, executable=temporal) as reopened:
        assert await event_count(reopened.address, "waits") == 2


def test_the_server_is_out_of_reach_of_the_terminals_ctrl_c(
    folder: Path, temporal: Executable
) -> None:
    with EmbeddedServer(folder, executable=temporal) as server:
        assert os.getsid(server.address.pid) == server.address.pid


async def test_a_server_whose_parent_was_killed_is_adopted_with_its_workflows(
    folder: Path, temporal: Executable
) -> None:
    lines: list[str] = []
    pid = orphan(folder, temporal)
    assert is_running(pid)
    with EmbeddedServer(folder, executable=temporal, say=lines.append) as server:
        assert (server.address.pid, server.address.adopted) == (pid, True)
        await start_waiting_workflow(server.address, "waits")
        assert server.is_alive()
    assert not is_running(pid)
    assert [line.rpartition(" ")[0] for line in lines] == [
        "took over the Temporal server that was left running at"
    ]
    with EmbeddedServer(folder, executable=temporal) as server:
        assert not server.address.adopted
        assert await event_count(server.address, "waits") == 2


def test_an_orphan_is_adopted_as_often_as_its_parents_are_killed(
    folder: Path, temporal: Executable
) -> None:
    pid = orphan(folder, temporal)
    for _ in range(2):
        assert orphan(folder, temporal) == pid


@dataclass(frozen=True)
class Unfit:
    id: str
    spoil: Callable[[Path, int], object]
    namespace: str = "default"


def freeze(_folder: Path, pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)


def forge(folder: Path, _pid: int) -> None:
    record = json.loads((folder / "server.json").read_text())
    (folder / "server.json").write_text(json.dumps({**record, "started": "another boot:1"}))


UNFIT = [
    Unfit("it hangs", freeze),
    Unfit("its record was never written", lambda folder, _: (folder / "server.json").unlink()),
    Unfit("its record is damaged", lambda folder, _: (folder / "server.json").write_text("{")),
    Unfit("its record is of another life", forge),
    Unfit("it lacks the namespace", lambda _folder, _pid: None, namespace="another"),
]


@pytest.mark.parametrize("case", UNFIT, ids=lambda case: case.id)
def test_an_orphan_that_cannot_be_adopted_is_ended_before_a_new_one_starts(
    case: Unfit, folder: Path, temporal: Executable
) -> None:
    pid = orphan(folder, temporal)
    case.spoil(folder, pid)
    begun = time.monotonic()
    with EmbeddedServer(folder, executable=temporal, namespace=case.namespace) as server:
        assert time.monotonic() - begun < 10
        assert not server.address.adopted
        assert server.address.pid != pid
        assert not is_running(pid)


def test_a_record_from_before_a_reboot_harms_nobody(folder: Path, temporal: Executable) -> None:
    with EmbeddedServer(folder, executable=temporal):
        record = json.loads((folder / "server.json").read_text())
    # After the boot the pid belongs to somebody else: this very process, say.
    own = {"pid": os.getpid(), "started": start_time(os.getpid())}
    (folder / "server.json").write_text(json.dumps({**record, **own}))
    (folder / "database.lock").write_text(str(os.getpid()))
    with EmbeddedServer(folder, executable=temporal) as server:
        assert not server.address.adopted


def test_a_stranger_that_holds_the_lock_is_named_and_left_alone(
    folder: Path, temporal: Executable
) -> None:
    folder.mkdir(parents=True)
    with (
        subprocess.Popen(["/bin/sleep", "60"]) as stranger,
        (folder / "database.lock").open("w") as file,
    ):
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(str(stranger.pid))
        file.flush()
        begun = time.monotonic()
        with pytest.raises(ServerUnavailable, match=f"names pid {stranger.pid}"):
            EmbeddedServer(folder, executable=temporal).start()
        assert time.monotonic() - begun < 10
        assert stranger.poll() is None
        stranger.kill()


def test_of_two_starts_at_once_one_owns_and_the_other_is_told_who(
    folder: Path, temporal: Executable
) -> None:
    with owner(folder, temporal) as one, owner(folder, temporal) as other:
        answers = {process.pid: said(process) for process in (one, other)}
        (refused,) = [pid for pid, answer in answers.items() if answer.startswith("RunConflict")]
        (winner,) = set(answers) - {refused}
        assert f"process {winner} is running a job on" in answers[refused]
        assert answers[winner].endswith(" False")


def test_a_second_owner_in_the_same_process_is_refused_too(
    folder: Path, temporal: Executable
) -> None:
    with EmbeddedServer(folder, executable=temporal):
        with pytest.raises(RunConflict, match=f"process {os.getpid()} is running a job"):
            EmbeddedServer(folder, executable=temporal).start()
        # The refused one owns nothing, so its end ends nothing.
        assert not DatabaseLock(folder / "database.lock").is_free()


def test_a_fixed_port_is_used_and_a_taken_one_is_named(folder: Path, temporal: Executable) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        begun = time.monotonic()
        with pytest.raises(ServerUnavailable, match=f"port {port} on 127.0.0.1 cannot be used"):
            EmbeddedServer(folder, executable=temporal, port=port).start()
        assert time.monotonic() - begun < 10
    with EmbeddedServer(folder, executable=temporal, port=port) as server:
        assert server.address.target_host == f"127.0.0.1:{port}"


@dataclass(frozen=True)
class Damage:
    id: str
    apply: Callable[[bytes], bytes]


DAMAGES = [
    Damage("cut short", lambda raw: raw[: len(raw) // 2]),
    Damage("overwritten", lambda raw: raw[:4096] + random.Random(1).randbytes(len(raw) - 4096)),
    Damage("no database", lambda raw: random.Random(2).randbytes(len(raw))),
]


@pytest.fixture(scope="module")
def used_database(tmp_path_factory: pytest.TempPathFactory, temporal: Executable) -> bytes:
    """Return the bytes of a database that a server has made and closed."""
    folder = tmp_path_factory.mktemp("used")
    with EmbeddedServer(folder, executable=temporal):
        pass
    return (folder / "temporal.db").read_bytes()


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.id)
def test_a_damaged_database_is_refused_and_kept(
    damage: Damage, folder: Path, temporal: Executable, used_database: bytes
) -> None:
    folder.mkdir(parents=True)
    database = folder / "temporal.db"
    spoilt = damage.apply(used_database)
    database.write_bytes(spoilt)
    begun = time.monotonic()
    with pytest.raises(ServerUnavailable, match=r"temporal\.db' is damaged: move it away"):
        EmbeddedServer(folder, executable=temporal).start()
    assert time.monotonic() - begun < 10
    assert database.read_bytes() == spoilt
    assert names_in(folder) == ["database.lock", "owner.lock", "temporal.db"]


def test_a_first_start_that_was_cut_off_is_done_again(folder: Path, temporal: Executable) -> None:
    folder.mkdir(parents=True)
    (folder / "temporal.db").touch()
    with EmbeddedServer(folder, executable=temporal) as server:
        assert server.is_alive()


def script(path: Path, body: str) -> Executable:
    path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    path.chmod(0o755)
    return Executable(path, "1.9.1", "explicit")


def test_an_executable_that_dies_is_shown_with_its_last_words(folder: Path, tmp_path: Path) -> None:
    dying = script(tmp_path / "dying", "echo no space left on device >&2; exit 3")
    with pytest.raises(ServerUnavailable) as caught:
        EmbeddedServer(folder, executable=dying).start()
    assert "it ended with code 3" in str(caught.value)
    assert str(caught.value).endswith("    no space left on device")
    assert DatabaseLock(folder / "database.lock").is_free()


def test_an_executable_that_never_listens_is_ended(folder: Path, tmp_path: Path) -> None:
    silent = script(tmp_path / "silent", "exec sleep 60")
    with pytest.raises(
        ServerUnavailable, match=r"did not answer within 0\.5 s: it does not listen"
    ):
        EmbeddedServer(folder, executable=silent, startup_timeout=0.5).start()
    assert DatabaseLock(folder / "database.lock").is_free()
    assert not (folder / "server.json").exists()


def test_a_port_lost_in_the_last_moment_is_chosen_again(
    folder: Path, tmp_path: Path, temporal: Executable
) -> None:
    unlucky = script(
        tmp_path / "unlucky",
        f"""if [ ! -e '{tmp_path}/once' ]; then
  touch '{tmp_path}/once'
  echo "Error: can't set frontend port: bind: address already in use"; exit 1
fi
exec '{temporal.path}' "$@" """,
    )
    with EmbeddedServer(folder, executable=unlucky) as server:
        assert server.is_alive()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, temporal: Executable) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ServerUnavailable, match="cannot hold the server's state"):
        EmbeddedServer(tmp_path / "file" / "server", executable=temporal).start()
