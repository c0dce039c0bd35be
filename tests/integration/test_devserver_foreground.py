"""`serve_foreground` in a process of its own, and `check_reachable` against it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from durable_ingest.devserver import (
    PINNED_SERVER,
    Executable,
    check_reachable,
    find_executable,
    free_port,
    serve_foreground,
)
from durable_ingest.devserver.locks import DatabaseLock
from durable_ingest.errors import InvalidInput, ServerUnavailable

pytestmark = pytest.mark.server

SERVE = """
import sys
from pathlib import Path
from durable_ingest.devserver import serve_foreground
db = Path(sys.argv[3]) if len(sys.argv) > 3 else None
sys.exit(serve_foreground(port=int(sys.argv[1]), namespace=sys.argv[2], db=db))
"""


@pytest.fixture(scope="module")
def temporal() -> Executable:
    return find_executable()


@contextmanager
def serving(temporal: Executable, port: int, db: Path | None = None) -> Iterator[list[str]]:
    """Run a server in the foreground of another process; the list gets pid, last words and code.

    The process is sent SIGINT at the end unless it ended before.
    """
    environment = {**os.environ, "DURABLE_INGEST_TEMPORAL": str(temporal.path)}
    arguments = [sys.executable, "-c", SERVE, str(port), "mine", *([] if db is None else [str(db)])]
    with subprocess.Popen(
        arguments,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    ) as process:
        assert process.stderr is not None
        story: list[str] = [str(process.pid)]
        for line in process.stderr:
            story.append(line.strip())
            if "Ctrl-C stops it" in line:
                break
        yield story
        if process.poll() is None:
            os.kill(process.pid, signal.SIGINT)
        story.extend(line.strip() for line in process.stderr)
        story.append(str(process.wait()))


async def test_it_serves_until_it_is_interrupted(temporal: Executable) -> None:
    port = free_port()
    with serving(temporal, port) as story:
        assert story[-1] == (
            f"Temporal server {PINNED_SERVER} at 127.0.0.1:{port}, namespace 'mine'; "
            "Ctrl-C stops it"
        )
        assert await check_reachable(f"127.0.0.1:{port}", "mine") == PINNED_SERVER
        begun = time.monotonic()
        with pytest.raises(ServerUnavailable) as caught:
            await check_reachable(f"127.0.0.1:{port}", "yours")
        assert time.monotonic() - begun < 5
        assert str(caught.value) == (
            f"the Temporal server at '127.0.0.1:{port}' has no namespace 'yours'; "
            "it has 'default', 'mine': use one of them, or have this one created"
        )
    assert "stopping the Temporal server" in story
    assert story[-1] == "0"
    with pytest.raises(ServerUnavailable, match=r"cannot be reached \(connection refused\)"):
        await check_reachable(f"127.0.0.1:{port}", "mine")


def test_two_servers_do_not_open_one_database(temporal: Executable, tmp_path: Path) -> None:
    db = tmp_path / "mine.db"
    with serving(temporal, free_port(), db):
        server = DatabaseLock(tmp_path / "mine.db.lock").holder()
        assert server is not None
        with pytest.raises(
            ServerUnavailable, match=rf"another Temporal server \(process {server[0]}\) has"
        ):
            serve_foreground(port=free_port(), db=db, executable=temporal)
    assert db.exists()
    assert DatabaseLock(tmp_path / "mine.db.lock").is_free()


def test_a_server_that_ends_by_itself_is_reported(temporal: Executable, tmp_path: Path) -> None:
    with serving(temporal, free_port(), tmp_path / "mine.db") as story:
        server = DatabaseLock(tmp_path / "mine.db.lock").holder()
        assert server is not None
        os.kill(server[0], signal.SIGKILL)
        os.waitid(os.P_PID, int(story[0]), os.WEXITED | os.WNOWAIT)  # no SIGINT before its end
    assert any("the Temporal server ended by itself with code -9" in line for line in story)
    assert story[-1] == "1"


def test_a_taken_port_and_a_missing_folder_are_refused_at_once(
    temporal: Executable, tmp_path: Path
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ServerUnavailable, match=f"port {port} on 127.0.0.1 cannot be used"):
            serve_foreground(port=port, executable=temporal)
    with pytest.raises(InvalidInput, match=r"the folder of the database .* does not exist"):
        serve_foreground(port=free_port(), db=tmp_path / "no" / "x.db", executable=temporal)


def test_a_server_that_dies_at_once_is_an_error(tmp_path: Path) -> None:
    dying = tmp_path / "dying"
    dying.write_text("#!/bin/sh\nexit 4\n", encoding="utf-8")
    dying.chmod(0o755)
    with pytest.raises(ServerUnavailable, match="did not start: it ended with code 4"):
        serve_foreground(port=free_port(), executable=Executable(dying, "1.9.1", "explicit"))


async def test_a_host_that_does_not_answer_is_given_up_in_time() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        begun = time.monotonic()
        with pytest.raises(ServerUnavailable, match=r"cannot be reached \(no answer within 0.5 s"):
            await check_reachable(f"127.0.0.1:{silent.getsockname()[1]}", "default", timeout=0.5)
        assert time.monotonic() - begun < 5


@pytest.mark.parametrize("address", ["no-such-host.invalid:7233", "", "not an address"])
async def test_an_address_that_is_none_is_named(address: str) -> None:
    with pytest.raises(ServerUnavailable, match=f"server at '{address}' cannot be reached"):
        await check_reachable(address, "default")
