"""What a file source selects: a path or a pattern, with options, and whether a name belongs to it.

A `file:` URI names a path; `*`, `?` and `[...]` that are not percent-encoded make it a pattern,
unless a file of exactly that name exists. `**` stands for any number of folders; at the end it
stands for all documents below. A folder is the pattern folder/`**`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import translate
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from durable_ingest.errors import InvalidInput
from durable_ingest.ids import file_uri, path_of
from durable_ingest.sources.media_types import SUFFIXES, suffix_of

__all__ = ["FileOptions", "Pattern", "Selection", "State", "literal_uri", "parse_selection"]

State = frozenset[int]
"""Places in a pattern that the names read so far may have led to."""

_MAGIC = re.compile(r"[*?\[]")
_ESCAPES = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
_ANYWHERE = "**"
_VERSION_CONTROL = frozenset({".git", ".hg", ".svn", ".bzr", ".jj", "CVS", "_darcs"})


@dataclass(frozen=True, slots=True)
class FileOptions:
    """Options of a file source.

    Attributes:
        hidden: Take names that begin with a dot too; version control folders stay out.
        suffixes: Suffixes that a folder walk takes instead of the known ones; `*` takes all.
        follow_symlinks: Walk into folders behind symbolic links, each real folder once.
        path: URI of the file to read when the source's own URI is only its name.
    """

    hidden: bool = False
    suffixes: tuple[str, ...] | None = None
    follow_symlinks: bool = False
    path: str | None = None

    def takes(self, name: str) -> bool:
        """Whether a folder walk takes a file of this name."""
        if self.suffixes is None:
            return suffix_of(name) in SUFFIXES
        return "*" in self.suffixes or name.lower().endswith(self.suffixes)


def parse_options(options: Mapping[str, Any]) -> FileOptions:
    """Check the options of a source.

    Raises:
        InvalidInput: An unknown option or a wrong type.
    """
    known = {"hidden", "suffixes", "follow_symlinks", "path"}
    for name in options:
        if name not in known:
            raise InvalidInput(
                f"unknown option {name!r} of a file source; there are: {', '.join(sorted(known))}"
            )
    for name in ("hidden", "follow_symlinks"):
        if not isinstance(options.get(name, False), bool):
            raise InvalidInput(f"option {name!r} must be true or false, not {options[name]!r}")
    path = options.get("path")
    if path is not None and not (isinstance(path, str) and path.startswith("file:")):
        raise InvalidInput(f"option 'path' must be a file: URI, not {path!r}")
    suffixes = options.get("suffixes")
    if suffixes is not None and (
        isinstance(suffixes, str)
        or not isinstance(suffixes, Sequence)
        or not suffixes
        or not all(
            isinstance(item, str) and (item == "*" or item[:1] == "." != item) for item in suffixes
        )
    ):
        raise InvalidInput(
            f"option 'suffixes' must be a list such as ['.md', '.log'] or ['*'], not {suffixes!r}"
        )
    return FileOptions(
        hidden=options.get("hidden", False),
        suffixes=None if suffixes is None else tuple(item.lower() for item in suffixes),
        follow_symlinks=options.get("follow_symlinks", False),
        path=path,
    )


class Pattern:
    """Matches paths below a folder name by name, so that a walk can skip what cannot match."""

    def __init__(self, parts: Sequence[str], options: FileOptions) -> None:
        self._parts = tuple(parts)
        self._tests = [
            None if part == _ANYWHERE else re.compile(translate(part)) for part in self._parts
        ]
        self._options = options
        self._all_documents = self._parts[-1] == _ANYWHERE
        self._known: dict[State, State] = {}
        self.start = self._closed({0})

    def step(self, state: State, name: str) -> State:
        """Where one more name leads; empty when nothing below it can match."""
        return self._closed(
            place if self._tests[place] is None else place + 1
            for place in state
            if place < len(self._parts) and self._matches(place, name)
        )

    def accepts(self, state: State, name: str) -> bool:
        """Whether a file is selected.

        Args:
            state: Where its own name led.
            name: Its name. Behind a final `**` only documents are taken, as in a folder.
        """
        if len(self._parts) not in state:
            return False
        return not self._all_documents or self._options.takes(name)

    def matches(self, names: Sequence[str]) -> bool:
        """Whether a file is selected, given its folders and its name."""
        state = self.start
        for name in names:
            state = self.step(state, name)
        return bool(names) and self.accepts(state, names[-1])

    def _matches(self, place: int, name: str) -> bool:
        part, test = self._parts[place], self._tests[place]
        if name == part:
            return True
        if name in _VERSION_CONTROL:
            return False
        if name.startswith(".") and not self._options.hidden and not part.startswith("."):
            return False
        return test is None or test.match(name) is not None

    def _closed(self, places: Iterable[int]) -> State:
        out: set[int] = set()
        for first in places:
            place = first
            out.add(place)
            while place < len(self._parts) and self._tests[place] is None:
                place += 1  # `**` may stand for no folder at all
                out.add(place)
        state = frozenset(out)
        # One object per state: a folder of a million names refers to few.
        return self._known.setdefault(state, state)


@dataclass(frozen=True, slots=True)
class Selection:
    """A parsed file source.

    Attributes:
        path: What the URI names when read literally.
        root: Folder that a pattern is searched in; `path` when there is no pattern.
        parts: The pattern's names below `root`; empty when the URI holds none.
        options: The source's options.
    """

    path: Path
    root: Path
    parts: tuple[str, ...]
    options: FileOptions

    def pattern(self) -> Pattern:
        """Matches what is below `root`."""
        return Pattern(self.parts, self.options)

    def documents(self) -> Pattern:
        """Matches all documents below a folder."""
        return Pattern((_ANYWHERE,), self.options)

    def covers(self, path: Path) -> bool:
        """Whether the selection would hold a file at `path`; the disk is not looked at.

        A URI that can be read as a pattern and as a name covers what either would.
        """
        if path == self.path:
            return True
        if path.is_relative_to(self.path):
            return self.documents().matches(path.relative_to(self.path).parts)
        return (
            bool(self.parts)
            and path.is_relative_to(self.root)
            and self.pattern().matches(path.relative_to(self.root).parts)
        )


def parse_selection(uri: str, options: Mapping[str, Any] | None = None) -> Selection:
    """Read the URI and options of a file source.

    Raises:
        InvalidInput: It is no absolute `file:` URI of this machine, or an option is wrong.
    """
    segments = _segments(uri)
    path = path_of(file_uri(Path("/", *(_decoded(segment) for segment in segments))))
    first = next(
        (place for place, segment in enumerate(segments) if _MAGIC.search(segment)), len(segments)
    )
    if first == len(segments):
        return Selection(path, path, (), parse_options(options or {}))
    root = path_of(file_uri(Path("/", *(_decoded(segment) for segment in segments[:first]))))
    parts = tuple(_part(segment) for segment in segments[first:] if segment != ".")
    if ".." in parts:
        raise InvalidInput(f"{uri!r}: a pattern cannot hold '..' after its first wildcard")
    return Selection(path, root, parts, parse_options(options or {}))


def literal_uri(path: Path) -> str:
    """A `file:` URI that no reader takes for a pattern."""
    return file_uri(path).replace("*", "%2A")


def _segments(uri: str) -> list[str]:
    scheme, _, rest = uri.partition("#")[0].partition(":")
    if scheme.lower() != "file" or not rest.startswith("/"):
        raise InvalidInput(f"{uri!r} is not an absolute file: URI such as 'file:///folder'")
    if rest.startswith("//"):
        host = urlsplit(f"file:{rest}").netloc
        if host.lower() not in {"", "localhost"}:
            raise InvalidInput(
                f"{uri!r} names the host {host!r}: files are read from this machine only; "
                "a path begins after three slashes, as in 'file:///folder'"
            )
        rest = rest[2 + len(host) :]
    if "%00" in rest or "\0" in rest:
        raise InvalidInput(f"{uri!r}: a path cannot hold a NUL byte")
    try:
        rest.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise InvalidInput(f"{uri!r} is not valid Unicode: {error}") from error
    return [segment for segment in rest.split("/") if segment]


def _decoded(segment: str) -> str:
    return unquote(segment, errors="surrogateescape")


def _part(segment: str) -> str:
    """A name or pattern; what was percent-encoded stands for itself."""
    return _ESCAPES.sub(
        lambda found: re.sub(r"[*?\[]", r"[\g<0>]", _decoded(found.group())), segment
    )
