"""The folders that file sources may read; everything else is refused."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from durable_ingest.errors import SourceRefused

__all__ = ["Roots"]


class Roots:
    """Decides by resolved paths: a symbolic link counts as what it points at.

    Args:
        folders: The worker's `allowed_roots`; none means that no file may be read. A root may be
            a single file. Roots are resolved once, here.
    """

    def __init__(self, folders: Iterable[Path]) -> None:
        self.folders = tuple(Path(os.path.realpath(folder)) for folder in folders)

    def root_of(self, real: Path) -> Path | None:
        """The root that a resolved path lies in, None if in none."""
        return next((root for root in self.folders if real.is_relative_to(root)), None)

    def resolve(self, path: Path) -> Path:
        """The path with all symbolic links followed; it need not exist.

        Raises:
            SourceRefused: It lies outside all roots (rule `allowed_roots`).
        """
        real = Path(os.path.realpath(path))
        if self.root_of(real) is None:
            raise SourceRefused(self._refusal(path, real), rule="allowed_roots")
        return real

    def _refusal(self, path: Path, real: Path) -> str:
        spoken = repr(str(path)) if path == real else f"{str(path)!r} (really {str(real)!r})"
        if not self.folders:
            return f"{spoken} may not be read: the worker was given no folders (allowed_roots)"
        folders = ", ".join(repr(str(folder)) for folder in self.folders)
        return f"{spoken} lies outside the worker's allowed_roots: {folders}"
