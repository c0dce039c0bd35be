"""One writer at a time, over all threads and processes of a machine.

The operating system frees the lock when its holder dies. The lock says nothing of the index's
state, so the two files here are written directly and never synced.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from durable_ingest.errors import StoreBusy

_POLL = 0.02


class WriterLock:
    """The lock of an index.

    Args:
        path: The lock file.
        holder: File that names the process holding it.
        timeout: Seconds to wait for it.
    """

    def __init__(self, path: Path, holder: Path, *, timeout: float) -> None:
        self._path = path
        self._holder = holder
        self._timeout = timeout

    @contextmanager
    def held(self, *, timeout: float | None = None) -> Iterator[None]:
        """Hold the lock.

        Args:
            timeout: Seconds to wait, when other than usual; 0 tries once.

        Raises:
            StoreBusy: It did not become free in time.
        """
        wait = self._timeout if timeout is None else timeout
        # A lock object of its own each time: two threads must exclude each other as well.
        lock = FileLock(self._path, thread_local=False)
        try:
            lock.acquire(timeout=wait, poll_interval=_POLL)
        except Timeout as error:
            raise StoreBusy(
                f"{self._describe_holder()} is writing to the index in"
                f" {str(self._path.parent)!r} and did not finish within {wait:g} s: try again"
                " later, or stop it"
            ) from error
        try:
            with suppress(OSError):
                self._holder.write_text(str(os.getpid()), encoding="ascii")
            yield
        finally:
            lock.release()

    def _describe_holder(self) -> str:
        try:
            return f"process {int(self._holder.read_text(encoding='ascii'))}"
        except (OSError, ValueError):
            return "another process"
