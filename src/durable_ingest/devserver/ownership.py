"""One live process per directory, and its name for whoever comes second."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

import filelock

from durable_ingest.devserver.processes import start_time
from durable_ingest.devserver.records import OwnerRecord, read_owner, write_record
from durable_ingest.errors import RunConflict, ServerUnavailable

__all__ = ["Ownership"]

_NAMING_SECONDS = 1.0


class Ownership:
    """The right to run a job on a directory; it ends with the process that took it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._record = directory / "owner.json"
        # Taken and given back in whichever threads the caller uses.
        self._lock = filelock.FileLock(directory / "owner.lock", thread_local=False)

    @property
    def is_held(self) -> bool:
        """Whether this object holds it."""
        return self._lock.is_locked

    def take(self) -> None:
        """Take the directory, making it when missing.

        Raises:
            RunConflict: Another live process has it; the message names its pid.
            ServerUnavailable: The directory cannot be used.
        """
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
            try:
                write_record(self._record, OwnerRecord(os.getpid(), start_time(os.getpid())))
            except BaseException:
                self._lock.release()
                raise
        except filelock.Timeout:
            raise RunConflict(
                f"{self._owner()} is running a job on {str(self._directory)!r}: wait until it "
                "ends, stop it, or choose another folder"
            ) from None
        except OSError as error:
            raise ServerUnavailable(
                f"the folder {str(self._directory)!r} cannot hold the server's state "
                f"({error.strerror or error}): make it writable, make room, or choose another"
            ) from error

    def give_back(self) -> None:
        """Let the next process have the directory."""
        with contextlib.suppress(OSError):
            self._record.unlink(missing_ok=True)
        self._lock.release()

    def _owner(self) -> str:
        deadline = time.monotonic() + _NAMING_SECONDS
        while True:  # the owner writes its name a moment after it took the lock
            owner = read_owner(self._record)
            if owner is not None and start_time(owner.pid) == owner.started:
                return f"process {owner.pid}"
            if time.monotonic() >= deadline:
                return "another process"
            time.sleep(0.02)
