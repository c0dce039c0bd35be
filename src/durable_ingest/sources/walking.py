"""Walks a folder in the order of its URIs, one folder level in memory at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from durable_ingest.errors import (
    DurableIngestError,
    SourceRefused,
    SourceUnavailable,
    SourceUnreadable,
)
from durable_ingest.sources.reading import check_regular, translate_error
from durable_ingest.sources.roots import Roots
from durable_ingest.sources.selection import Pattern, State

__all__ = ["FoundFile", "Unlisted", "walk"]

# The same characters that `ids.file_uri` leaves as they are.
_SAFE = "-._~!$&'()*+,;=:@"


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file that belongs to the source, not opened yet.

    Attributes:
        uri: Canonical URI.
        size: Bytes.
        modified_ns: Modification time, ns since the epoch.
    """

    uri: str
    size: int
    modified_ns: int


@dataclass(frozen=True, slots=True)
class Unlisted:
    """A file or folder that belongs to the source, but may not or cannot be read."""

    uri: str
    error: DurableIngestError


@dataclass(frozen=True, slots=True)
class _Entry:
    """One name of a folder; `key` sorts folders where the URIs of their contents sort."""

    key: str
    name: str
    state: State
    is_folder: bool
    entry: os.DirEntry[str]


@dataclass(frozen=True, slots=True)
class _Folder:
    uri: str
    entries: Iterator[_Entry]


def walk(
    root: Path, uri: str, pattern: Pattern, *, roots: Roots, follow_symlinks: bool
) -> Iterator[FoundFile | Unlisted]:
    """Yield what `pattern` selects below `root`, sorted by the bytes of the URI.

    Files that vanish while the walk goes on are left out. Folders behind symbolic links are
    walked only when asked, and each real folder once, so that no walk is endless.

    Args:
        root: An existing folder inside the roots.
        uri: Its canonical URI.
        pattern: Selects by the names below `root`.
        roots: What may be read; links that lead outside are yielded as unlisted.
        follow_symlinks: Walk into folders behind links.

    Raises:
        DurableIngestError: `root` itself cannot be listed; nothing was yielded.
        SourceUnavailable: The system is short of something; listing again may help.
    """
    return _Walk(pattern, roots, follow_symlinks=follow_symlinks).run(root, uri)


class _Walk:
    def __init__(self, pattern: Pattern, roots: Roots, *, follow_symlinks: bool) -> None:
        self._pattern = pattern
        self._roots = roots
        self._follow_symlinks = follow_symlinks
        self._seen: set[tuple[int, int]] = set()

    def run(self, root: Path, uri: str) -> Iterator[FoundFile | Unlisted]:
        try:
            before = root.stat()
            self._is_new(root)
            first = self._listed(str(root), self._pattern.start)
        except OSError as error:
            raise translate_error(root, error) from error
        stack = [_Folder(uri.rstrip("/"), iter(first))]
        while stack:
            folder = stack[-1]
            item = next(folder.entries, None)
            if item is None:
                stack.pop()
                continue
            found = self._visited(item, f"{folder.uri}/{item.key.rstrip('/')}")
            if isinstance(found, _Folder):
                stack.append(found)
            elif found is not None:
                yield found
        # Everything below an unmounted disk looks deleted, one by one.
        if not _is_same(root, before):
            raise SourceUnavailable(f"{str(root)!r} was replaced while it was listed")

    def _visited(self, item: _Entry, uri: str) -> _Folder | FoundFile | Unlisted | None:
        path = Path(item.entry.path)
        try:
            return self._folder(item, path, uri) if item.is_folder else self._file(item, path, uri)
        except FileNotFoundError:
            if not os.path.lexists(path):
                return None  # it vanished since its folder was listed
            return Unlisted(
                uri, SourceUnreadable(f"{str(path)!r} is a symbolic link that leads nowhere")
            )
        except OSError as error:
            failure = translate_error(path, error)
            if isinstance(failure, SourceUnavailable):
                raise failure from error
            return Unlisted(uri, failure)
        except SourceRefused as error:
            return Unlisted(uri, error)

    def _folder(self, item: _Entry, path: Path, uri: str) -> _Folder | None:
        if item.entry.is_symlink():
            self._roots.resolve(path)
        if not self._is_new(path):
            return None
        return _Folder(uri, iter(self._listed(item.entry.path, item.state)))

    def _file(self, item: _Entry, path: Path, uri: str) -> FoundFile:
        if item.entry.is_symlink():
            status = self._roots.resolve(path).stat()
        else:
            # Without links, what lies in a folder inside the roots lies inside the roots.
            status = item.entry.stat(follow_symlinks=False)
        check_regular(path, status.st_mode)
        return FoundFile(uri, status.st_size, status.st_mtime_ns)

    def _listed(self, folder: str, state: State) -> list[_Entry]:
        out: list[_Entry] = []
        with os.scandir(folder) as entries:
            for entry in entries:
                name = entry.name
                after = self._pattern.step(state, name)
                if not after:
                    continue
                is_folder = self._is_folder(entry)
                if is_folder is None or not (is_folder or self._pattern.accepts(after, name)):
                    continue
                quoted = quote(name.encode("utf-8", "surrogateescape"), safe=_SAFE)
                key = quoted + "/" if is_folder else quoted
                out.append(_Entry(key, name, after, is_folder, entry))
        out.sort(key=lambda item: item.key)
        return out

    def _is_folder(self, entry: os.DirEntry[str]) -> bool | None:
        """Whether to walk into it; None for a folder behind a link that is not to be followed."""
        if not entry.is_symlink():
            return entry.is_dir(follow_symlinks=False)
        try:
            is_folder = entry.is_dir()
        except OSError:
            return False  # a link that leads nowhere is reported as a file
        return None if is_folder and not self._follow_symlinks else is_folder

    def _is_new(self, folder: Path) -> bool:
        """Whether a real folder is met for the first time; without links it always is."""
        if not self._follow_symlinks:
            return True
        status = folder.stat()
        identity = (status.st_dev, status.st_ino)
        if identity in self._seen:
            return False
        self._seen.add(identity)
        return True


def _is_same(folder: Path, before: os.stat_result) -> bool:
    try:
        return os.path.samestat(folder.stat(), before)
    except OSError:
        return False
