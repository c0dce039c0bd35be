"""Reads one local file: inside the roots, regular, within the limit, and not while it changes."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from durable_ingest.errors import (
    DocumentTooLarge,
    DurableIngestError,
    SourceMissing,
    SourceRefused,
    SourceUnavailable,
    SourceUnreadable,
)
from durable_ingest.sources.roots import Roots

__all__ = ["Reading", "check_regular", "read_file", "translate_error"]

_TRIES = 3
_PIECE = 1024 * 1024
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
# A pipe put in place of the file must not block; on regular files the flag does nothing.
_FILE_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _NO_FOLLOW
_FOLDER_FLAGS = getattr(os, "O_PATH", os.O_RDONLY) | getattr(os, "O_DIRECTORY", 0) | _NO_FOLLOW
_OPENS_BY_FOLDER = os.open in os.supports_dir_fd

_TEMPORARY = frozenset(
    {
        errno.EAGAIN,
        errno.EBUSY,
        errno.EINTR,
        errno.EIO,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOMEM,
        getattr(errno, "ESTALE", errno.EAGAIN),
        getattr(errno, "ETIMEDOUT", errno.EAGAIN),
    }
)


@dataclass(frozen=True, slots=True)
class Reading:
    """A file's bytes and what the file system said of it.

    Attributes:
        content: All bytes.
        modified_ns: Modification time, the same before and after reading.
        scanned_ns: Wall clock when reading began, ns since the epoch.
    """

    content: bytes
    modified_ns: int
    scanned_ns: int


def translate_error(path: Path, error: OSError) -> DurableIngestError:
    """The project's error for what the system said of a path."""
    spoken = repr(str(path))
    reason = error.strerror or str(error)
    if error.errno in _TEMPORARY:
        return SourceUnavailable(f"{spoken} cannot be read just now: {reason}")
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return SourceMissing(f"there is no file or folder {spoken}")
    if isinstance(error, PermissionError):
        return SourceUnreadable(f"no permission to read {spoken}")
    return SourceUnreadable(f"{spoken} cannot be read: {reason}")


def check_regular(path: Path, mode: int) -> None:
    """Refuse what is neither file nor folder: reading it could block or have effects.

    Raises:
        SourceRefused: With the rule `regular-files`.
    """
    for test, name in (
        (stat.S_ISFIFO, "a named pipe"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISCHR, "a device"),
        (stat.S_ISBLK, "a device"),
    ):
        if test(mode):
            raise SourceRefused(
                f"{str(path)!r} is {name}; only regular files are read", rule="regular-files"
            )


def read_file(path: Path, roots: Roots, *, max_bytes: int) -> Reading:
    """Read a whole file that lies within the roots when it is opened.

    A file that changes while it is read is read again, three times in all.

    Raises:
        SourceRefused: Outside the roots, or no regular file.
        SourceMissing: Not there.
        SourceUnreadable: No permission, a folder, a loop of links.
        DocumentTooLarge: Over `max_bytes`; nothing was read if its size said so.
        SourceUnavailable: It kept changing, or the system is short of something.
    """
    for _ in range(_TRIES):
        real = roots.resolve(path)
        try:
            # Looked at before it is opened: opening a device may already have effects.
            _check_kind(path, real.stat().st_mode)
            with _opened(real, roots) as descriptor:
                reading = _read(path, descriptor, max_bytes)
        except OSError as error:
            raise translate_error(path, error) from error
        if reading is not None:
            return reading
    raise SourceUnavailable(f"{str(path)!r} changed while it was read, {_TRIES} times over")


def _check_kind(path: Path, mode: int) -> None:
    check_regular(path, mode)
    if stat.S_ISDIR(mode):
        raise SourceUnreadable(f"{str(path)!r} is a folder, and a file was expected")


@contextmanager
def _opened(real: Path, roots: Roots) -> Iterator[int]:
    """Open name by name from the root, following no link.

    A resolved path holds no links; one put there in the meantime makes the open fail, so nothing
    outside the root is ever reached.
    """
    root = roots.root_of(real)
    if root is None or root == real or not _OPENS_BY_FOLDER:
        descriptor = os.open(real, _FILE_FLAGS)
    else:
        *folders, name = real.relative_to(root).parts
        parent = os.open(root, _FOLDER_FLAGS & ~getattr(os, "O_NOFOLLOW", 0))
        try:
            for folder in folders:
                below = os.open(folder, _FOLDER_FLAGS, dir_fd=parent)
                os.close(parent)
                parent = below
            descriptor = os.open(name, _FILE_FLAGS, dir_fd=parent)
        except OSError as error:
            if error.errno in {errno.ELOOP, errno.ENOTDIR}:
                raise SourceUnavailable(
                    f"{str(real)!r} was replaced by a link while it was being opened"
                ) from error
            raise
        finally:
            os.close(parent)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _read(path: Path, descriptor: int, max_bytes: int) -> Reading | None:
    """The file's bytes, or None when it changed meanwhile."""
    scanned_ns = time.time_ns()
    before = os.fstat(descriptor)
    _check_kind(path, before.st_mode)
    if before.st_size > max_bytes:
        raise _too_large(path, f"{before.st_size} bytes", max_bytes)
    content = bytearray()
    # One byte more than the file should have shows that it grew.
    while len(content) <= before.st_size:
        piece = os.read(descriptor, min(_PIECE, before.st_size + 1 - len(content)))
        if not piece:
            break
        content += piece
    after = os.fstat(descriptor)
    if after.st_size > max_bytes:
        raise _too_large(path, f"grown to {after.st_size} bytes", max_bytes)
    if len(content) != before.st_size or _signature(before) != _signature(after):
        return None
    return Reading(bytes(content), after.st_mtime_ns, scanned_ns)


def _signature(status: os.stat_result) -> tuple[int, int]:
    return (status.st_size, status.st_mtime_ns)


def _too_large(path: Path, size: str, max_bytes: int) -> DocumentTooLarge:
    return DocumentTooLarge(
        f"{str(path)!r} has {size}, over the limit of {max_bytes}: "
        "raise max_document_bytes to take it"
    )
