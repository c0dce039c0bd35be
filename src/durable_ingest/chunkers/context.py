"""What is embedded before a chunk's text: title, headings above it, header of its table."""

from __future__ import annotations

from collections.abc import Sequence

from durable_ingest.chunkers.clusters import Clusters
from durable_ingest.chunkers.parameters import Parameters

__all__ = ["LONGEST_PART", "ContextWriter"]

LONGEST_PART = 200
"""Code points kept of a title or heading; the rest of a longer one is dropped."""

_SEPARATOR = " > "


class ContextWriter:
    """Writes contexts within a budget; equal ones are written once.

    A path that is too long loses its outermost parts first. If the innermost part alone is too
    long, it is cut at the end of a grapheme cluster.
    """

    def __init__(self, parameters: Parameters, *, title: str | None = None) -> None:
        self._budget = parameters.context
        self._tokenizer = parameters.tokenizer if parameters.length == "tokens" else None
        self._title = shortened(" ".join(title[: 4 * LONGEST_PART].split())) if title else ""
        self._written: dict[tuple[tuple[str, ...], str], str] = {}

    def write(self, path: tuple[str, ...] = (), *, header: str = "") -> str:
        """The context of a chunk under the headings `path`, its table's header last.

        The header is left out where it does not fit. Empty when the budget is 0.
        """
        if self._budget == 0:
            return ""
        key = (path, header)
        found = self._written.get(key)
        if found is None:
            found = self._written[key] = self._with_header(self._path(path), header)
        return found

    def _path(self, path: tuple[str, ...]) -> str:
        parts: Sequence[str] = [part for part in path if part]
        if self._title and (not parts or parts[0] != self._title):
            parts = [self._title, *parts]
        for first in range(len(parts)):
            joined = _SEPARATOR.join(parts[first:])
            if self._fits(joined):
                return joined
        return self._cut(parts[-1]) if parts else ""

    def _with_header(self, path: str, header: str) -> str:
        if not header:
            return path
        both = f"{path}\n{header}" if path else header
        return both if self._fits(both) else path

    def _fits(self, text: str) -> bool:
        if self._tokenizer is None:
            return len(text) <= self._budget
        return self._tokenizer.count_batch([text])[0] <= self._budget

    def _cut(self, part: str) -> str:
        if self._tokenizer is None:
            return part[: Clusters(part).floor(self._budget)].rstrip()
        offsets = self._tokenizer.encode(part).offsets
        clusters = Clusters(part)
        for start, _ in reversed(offsets[: self._budget + 1]):
            kept = part[: clusters.floor(start)].rstrip()
            if self._fits(kept):
                return kept
        return ""


def shortened(part: str) -> str:
    """At most `LONGEST_PART` code points of a title, cut at the end of a cluster."""
    if len(part) <= LONGEST_PART:
        return part
    return part[: Clusters(part).floor(LONGEST_PART)].rstrip()
