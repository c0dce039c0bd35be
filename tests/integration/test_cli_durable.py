"""`durable-ingest run` with its embedded server: kept, killed, stopped, paused, cancelled."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import durable_ingest
from durable_ingest.cli.folders import IndexFolder
from durable_ingest.cli.servers import running_server
from durable_ingest.devserver import Executable
from durable_ingest.pipeline.index import Index

pytestmark = [pytest.mark.server, pytest.mark.timeout(180)]

DOCUMENTS = 100
SLOW = ("--embedder", "hashing", "--bulk-size", "4", "--window", "2")
"""Twenty-five batches: time enough to meet a run half way."""

DEADLINE = 60.0


class Shell:
    """Starts commands in a folder and ends what they left."""

    def __init__(self, folder: Path, executable: Executable) -> None:
        self.folder = folder
        package = str(Path(durable_ingest.__file__).parents[1])
        self.environment = {
            **os.environ,
            "PYTHONPATH": package,
            "DURABLE_INGEST_TEMPORAL": str(executable.path),
        }
        self.started: list[subprocess.Popen[str]] = []

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command and come back at once."""
        process = subprocess.Popen(
            [sys.executable, "-m", "durable_ingest", *arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return process

    def call(self, *arguments: str) -> tuple[int, str, str]:
        """Run a command to its end: exit code, stdout, stderr."""
        return end_of(self.start(*arguments))

    def close(self) -> None:
        """End what still runs, servers that a killed command left included."""
        for process in self.started:
            if process.poll() is None:
                process.kill()
            process.communicate()
        for record in self.folder.glob("*/server"):
            left = running_server(record)
            if left is not None:
                psutil.Process(left.pid).kill()


def end_of(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Wait for a process: exit code, stdout, stderr."""
    out, err = process.communicate(timeout=DEADLINE)
    return process.returncode, out, err


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with many small documents in `docs`."""
    docs = tmp_path / "docs"
    docs.mkdir()
    for number in range(DOCUMENTS):
        (docs / f"{number:04}.md").write_text(
            f"# Number {number}\n\nThe moon pulled the sea {number} times, and {number % 7} waves"
            f" came back.\n\n## Tides of {number}\n\nFlood and ebb, number {number % 13}.\n"
        )
    return tmp_path


@pytest.fixture
def shell(folder: Path, executable: Executable) -> Iterator[Shell]:
    """Commands in that folder."""
    shell = Shell(folder, executable)
    yield shell
    shell.close()


def wait_for(met: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait until something holds while a process runs."""
    limit = time.monotonic() + DEADLINE
    while not met():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < limit, "it did not come to that in time"
        time.sleep(0.01)


def commits(folder: Path, index: str = "i") -> int:
    """How many commits an index has by now."""
    return len(list((folder / index / "commits").glob("*.json")))


def contents(index: Path) -> dict[str, tuple[str, list[str]]]:
    """Every live document with its digest and the ids of its chunks."""
    with Index.open(index) as opened:
        return {
            state.document_id: (
                state.content_sha256,
                [row.chunk_id for row in opened._store.chunk_rows(state.document_id)],
            )
            for state in opened.documents()
        }


@pytest.fixture
def undisturbed(shell: Shell, folder: Path) -> dict[str, tuple[str, list[str]]]:
    """What the index holds after a run that nothing disturbed."""
    code, _, err = shell.call("run", "docs", "--index", "plain", "--in-process", *SLOW)
    assert 0 == code, err
    return contents(folder / "plain")


def half_way(shell: Shell, folder: Path) -> subprocess.Popen[str]:
    """A run that has committed some of its batches."""
    process = shell.start("run", "docs", "--index", "i", "--json", *SLOW)
    wait_for(lambda: commits(folder) >= 5, process)
    return process


def gone(folder: Path) -> bool:
    """Whether the run left no server and nothing that only retries need."""
    place = IndexFolder(folder / "i")
    left = [place.artifacts, place.cache]
    return running_server(place.server) is None and not any(path.exists() for path in left)


def test_a_run_leaves_an_index_and_a_second_one_changes_nothing(
    shell: Shell, folder: Path, undisturbed: dict[str, Any]
) -> None:
    code, out, err = shell.call("run", "docs", "--index", "i", "--json", *SLOW)
    assert 0 == code, err
    first = json.loads(out)
    assert (DOCUMENTS, DOCUMENTS) == (first["counts"]["documents"], first["counts"]["added"])
    assert undisturbed == contents(folder / "i")
    assert gone(folder)
    code, out, err = shell.call("search", "waves of number 17", "--index", "i", "--json")
    assert (0, 5) == (code, len(json.loads(out))), err
    code, out, err = shell.call("run", "docs", "--index", "i", "--json", *SLOW)
    second = json.loads(out)
    assert (0, DOCUMENTS, 0) == (
        code,
        second["counts"]["unchanged"],
        second["counts"]["embedded"],
    ), err
    assert first["head"] == second["head"]
    assert gone(folder)


def test_a_run_that_was_killed_goes_on_to_the_same_index(
    shell: Shell, folder: Path, undisturbed: dict[str, Any]
) -> None:
    process = half_way(shell, folder)
    process.kill()
    process.communicate()
    assert running_server(folder / "i" / "server") is not None
    before = commits(folder)
    code, out, err = shell.call("run", "docs", "--index", "i", "--json", *SLOW)
    assert 0 == code, err
    assert "took over the Temporal server" in err
    assert "going on with the unfinished job" in err
    report = json.loads(out)
    assert report["attached"] is True
    assert DOCUMENTS == report["counts"]["added"]
    assert commits(folder) > before
    assert undisturbed == contents(folder / "i")
    assert gone(folder)


def test_a_run_that_was_interrupted_is_told_and_goes_on(
    shell: Shell, folder: Path, undisturbed: dict[str, Any]
) -> None:
    process = half_way(shell, folder)
    process.send_signal(signal.SIGINT)
    code, out, err = end_of(process)
    assert 130 == code, err
    assert "stopping" in err
    assert "the same command goes on from there" in err
    assert {"type": "Interrupted", "exit_code": 130} == {
        key: value for key, value in json.loads(out)["error"].items() if key != "message"
    }
    assert running_server(folder / "i" / "server") is None
    code, out, err = shell.call("status", "--index", "i", "--json")
    standing = json.loads(out)
    assert (["docs"], False) == (standing["job"]["targets"], standing["job"]["running"]), err
    assert 0 < standing["documents"] < DOCUMENTS
    code, out, err = shell.call("run", "docs", "--index", "i", "--json", *SLOW)
    assert 0 == code, err
    assert DOCUMENTS == json.loads(out)["counts"]["added"]
    assert undisturbed == contents(folder / "i")
    assert gone(folder)


def test_a_second_interrupt_ends_it_at_once_and_nothing_is_lost(
    shell: Shell, folder: Path, undisturbed: dict[str, Any]
) -> None:
    process = half_way(shell, folder)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    assert 130 == end_of(process)[0]
    code, _, err = shell.call("run", "docs", "--index", "i", *SLOW)
    assert 0 == code, err
    assert undisturbed == contents(folder / "i")


def test_an_index_has_one_job_at_a_time(shell: Shell, folder: Path) -> None:
    process = half_way(shell, folder)
    code, out, err = shell.call("run", "docs", "--index", "i", "--json", *SLOW)
    assert (1, "RunConflict") == (code, json.loads(out)["error"]["type"])
    assert f"process {process.pid} is running a job" in err
    process.send_signal(signal.SIGTERM)
    assert 130 == end_of(process)[0]
    # Another job is refused until the first is finished or cancelled.
    code, out, err = shell.call("run", "docs/0001.md", "--index", "i", "--json", *SLOW)
    assert (1, "RunConflict") == (code, json.loads(out)["error"]["type"])
    assert "another job is unfinished" in err
    code, out, err = shell.call("cancel", "--index", "i", "--json")
    assert 0 == code, err
    report = json.loads(out)["report"]
    assert "cancelled" == report["status"]
    assert DOCUMENTS == report["counts"]["documents"]
    assert report["counts"]["pending"] > 0
    assert gone(folder)
    code, out, err = shell.call("run", "docs/0001.md", "--index", "i", "--json", *SLOW)
    assert (0, 1) == (code, json.loads(out)["counts"]["documents"]), err


def test_a_running_job_is_paused_resumed_and_cancelled_from_outside(
    shell: Shell, folder: Path
) -> None:
    # So many that the job cannot end between the commands that are sent to it.
    for number in range(5 * DOCUMENTS):
        (folder / "docs" / f"more-{number:04}.md").write_text(f"More of number {number}.\n")
    process = half_way(shell, folder)
    code, _, err = shell.call("pause", "--index", "i")
    assert 0 == code, err
    code, out, err = shell.call("status", "--index", "i", "--json")
    assert "paused" == json.loads(out)["job"]["progress"]["status"], err
    code, _, err = shell.call("resume", "--index", "i")
    assert 0 == code, err
    before = commits(folder)
    wait_for(lambda: commits(folder) > before, process)
    code, _, err = shell.call("cancel", "--index", "i")
    assert 0 == code, err
    code, out, err = end_of(process)
    assert (1, "cancelled") == (code, json.loads(out)["status"]), err


def test_a_server_that_cannot_run_is_said_soon_and_nothing_is_written(
    shell: Shell, folder: Path
) -> None:
    shell.environment["DURABLE_INGEST_TEMPORAL"] = sys.executable
    begun = time.monotonic()
    code, out, err = shell.call("run", "docs", "--index", "i", "--json", "--embedder", "hashing")
    assert (4, "ServerUnavailable") == (code, json.loads(out)["error"]["type"]), err
    assert "DURABLE_INGEST_TEMPORAL cannot be used" in err
    assert "Traceback" not in err
    assert time.monotonic() - begun < 10
    assert not (folder / "i").exists()


def test_a_job_that_failed_is_over_and_another_may_follow(folder: Path, shell: Shell) -> None:
    # What the command would refuse before it starts the server is handed to the server here.
    code = (
        "from durable_ingest.cli.folders import IndexFolder\n"
        "from durable_ingest.cli.jobs import JobOptions, build_job, settings_for\n"
        "from durable_ingest.cli.local import run_locally\n"
        "from durable_ingest.cli.terminal import Terminal\n"
        "from temporalio.client import WorkflowFailureError\n"
        "job = build_job(JobOptions(['docs'], None, 'i', embedder='hashing', chunker='axe'))\n"
        "try:\n"
        "    run_locally(job, IndexFolder.at('i'), settings_for(job), Terminal())\n"
        "except WorkflowFailureError:\n"
        "    print('failed')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=shell.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE,
    )
    assert "failed\n" == done.stdout, done.stderr
    assert IndexFolder(folder / "i").job() is None
    assert 0 == shell.call("run", "docs", "--index", "i", *SLOW[:2], "--in-process")[0]


def test_a_link_to_the_index_folder_names_the_same_job(folder: Path, shell: Shell) -> None:
    (folder / "link").symlink_to("i")
    codes = [
        (code, json.loads(out)["workflow_id"])
        for code, out, _ in (
            shell.call("run", "docs", "--index", name, *SLOW[:2], "--json")
            for name in ("i", "link")
        )
    ]
    assert [(0, IndexFolder(folder / "i").workflow)] * 2 == codes
