"""Disks that fail: one that loses power, one that is full.

Both are real files below a real folder, reached through `durable_ingest.files.Files`. A killed
process leaves its writes in the page cache, so killing cannot show a missing sync; `FragileDisk`
can: it keeps book of what was synced, and after a cut it lays out every folder that a later
start might find.
"""

from __future__ import annotations

import errno
import itertools
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from durable_ingest.files import OsFiles

__all__ = ["FragileDisk", "FullDisk", "PowerCut", "memory_folder"]

Buffer: TypeAlias = bytes | bytearray | memoryview


@contextmanager
def memory_folder() -> Iterator[Path]:
    """An empty folder in memory where the system has such, for what no disk is needed for.

    Syncing costs nothing there, which is most of the time of a test that simulates failures.
    """
    memory = Path("/dev/shm")  # noqa: S108 - looked for, not trusted; the folder itself is private
    usable = memory.is_dir() and os.access(memory, os.W_OK)
    with tempfile.TemporaryDirectory(dir=memory if usable else None) as folder:
        yield Path(folder)


class PowerCut(BaseException):
    """The power is gone; a `BaseException`, since nothing can handle that."""


class _File:
    """A file's content, whatever its names are."""

    def __init__(self, data: bytes, *, synced: bool) -> None:
        self.data = data
        self.synced = synced

    def survivors(self) -> list[bytes]:
        """What may be found of it after a cut."""
        if self.synced or not self.data:
            return [self.data]
        return [b"", self.data[: len(self.data) // 2], bytes(len(self.data)), self.data]


@dataclass(frozen=True)
class _Change:
    """A change of names in one folder; it survives as a whole or not at all."""

    folder: Path
    removed: Path | None = None
    added: Path | None = None
    file: _File | None = None  # of the added name; None for a folder


class FragileDisk(OsFiles):
    """Files below `root` that lose power at a chosen moment.

    Everything that is there when the object is made counts as durable.

    Args:
        root: The folder that it keeps book of.
        calls: Steps that still happen; the one after raises `PowerCut`. None never cuts.
        ignore: Folders below `root` that are not its business: what others write there without
            these calls is not known to it.

    Attributes:
        steps: Steps so far. Writing a file is two: content, then sync.
    """

    def __init__(self, root: Path, *, calls: int | None = None, ignore: Iterable[str] = ()) -> None:
        self.root = root
        self.steps = 0
        self._calls = calls
        self._ignored = tuple(root / name for name in ignore)
        self._durable: dict[Path, _File | None] = {}
        self._files: dict[Path, _File] = {}
        self._pending: list[_Change] = []
        for path in sorted(root.rglob("*")):
            if self._is_ignored(path):
                continue
            self._durable[path] = None
            if path.is_file():
                self._durable[path] = self._files[path] = _File(path.read_bytes(), synced=True)

    def write_new(self, path: Path, parts: Iterable[Buffer]) -> None:
        """Two steps: the content is there, then it is synced."""
        self._step()
        data = b"".join(bytes(part) for part in parts)
        with path.open("xb") as file:
            file.write(data)
        self._files[path] = _File(data, synced=False)
        self._change(added=path, file=self._files[path])
        self._step()
        self._files[path].synced = True

    def replace(self, source: Path, target: Path) -> None:
        """One step."""
        self._step()
        super().replace(source, target)
        if source in self._files:
            self._files[target] = self._files.pop(source)
            self._change(removed=source, added=target, file=self._files[target])

    def publish(self, source: Path, target: Path) -> None:
        """Two steps: the second name, then the first one's end."""
        self._step()
        os.link(source, target)
        self._files[target] = self._files[source]
        self._change(added=target, file=self._files[target])
        self._step()
        source.unlink()
        del self._files[source]
        self._change(removed=source)

    def remove(self, path: Path) -> None:
        """One step."""
        self._step()
        super().remove(path)
        self._files.pop(path, None)
        self._change(removed=path)

    def make_directory(self, path: Path) -> None:
        """One step."""
        self._step()
        if not path.exists():
            path.mkdir()
            self._change(added=path)

    def sync_directory(self, path: Path) -> None:
        """One step; what is pending in that folder is durable then."""
        self._step()
        rest: list[_Change] = []
        for change in self._pending:
            if change.folder == path:
                _apply(self._durable, change)
            else:
                rest.append(change)
        self._pending = rest

    def aftermaths(self, folder: Path) -> Iterator[Path]:
        """Lay out below `folder`, one after the other, all that a later start may find.

        Any of the unsynced changes of names may have survived, in any combination, and of
        unsynced content nothing, a part, zeros or all. Ignored folders are left out.
        """
        seen: set[tuple[tuple[Path, bytes | None], ...]] = set()
        for kept in itertools.product((False, True), repeat=len(self._pending)):
            names = dict(self._durable)
            for change in itertools.compress(self._pending, kept):
                _apply(names, change)
            for tree in self._contents(names):
                key = tuple(sorted(tree.items()))
                if key not in seen:
                    seen.add(key)
                    place = folder / f"{len(seen):04d}"
                    _lay_out(tree, place)
                    yield place
                    shutil.rmtree(place)

    def _contents(self, names: dict[Path, _File | None]) -> Iterator[dict[Path, bytes | None]]:
        there = {
            path: file
            for path, file in names.items()
            if all(each in names for each in path.parents if self.root in each.parents)
        }
        loose = list({file for file in there.values() if file is not None and not file.synced})
        for contents in itertools.product(*(file.survivors() for file in loose)):
            found = dict(zip(loose, contents, strict=True))
            yield {
                path.relative_to(self.root): None if file is None else found.get(file, file.data)
                for path, file in there.items()
            }

    def _step(self) -> None:
        if self._calls is not None and self.steps >= self._calls:
            raise PowerCut
        self.steps += 1

    def _change(
        self, *, removed: Path | None = None, added: Path | None = None, file: _File | None = None
    ) -> None:
        name = added or removed
        if name is not None and not self._is_ignored(name):
            self._pending.append(_Change(name.parent, removed, added, file))

    def _is_ignored(self, path: Path) -> bool:
        return any(path.is_relative_to(folder) for folder in self._ignored)


class FullDisk(OsFiles):
    """Files on a disk that has no space left for one step, or from that step on.

    Args:
        step: The step that fails, from 0; removing needs no space and is no step.
        lasting: Whether all later steps fail as well.

    Attributes:
        steps: Steps so far.
    """

    def __init__(self, step: int, *, lasting: bool = False) -> None:
        self.steps = 0
        self._step = step
        self._lasting = lasting

    def write_new(self, path: Path, parts: Iterable[Buffer]) -> None:
        """Half of the content is written before there is no more space."""
        data = b"".join(bytes(part) for part in parts)
        if self._fails():
            path.write_bytes(data[: len(data) // 2])
            raise _no_space(path)
        super().write_new(path, [data])

    def replace(self, source: Path, target: Path) -> None:
        """A name needs space too."""
        if self._fails():
            raise _no_space(target)
        super().replace(source, target)

    def publish(self, source: Path, target: Path) -> None:
        """A name needs space too."""
        if self._fails():
            raise _no_space(target)
        super().publish(source, target)

    def make_directory(self, path: Path) -> None:
        """A folder needs space."""
        if self._fails():
            raise _no_space(path)
        super().make_directory(path)

    def sync_directory(self, path: Path) -> None:
        """Where space is given out late, syncing is when it turns out to lack."""
        if self._fails():
            raise _no_space(path)
        super().sync_directory(path)

    def _fails(self) -> bool:
        step = self.steps
        self.steps += 1
        return step >= self._step if self._lasting else step == self._step


def _no_space(path: Path) -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def _apply(names: dict[Path, _File | None], change: _Change) -> None:
    if change.removed is not None:
        names.pop(change.removed, None)
    if change.added is not None:
        names[change.added] = change.file


def _lay_out(tree: dict[Path, bytes | None], place: Path) -> None:
    place.mkdir(parents=True)
    for path, content in sorted(tree.items()):
        if content is None:
            (place / path).mkdir()
        else:
            (place / path).write_bytes(content)
