"""Processes by identity: a pid alone may have been given to somebody else since."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "Answer",
    "command_line",
    "end_group",
    "end_process",
    "holds_open",
    "run_briefly",
    "start_time",
]

_PROC = Path("/proc")
_POLL_SECONDS = 0.02
_KILL_SECONDS = 5.0


@dataclass(frozen=True)
class Answer:
    """What a short command printed (stdout and stderr together) and its exit code."""

    code: int
    output: str


def run_briefly(
    arguments: Sequence[str],
    *,
    seconds: float,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Answer:
    """Run a command that should answer at once; it and its children end with the time limit.

    Raises:
        TimeoutError: It was still running after `seconds`.
        OSError: It could not be started.
    """
    # A file, not a pipe: a grandchild that keeps the pipe open would hold the reader for ever.
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(  # noqa: S603 - the callers choose the program, never input data
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env=env,
            start_new_session=True,
        )
        try:
            code = process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"{arguments[0]!r} ran for more than {seconds} s") from None
        finally:
            if process.returncode is None:
                end_group(process.pid)
                process.wait()
        output.seek(0)
        return Answer(code, output.read().decode("utf-8", "replace"))


def start_time(pid: int) -> str | None:
    """Return text that, with the pid, names one process for ever; None when it is not running.

    On Linux it is the boot id and the start tick, so that neither a reused pid nor a reboot can
    be mistaken for the process; elsewhere it is the start time in the system's own words.
    A zombie counts as not running.
    """
    if sys.platform == "win32":
        return _windows_start_time(pid)
    if (_PROC / "self" / "stat").exists():
        return _proc_start_time(pid)
    return _ps(pid, "lstart=")


def command_line(pid: int) -> str | None:
    """Return the arguments of a running process joined by spaces, or None when unknown."""
    if sys.platform == "win32":
        return None
    if (_PROC / "self" / "stat").exists():
        try:
            raw = (_PROC / str(pid) / "cmdline").read_bytes()
        except OSError:
            return None
        return raw.replace(b"\0", b" ").decode("utf-8", "replace").strip() or None
    return _ps(pid, "command=")


def holds_open(pid: int, path: Path) -> bool | None:
    """Tell whether a process has `path` open; None where the system does not say."""
    folder = _PROC / str(pid) / "fd"
    try:
        wanted = path.stat()
        links = list(folder.iterdir())
    except OSError:
        return None
    for link in links:
        with contextlib.suppress(OSError):
            found = link.stat()
            if (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino):
                return True
    return False


def end_process(
    pid: int, started: str, *, grace: float, is_gone: Callable[[], bool] | None = None
) -> bool:
    """Ask a process to end (SIGTERM) and kill it after `grace` seconds; never touch another one.

    Args:
        pid: The process.
        started: What `start_time(pid)` said when it was known to be ours.
        grace: Seconds it may take to write its state.
        is_gone: A better sign of its end than the pid, such as a lock that came free.

    Returns:
        Whether it is gone.
    """

    def gone() -> bool:
        return pid <= 1 or start_time(pid) != started or (is_gone is not None and is_gone())

    for number, seconds in ((signal.SIGTERM, grace), (_KILL, _KILL_SECONDS)):
        if gone():
            return True
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        deadline = time.monotonic() + seconds
        while not gone() and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
    return gone()


def end_group(pid: int) -> None:
    """Kill a process that leads its own group, and every process of that group."""
    if pid <= 1:  # to the kernel, group 1 means every process there is
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if sys.platform == "win32":
            os.kill(pid, signal.SIGTERM)
        else:
            os.killpg(pid, signal.SIGKILL)


if sys.platform == "win32":
    _KILL = signal.SIGTERM  # os.kill with it is TerminateProcess there
    _QUERY_LIMITED_INFORMATION = 0x1000
    _STILL_ACTIVE = 259

    def _windows_start_time(pid: int) -> str | None:
        import ctypes  # noqa: PLC0415 - the functions used exist on Windows only
        from ctypes import wintypes  # noqa: PLC0415 - as above

        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        kernel.OpenProcess.restype = wintypes.HANDLE
        handle = kernel.OpenProcess(_QUERY_LIMITED_INFORMATION, 0, pid)
        if not handle:
            return None
        try:
            code = wintypes.DWORD()
            kernel.GetExitCodeProcess(wintypes.HANDLE(handle), ctypes.byref(code))
            if code.value != _STILL_ACTIVE:
                return None
            times = [wintypes.FILETIME() for _ in range(4)]
            if not kernel.GetProcessTimes(
                wintypes.HANDLE(handle), *(ctypes.byref(value) for value in times)
            ):
                return None
            return f"{times[0].dwHighDateTime}:{times[0].dwLowDateTime}"
        finally:
            kernel.CloseHandle(wintypes.HANDLE(handle))

else:
    _KILL = signal.SIGKILL


def _proc_start_time(pid: int) -> str | None:
    try:
        text = (_PROC / str(pid) / "stat").read_text(errors="replace")
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None
    # The command name, in brackets, may itself hold spaces and brackets.
    fields = text.rpartition(")")[2].split()
    state, ticks = fields[0], fields[19]
    return None if state in {"Z", "X"} else f"{boot}:{ticks}"


def _ps(pid: int, column: str) -> str | None:
    try:
        answer = run_briefly(
            ["ps", "-o", f"state=,{column}", "-p", str(pid)],
            seconds=5,
            env={**os.environ, "LC_ALL": "C"},
        )
    except (OSError, TimeoutError):
        return None
    state, _, rest = answer.output.strip().partition(" ")
    return None if answer.code != 0 or state.startswith("Z") else rest.strip() or None
