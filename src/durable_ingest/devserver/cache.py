"""The folder where executables are kept, by version, and the way in: whole files only.

A preparation (download or build) works in a `partial-…` folder beside the executable, under a
lock. Whoever holds the lock may therefore delete every such folder it finds: its maker is dead.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import filelock
import platformdirs

from durable_ingest.devserver.processes import end_group, start_time
from durable_ingest.devserver.versions import PINNED_CLI
from durable_ingest.errors import ServerUnavailable

__all__ = ["CACHE_VARIABLE", "cached_path", "note_worker", "place", "preparing"]

CACHE_VARIABLE = "DURABLE_INGEST_CACHE"
_PARTIAL = "partial-"
_WORKER = "worker.json"
_WAIT_SECONDS = 3600.0


def cached_path(version: str = PINNED_CLI) -> Path:
    """Return where the executable of `version` is or would be; nothing is created."""
    given = os.environ.get(CACHE_VARIABLE)
    root = (
        Path(given).expanduser() if given else Path(platformdirs.user_cache_dir("durable-ingest"))
    )
    name = "temporal.exe" if sys.platform == "win32" else "temporal"
    return root.absolute() / "temporal" / version / name


@contextlib.contextmanager
def preparing(destination: Path, say: Callable[[str], None]) -> Iterator[Path]:
    """Give one process at a time an empty work folder on the cache's own file system.

    The folder is removed at the end, however it ends; folders of preparations that were killed
    are removed at the start, and what they left running is ended.

    Raises:
        ServerUnavailable: The cache folder cannot be written, or another process has been
            preparing the same version for an hour.
    """
    folder = destination.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = _locked(folder / "prepare.lock", say)
    except OSError as error:
        raise ServerUnavailable(
            f"the cache folder {str(folder)!r} cannot be written ({error.strerror or error}): "
            f"set {CACHE_VARIABLE} to a folder that can"
        ) from error
    try:
        _sweep(folder)
        partial = Path(tempfile.mkdtemp(prefix=_PARTIAL, dir=folder))
        try:
            yield partial
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    finally:
        lock.release()


def _locked(path: Path, say: Callable[[str], None]) -> filelock.BaseFileLock:
    lock = filelock.FileLock(path, thread_local=False)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        say("another process is preparing the Temporal server; waiting for it")
        try:
            lock.acquire(timeout=_WAIT_SECONDS, poll_interval=0.2)
        except filelock.Timeout:
            raise ServerUnavailable(
                f"another process has held {str(path)!r} for an hour: end it and try again"
            ) from None
    return lock


def note_worker(partial: Path, pid: int) -> None:
    """Record the process group that works in `partial`, so that a later sweep can end it."""
    text = json.dumps({"pid": pid, "started": start_time(pid)})
    (partial / _WORKER).write_text(text, encoding="utf-8")


def _sweep(folder: Path) -> None:
    for left in folder.glob(f"{_PARTIAL}*"):
        try:
            worker = json.loads((left / _WORKER).read_text(encoding="utf-8"))
            pid, started = int(worker["pid"]), str(worker["started"])
        except (OSError, ValueError, KeyError, TypeError):
            pass  # it had started no process yet
        else:
            if start_time(pid) == started:
                end_group(pid)
        shutil.rmtree(left, ignore_errors=True)


def place(candidate: Path, destination: Path) -> None:
    """Make `candidate` the cached executable, all of it or nothing, and keep it over a power cut.

    Both must lie on one file system, as a folder from `preparing` does.
    """
    candidate.chmod(0o755)
    with candidate.open("rb") as file:
        os.fsync(file.fileno())
    candidate.replace(destination)
    if sys.platform != "win32":
        descriptor = os.open(destination.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
