"""The command line against a server of its own: profile, workers, start, status."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import durable_ingest
from durable_ingest.devserver import EmbeddedServer, Executable, free_port

pytestmark = [pytest.mark.server, pytest.mark.timeout(180)]

DEADLINE = 60.0


class Cluster:
    """Commands that reach a server by a profile; ends what it started."""

    def __init__(self, folder: Path, address: str) -> None:
        self.folder = folder
        profile = folder / "temporal.toml"
        profile.write_text(
            f'[profile.test]\naddress = "{address}"\nnamespace = "default"\n'
            f'[profile.nowhere]\naddress = "127.0.0.1:{free_port()}"\n'
            f'[profile.strange]\naddress = "{address}"\nnamespace = "strange"\n'
        )
        self._environment = {
            **os.environ,
            "PYTHONPATH": str(Path(durable_ingest.__file__).parents[1]),
            "TEMPORAL_CONFIG_FILE": str(profile),
        }
        self._started: list[subprocess.Popen[str]] = []

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "durable_ingest", *arguments],
            cwd=self.folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._started.append(process)
        return process

    def call(self, *arguments: str) -> tuple[int, str, str]:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=DEADLINE)
        return process.returncode, out, err

    def worker(self, *arguments: str) -> subprocess.Popen[str]:
        """A worker that has said `ready`."""
        process = self.start("worker", "--profile", "test", *arguments)
        line = line_of(process)
        assert line.startswith("ready: "), line
        return process

    def close(self) -> None:
        for process in self._started:
            process.terminate()  # a server in the foreground takes its child along
            process.communicate(timeout=DEADLINE)


def line_of(process: subprocess.Popen[str]) -> str:
    """The next line on stderr, within the deadline."""
    watchdog = threading.Timer(DEADLINE, process.kill)
    watchdog.start()
    try:
        assert process.stderr is not None
        return process.stderr.readline()
    finally:
        watchdog.cancel()


@pytest.fixture
def cluster(documents: Path, executable: Executable) -> Iterator[Cluster]:
    """A server, a profile that names it, and a folder with documents."""
    folder = documents.parent
    with EmbeddedServer(folder / "server", executable=executable) as server:
        cluster = Cluster(folder, server.address.target_host)
        yield cluster
        cluster.close()


JOB = ("documents", "--index", "i", "--embedder", "hashing", "--profile", "test", "--json")
WORKER = ("--index", "i", "--artifacts", "artifacts", "--allow-root", "documents")


def test_a_job_is_followed_while_workers_elsewhere_do_it(cluster: Cluster) -> None:
    process = cluster.start("run", *JOB)
    assert "started" in line_of(process)
    while "no worker polls" not in (line := line_of(process)):
        assert line, process.communicate()
    workers = [
        cluster.worker("--role", "workflows", "--role", "index", "--role", "io", *WORKER),
        cluster.worker("--role", "cpu", "--role", "gpu", *WORKER),
    ]
    out, err = process.communicate(timeout=DEADLINE)
    assert 0 == process.returncode, err
    report = json.loads(out)
    assert (5, 5, False, None) == (
        report["counts"]["documents"],
        report["counts"]["added"],
        report["attached"],
        report["report"],
    )
    for worker in workers:
        worker.send_signal(signal.SIGTERM)
        _, err = worker.communicate(timeout=DEADLINE)
        assert 0 == worker.returncode, err
    code, out, err = cluster.call("search", "the moon pulls", "--index", "i", "--json")
    assert (0, 5) == (code, len(json.loads(out))), err


def test_a_job_is_started_found_again_watched_paused_and_cancelled(cluster: Cluster) -> None:
    code, out, err = cluster.call("start", *JOB)
    assert 0 == code, err
    first = json.loads(out)
    assert first["attached"] is False
    code, out, err = cluster.call("start", *JOB)
    assert {**first, "attached": True} == json.loads(out), err
    code, out, err = cluster.call("start", *JOB, "--bulk-size", "3")
    assert (1, "RunConflict") == (code, json.loads(out)["error"]["type"]), err
    server = ("--index", "i", "--profile", "test", "--json")
    assert 0 == cluster.call("pause", *server)[0]
    code, out, err = cluster.call("status", *server)
    standing = json.loads(out)
    assert (0, first["workflow_id"], "running", None) == (
        code,
        standing["workflow_id"],
        standing["state"],
        standing["progress"],
    ), err
    worker = cluster.worker(*WORKER)
    assert 0 == cluster.call("cancel", *server)[0]
    follower = cluster.start("run", *JOB)
    follower.communicate(timeout=DEADLINE)
    code, out, err = cluster.call("status", *server)
    assert "completed" == json.loads(out)["state"], err
    assert (2, "InvalidInput") == (
        (answer := cluster.call("cancel", *server))[0],
        json.loads(answer[1])["error"]["type"],
    )
    worker.send_signal(signal.SIGINT)
    worker.communicate(timeout=DEADLINE)
    assert 0 == worker.returncode


@pytest.mark.parametrize(
    ("profile", "code", "names"),
    [("nowhere", 4, "cannot connect"), ("strange", 4, "'strange'"), ("unknown", 2, "'unknown'")],
)
def test_a_server_that_cannot_serve_is_said_in_one_sentence(
    cluster: Cluster, profile: str, code: int, names: str
) -> None:
    for verb in (["run", "documents"], ["start", "documents"], ["worker"], ["status"]):
        ended, out, err = cluster.call(*verb, "--index", "i", "--profile", profile)
        assert (code, "") == (ended, out), err
        assert names in err
        assert "Traceback" not in err


def test_a_server_in_the_foreground_serves_until_it_is_told_to_stop(
    cluster: Cluster, executable: Executable
) -> None:
    cluster._environment["DURABLE_INGEST_TEMPORAL"] = str(executable.path)
    process = cluster.start("devserver", "--port", str(free_port()))
    while "Ctrl-C stops it" not in (line := line_of(process)):
        assert line, process.communicate()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=DEADLINE)
    assert 0 == process.returncode
