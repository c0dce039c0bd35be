"""Processes are known by pid and start time together, and only known ones are ended."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from durable_ingest.devserver.processes import (
    command_line,
    end_process,
    holds_open,
    run_briefly,
    start_time,
)


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["/bin/sleep", "60"]) as process:
        yield process
        process.kill()


def test_a_process_keeps_its_start_time_and_another_has_its_own(
    sleeper: subprocess.Popen[bytes],
) -> None:
    own = start_time(os.getpid())
    assert own is not None
    assert own == start_time(os.getpid())
    assert own != start_time(sleeper.pid)


def test_an_ended_process_has_no_start_time_even_before_it_is_reaped(
    sleeper: subprocess.Popen[bytes],
) -> None:
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)  # a zombie from here on
    assert start_time(sleeper.pid) is None
    sleeper.wait()
    assert start_time(sleeper.pid) is None


def test_a_process_is_ended_only_under_its_own_start_time(
    sleeper: subprocess.Popen[bytes],
) -> None:
    assert end_process(sleeper.pid, "of another life", grace=1)
    assert sleeper.poll() is None
    started = start_time(sleeper.pid)
    assert started is not None
    assert end_process(sleeper.pid, started, grace=5)
    assert sleeper.wait() == -15


def test_a_process_that_ignores_the_request_is_killed() -> None:
    code = (
        "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()  # it ignores SIGTERM from here on
        started = start_time(process.pid)
        assert started is not None
        assert end_process(process.pid, started, grace=0.2)
        assert process.wait() == -9


def test_the_command_line_and_the_open_files_of_a_process_are_seen(
    sleeper: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    deadline = time.monotonic() + 5
    while command_line(sleeper.pid) is None:  # the kernel shows it a moment after the exec
        assert time.monotonic() < deadline
    assert command_line(sleeper.pid) == "/bin/sleep 60"
    file = tmp_path / "held"
    with file.open("w"):
        assert holds_open(os.getpid(), file) in {True, None}  # None where no /proc is
        assert holds_open(sleeper.pid, file) in {False, None}


def test_a_short_command_gives_its_output_and_code() -> None:
    answer = run_briefly(["/bin/sh", "-c", "echo out; echo err >&2; exit 3"], seconds=10)
    assert (answer.code, answer.output) == (3, "out\nerr\n")


def test_a_command_that_takes_too_long_is_ended_with_its_children() -> None:
    with pytest.raises(TimeoutError, match="more than"):
        run_briefly(["/bin/sh", "-c", "sleep 60 & sleep 60"], seconds=0.2)
