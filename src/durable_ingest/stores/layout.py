"""Where everything of an index lies below its folder."""

from __future__ import annotations

from pathlib import Path

FORMAT = 1
"""Version of the layout; an index with a higher one is refused."""

MANIFEST = "index.json"
COMMITS = "commits"
SEGMENTS = "segments"
CHECKPOINTS = "checkpoints"
DERIVED = "derived"
LOCK = "writer.lock"
HOLDER = "writer.pid"

OWN = frozenset({COMMITS, SEGMENTS, CHECKPOINTS, DERIVED, LOCK, HOLDER})
NEIGHBOURS = frozenset({"server", "artifacts", "cache", "reports"})
"""Folders that others keep beside the index; an index may be created around them."""


class Layout:
    """Paths of an index."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.manifest = directory / MANIFEST
        self.commits = directory / COMMITS
        self.segments = directory / SEGMENTS
        self.checkpoints = directory / CHECKPOINTS
        self.derived = directory / DERIVED
        self.lookup = directory / DERIVED / "lookup.sqlite"
        self.lock = directory / LOCK
        self.holder = directory / HOLDER

    @property
    def folders(self) -> tuple[Path, ...]:
        """Folders that every index has."""
        return self.commits, self.segments, self.checkpoints, self.derived
