"""The few file calls on which durability rests, behind one small port.

Stores and artifacts reach the disk through `Files` only, so that a test can cut the power after
any call, drop what was not synced and look at what a later start would find.

What makes a write durable is always the same order: write a new file under a temporary name and
sync its content, give it its final name, sync the folder. `write_durably` does the first two;
the folder is synced by the caller, once for several files.
"""

from __future__ import annotations

import errno
import mmap
import os
import secrets
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol, TypeAlias, runtime_checkable

from durable_ingest.errors import StorageFull

if sys.platform == "darwin":
    import fcntl

__all__ = ["TEMPORARY", "Files", "OsFiles", "make_folders", "reporting_full_disk", "write_durably"]

Buffer: TypeAlias = bytes | bytearray | memoryview

TEMPORARY = ".tmp"
"""Suffix of files that have no final name yet; whoever finds one after a crash may remove it."""

_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})
_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})


@runtime_checkable
class Files(Protocol):
    """File calls. All raise `OSError` as the operating system gives it."""

    def write_new(self, path: Path, parts: Iterable[Buffer]) -> None:
        """Create a file, write it and sync its content; its name is not durable yet.

        Raises:
            FileExistsError: The name is taken; nothing was written.
        """
        ...

    def replace(self, source: Path, target: Path) -> None:
        """Rename, replacing `target` in one step; durable once the folder is synced."""
        ...

    def publish(self, source: Path, target: Path) -> None:
        """Rename to a name that must be free; durable once the folder is synced.

        Raises:
            FileExistsError: The name is taken; it keeps its content.
        """
        ...

    def remove(self, path: Path) -> None:
        """Remove a file."""
        ...

    def make_directory(self, path: Path) -> None:
        """Create a folder whose parent exists; one that is there already is left alone."""
        ...

    def sync_directory(self, path: Path) -> None:
        """Make the names in a folder durable."""
        ...

    def read(self, path: Path) -> bytes:
        """The whole content."""
        ...

    def read_at(self, path: Path, start: int, length: int) -> bytes:
        """`length` bytes from `start` on; fewer only where the file ends."""
        ...

    def mapped(self, path: Path) -> memoryview:
        """The content mapped into memory, read-only, until the view is garbage."""
        ...

    def exists(self, path: Path) -> bool:
        """Whether there is anything of that name."""
        ...

    def size(self, path: Path) -> int:
        """Length in bytes."""
        ...

    def age(self, path: Path, now: float) -> float:
        """Seconds between the last modification and `now`, a Unix time."""
        ...

    def identity(self, path: Path) -> tuple[int, int] | None:
        """What stays equal as long as the name means the same file; None when there is none."""
        ...

    def names(self, directory: Path) -> list[str]:
        """Names in a folder, sorted; empty when there is no such folder."""
        ...

    def writable(self, directory: Path) -> bool:
        """Whether this process may create files in a folder."""
        ...


