"""The lock on a server's database: it lives exactly as long as the server, whoever started it.

The Temporal CLI opens a database that another server has open without complaint. On POSIX the
server therefore inherits an flock'ed descriptor of a file beside the database: no process needs
to watch, and no crash leaves the lock behind. The file holds the server's pid, written by the
server's own process before it becomes the server, so that a holder can always be named.
Windows cannot hand a lock on; there the file is a plain pid file with the start time.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from durable_ingest.devserver.processes import command_line, holds_open, start_time

if sys.platform != "win32":
    import fcntl

__all__ = ["DatabaseLock", "lock_path"]

_SERVER_WORDS = "server start-dev"
_NAMING_SECONDS = 2.0


def lock_path(database: Path) -> Path:
    """Return the lock file of a database: one rule, so that every way of starting meets it."""
    if database.name == "temporal.db":
        return database.with_name("database.lock")
    return database.with_name(f"{database.name}.lock")


class DatabaseLock:
    """The lock of one database, to be handed to the server that is going to open it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.descriptor: int | None = None

    def acquire(self, *, timeout: float = 0.0) -> bool:
        """Take the lock and empty its file; False when a server holds it for `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while not self._take():
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.02)
        return True

    def _take(self) -> bool:
        if sys.platform == "win32":
            return self._windows_holder() is None
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        except BaseException:
            os.close(descriptor)
            raise
        os.ftruncate(descriptor, 0)
        self.descriptor = descriptor
        return True

    def is_free(self) -> bool:
        """Tell whether no server holds the lock, without keeping it."""
        if sys.platform == "win32":
            return self._windows_holder() is None
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            os.close(descriptor)
        return True

    def hand_over(self, pid: int) -> None:
        """Leave the lock to the server `pid`, which inherited it."""
        if sys.platform == "win32":
            self.path.write_text(f"{pid} {start_time(pid)}", encoding="utf-8")
        self.close()

    def close(self) -> None:
        """Let go of this process's own descriptor; an heir keeps the lock."""
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None

    def holder(self) -> tuple[int, str] | None:
        """Return pid and start time of the server that holds the lock, if it is surely one of ours.

        The proof: the lock is held, its file names the pid, that process runs `server start-dev`
        and, where the system tells, has the lock file open.
        """
        if sys.platform == "win32":
            return self._windows_holder()
        deadline = time.monotonic() + _NAMING_SECONDS
        while True:  # the heir writes its pid a moment after it got the lock
            pid = self.named_pid()
            if pid is not None:
                found = self._proved(pid)
                if found is not None:
                    return found
            if time.monotonic() >= deadline:
                return None
            time.sleep(0.02)

    def _proved(self, pid: int) -> tuple[int, str] | None:
        started = start_time(pid)
        if started is None or holds_open(pid, self.path) is False:
            return None
        return (pid, started) if _SERVER_WORDS in (command_line(pid) or "") else None

    def named_pid(self) -> int | None:
        """Return the pid written in the lock file, true or stale; None when there is none."""
        try:
            return int(self.path.read_text(encoding="utf-8").split()[0])
        except (OSError, ValueError, IndexError):
            return None

    def _windows_holder(self) -> tuple[int, str] | None:
        try:
            pid_text, _, started = self.path.read_text(encoding="utf-8").partition(" ")
            pid = int(pid_text)
        except (OSError, ValueError):
            return None
        return (pid, started) if started and start_time(pid) == started else None
