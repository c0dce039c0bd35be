"""Grapheme clusters: where a text may be cut without splitting what a reader sees as one sign.

The rules are those of UAX #29 as the `regex` library keeps them. Walking every cluster of a text
costs more than all other work of a chunker, so a border is looked up only where a cut is wanted:
two ASCII neighbours answer at once, most other pairs by the class of the two, and the rest by
walking from the nearest place that is surely a border.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from functools import cache
from typing import Any, NamedTuple

from durable_ingest._optional import require

__all__ = ["Clusters", "library_version"]

_FIRST_INDICATOR, _LAST_INDICATOR = "\U0001f1e6", "\U0001f1ff"
_NEAR = 32  # code points looked back for a sure border before walking from a known one


class _Patterns(NamedTuple):
    cluster: Any
    plain: Any
    prepend: Any
    flag: Any


@cache
def _patterns() -> _Patterns:
    library = require("regex", extra="local")
    return _Patterns(
        cluster=library.compile(r"\X"),
        # No rule but the last of UAX #29 ("break everywhere else") looks at these from their left.
        plain=library.compile(
            r"[\p{GCB=Other}--\p{Extended_Pictographic}--\p{InCB=Consonant}]", library.V1
        ),
        prepend=library.compile(r"\p{GCB=Prepend}"),
        # `\X` counts back over all regional indicators for each pair of them: quadratic.
        flag=library.compile(
            r"\p{GCB=Regional_Indicator}{1,2}[\p{GCB=Extend}\p{GCB=ZWJ}\p{GCB=SpacingMark}]*+",
            library.V1,
        ),
    )


def library_version() -> str:
    """Version of the library whose tables decide.

    Raises:
        MissingExtra: `regex` is not installed.
    """
    return str(require("regex", extra="local").__version__)


class Clusters:
    """The cluster borders of one text, found where asked for.

    Linear over any number of questions that a chunker asks, one cluster that fills the whole
    text included. Not for several threads at a time.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._length = len(text)
        self._known = [0]
        self._last = (0, 0)

    def floor(self, position: int) -> int:
        """The last border at or before `position`."""
        return position if self.is_border(position) else self._span(position)[0]

    def ceil(self, position: int) -> int:
        """The first border at or after `position`."""
        return position if self.is_border(position) else self._span(position)[1]

    def is_border(self, position: int) -> bool:
        """Whether a cut at `position` splits no cluster."""
        if position <= 0 or position >= self._length:
            return True
        before, after = self._text[position - 1], self._text[position]
        if before < "\x80" and after < "\x80":
            return before != "\r" or after != "\n"
        return self._is_sure(position) or self._span(position)[0] == position

    def _is_sure(self, position: int) -> bool:
        before, after = self._text[position - 1], self._text[position]
        if before < "\x80" and after < "\x80":
            return before != "\r" or after != "\n"
        patterns = _patterns()
        return bool(patterns.plain.match(after)) and not patterns.prepend.match(before)

    def _span(self, position: int) -> tuple[int, int]:
        """The cluster that holds the code point at `position`."""
        first, end = self._last
        if first <= position < end:
            return self._last
        patterns, end = _patterns(), self._origin(position)
        while end <= position:
            first = end
            flag = _FIRST_INDICATOR <= self._text[first] <= _LAST_INDICATOR
            end = (patterns.flag if flag else patterns.cluster).match(self._text, first).end()
        self._last = (first, end)
        if first > self._known[-1]:
            self._known.append(first)
        elif self._known[bisect_right(self._known, first) - 1] != first:
            insort(self._known, first)
        return self._last

    def _origin(self, position: int) -> int:
        for near in range(position - 1, max(position - _NEAR, 0), -1):
            if self._is_sure(near):
                return near
        return self._known[bisect_right(self._known, position) - 1]