class OsFiles:
    """The files of the operating system."""

    def write_new(self, path: Path, parts: Iterable[Buffer]) -> None:
        """Write and sync through one descriptor, so that no write error can go unseen."""
        with path.open("xb", buffering=0) as file:
            for part in parts:
                rest = memoryview(part).cast("B")
                while rest:
                    rest = rest[file.write(rest) :]
            _sync(file.fileno())

    def replace(self, source: Path, target: Path) -> None:
        """`rename(2)`, which replaces in one step."""
        source.replace(target)

    def publish(self, source: Path, target: Path) -> None:
        """`link(2)`, which fails when the name is taken, then drop the old name."""
        try:
            os.link(source, target)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            # No hard links on this file system. The callers hold a lock, so looking first is safe.
            if os.path.lexists(target):
                raise FileExistsError(
                    errno.EEXIST, os.strerror(errno.EEXIST), str(target)
                ) from None
            source.rename(target)
            return
        with suppress(OSError):  # a second name of a published file is litter, not damage
            source.unlink()

    def remove(self, path: Path) -> None:
        """`unlink(2)`."""
        path.unlink()

    def make_directory(self, path: Path) -> None:
        """`mkdir(2)`."""
        path.mkdir(exist_ok=True)

    def sync_directory(self, path: Path) -> None:
        """`fsync(2)` on the folder; Windows keeps names durable by itself and has no such call."""
        if os.name == "nt":
            return
        descriptor = os.open(path, os.O_RDONLY)
        try:
            _sync(descriptor)
        finally:
            os.close(descriptor)

    def read(self, path: Path) -> bytes:
        """Read all."""
        return path.read_bytes()

    def read_at(self, path: Path, start: int, length: int) -> bytes:
        """Read a piece."""
        with path.open("rb", buffering=0) as file:
            file.seek(start)
            pieces: list[bytes] = []
            while length > 0 and (piece := file.read(length)):
                pieces.append(piece)
                length -= len(piece)
        return b"".join(pieces)

    def mapped(self, path: Path) -> memoryview:
        """Map the file; an empty one cannot be mapped and is an empty view."""
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size == 0:
                return memoryview(b"")
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))

    def exists(self, path: Path) -> bool:
        """Ask for the name itself; a link that leads nowhere exists too."""
        return os.path.lexists(path)

    def size(self, path: Path) -> int:
        """`stat(2)`."""
        return path.stat().st_size

    def age(self, path: Path, now: float) -> float:
        """By modification time."""
        return now - path.stat().st_mtime

    def identity(self, path: Path) -> tuple[int, int] | None:
        """Device and inode."""
        try:
            found = path.stat()
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino

    def names(self, directory: Path) -> list[str]:
        """Sorted, since the order of a folder is arbitrary."""
        try:
            return sorted(path.name for path in directory.iterdir())
        except FileNotFoundError:
            return []

    def writable(self, directory: Path) -> bool:
        """`access(2)`, which knows read-only file systems too."""
        return os.access(directory, os.W_OK | os.X_OK)


def _sync(descriptor: int) -> None:
    if sys.platform == "darwin":
        # There, fsync hands the bytes to the drive but does not make it write them down.
        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
    else:
        os.fsync(descriptor)


def write_durably(
    files: Files, target: Path, parts: Sequence[Buffer], *, exclusive: bool = False
) -> None:
    """Give `target` a synced content in one step; the caller syncs the folder.

    Args:
        files: Where to write.
        target: Final name.
        parts: Content, in pieces.
        exclusive: Whether the name must be free.

    Raises:
        FileExistsError: `exclusive`, and the name is taken.
        OSError: Anything else; nothing is visible under `target` that was not there before.
    """
    temporary = target.with_name(f".{target.name}.{os.getpid()}-{secrets.token_hex(4)}{TEMPORARY}")
    try:
        files.write_new(temporary, parts)
        if exclusive:
            files.publish(temporary, target)
        else:
            files.replace(temporary, target)
    except OSError:
        with suppress(OSError):
            files.remove(temporary)
        raise


def make_folders(files: Files, directory: Path) -> None:
    """Create a folder and those above it, each name durable.

    The folder's own name is synced even if it was there: who made it may have died too early.
    """
    missing: list[Path] = []
    current = directory
    while not files.exists(current) and current != current.parent:
        missing.append(current)
        current = current.parent
    for folder in reversed(missing):
        files.make_directory(folder)
        files.sync_directory(folder.parent)
    if not missing:
        with suppress(PermissionError):  # above it may be a folder that can be passed, not read
            files.sync_directory(directory.parent)


@contextmanager
def reporting_full_disk(what: str, directory: Path) -> Iterator[None]:
    """Turn "no space left" and "quota exceeded" into `StorageFull`.

    Args:
        what: What was being written, for the message.
        directory: Where.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_SPACE:
            raise
        raise StorageFull(
            f"no space left for {what} in {str(directory)!r}: nothing was changed; free some space"
            " and try again"
        ) from error
