"""Places where a text may be cut, from the best kind to the worst.

Each pattern is searched in a window of one chunk only and consumes a run of white space whole, so
that the work stays linear in the text. A match begins where the content before it ends, or at
white space after that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from zlib import crc32

from durable_ingest.chunkers.clusters import Clusters
from durable_ingest.chunkers.limits import Measure, Span

__all__ = [
    "ITEM",
    "LINE",
    "PARAGRAPH",
    "SENTENCE",
    "WORD",
    "candidates",
    "content_end",
    "content_start",
    "cut_word",
    "signature",
    "trimmed",
    "windows",
]

PARAGRAPH = re.compile(r"\n[ \t\r]*\n\s*")
"""Blank lines."""

LINE = re.compile(r"[\n\u2028\u2029]\s*")
"""Line ends."""

ITEM = re.compile(r"\n(?P<indent>[ \t]*)(?:[-*+\u2022]|[0-9]{1,9}[.)])(?=[ \t])")
"""The line end before a list item."""

WORD = re.compile(r"\s+")
"""White space."""

SENTENCE = re.compile(
    r"""
    (?<![.!?\u2026])                              # once per run of marks
    (?: (?<![\s(][A-Z]) (?<!\.[A-Za-z]) \.        # a full stop, not that of an initial or of e.g.
      | [!?\u2026\u061f\u06d4\u0589]              # or another mark that white space follows
    )
    [.!?\u2026]*+ [\"')\]\u201d\u2019\u00bb*_]*+
    (?=\s++[^a-z])
  | (?<![\u3002\uff01\uff1f])                     # marks of scripts that put no space after them
    [\u3002\uff01\uff1f\uff61\u0964\u0965\u1362\u17d4\u104b]++
    [\u300d\u300f\u201d\u2019\uff09\u3011\u3009\u300b\"']*+
    """,
    re.VERBOSE,
)
"""The end of a sentence: in scripts that mark it, by rule, no dictionary of abbreviations."""

_MARGIN = 64  # code points past a window that a pattern may look at
_BEFORE = 32  # code points that name a place
_GRAM = 8  # code points that name a place inside a word

_NOT_SPACE = re.compile(r"\S")


def candidates(pattern: re.Pattern[str], text: str, low: int, high: int) -> Iterator[int]:
    """Places from `low` to `high` where `pattern` begins, or ends for marks that it keeps."""
    keeps_marks = pattern is SENTENCE
    for match in pattern.finditer(text, low, min(high + _MARGIN, len(text))):
        place = match.end() if keeps_marks else match.start()
        if place > high:
            break
        yield place


def content_start(text: str, position: int, end: int) -> int:
    """The first place from `position` on that is no white space, or `end` if none is before it."""
    match = _NOT_SPACE.search(text, position, end)
    return match.start() if match else end


def content_end(text: str, position: int, least: int) -> int:
    """`position` moved back over white space, but not below `least`."""
    while position > least and text[position - 1].isspace():
        position -= 1
    return position


def signature(text: str, position: int) -> int:
    """A number made of the text before a place, the same wherever the place moves to."""
    before = text[max(position - _BEFORE, 0) : position]
    return crc32(before.encode("utf-8", "surrogatepass"))


def trimmed(text: str, start: int, end: int, clusters: Clusters) -> Span | None:
    """A span without the white space at its edges, or None if there is nothing else in it.

    White space that belongs to a cluster with something else stays.
    """
    first = content_start(text, start, end)
    if first >= end:
        return None
    last = content_end(text, end, first)
    if not clusters.is_border(first):
        first = max(clusters.floor(first), start)
    if not clusters.is_border(last):
        last = min(clusters.ceil(last), end)
    return first, last


def cut_word(text: str, start: int, low: int, high: int, clusters: Clusters) -> int:
    """Where to cut text that offers no other break: from `low` to `high`, after `start`.

    The place is chosen by the few code points before it, so that it stays where it is when
    something is inserted further up. A cluster that does not fit is cut at `high`.
    """
    last = clusters.floor(high)
    if last <= start:
        return max(high, start + 1)
    low = max(low, start + 1)
    best = max(
        range(last, low - 1, -1),
        key=lambda place: text[max(place - _GRAM, 0) : place],
        default=last,
    )
    best = clusters.floor(best)
    return best if best > start else last


def windows(
    start: int, end: int, *, size: int, overlap: int, units: Measure, clusters: Clusters
) -> Iterator[Span]:
    """Cut a span every `size` units, each part beginning `overlap` units before the last ended.

    Cuts move to the nearest border of a cluster that keeps to the limit; a cluster that is over
    the limit by itself is cut inside.
    """
    done = start
    while start < end:
        furthest = min(units.reach(start, size), end)
        last = clusters.floor(furthest)
        if last <= start:
            last = max(furthest, start + 1)
        if last <= done and start < done:  # the cluster after the last part leaves no room
            start = done
            continue
        yield start, last
        done = last
        if last >= end:
            return
        following = clusters.ceil(max(units.back(last, overlap), start + 1)) if overlap else last
        start = min(following, last)
