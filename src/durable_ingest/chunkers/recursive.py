"""Recursive character splitting: paragraphs, else lines, else words, else grapheme clusters.

The method and its parameters are those of LangChain's `RecursiveCharacterTextSplitter` with its
default separators, each kept at the start of the piece after it. The differences: offsets are
exact, no grapheme cluster is split, token limits hold for each chunk's own text, and a chunk that
lies within its neighbour is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from durable_ingest.chunkers.breaks import content_end, content_start, trimmed, windows
from durable_ingest.chunkers.clusters import Clusters
from durable_ingest.chunkers.context import ContextWriter
from durable_ingest.chunkers.limits import Halve, Measure, Span, measure
from durable_ingest.chunkers.parameters import Length, Parameters
from durable_ingest.ports import Chunk, Tokenizer

__all__ = ["RecursiveChunker", "halve_at"]

_VERSION = 1
_SEPARATORS = ("\n\n", "\n", " ")
_PATTERNS = tuple(re.compile(separator) for separator in _SEPARATORS)


class RecursiveChunker:
    """Splits at the coarsest separator that does, then merges pieces up to `size`.

    Neighbouring chunks share up to `overlap` units, whole pieces only. White space at the edges
    is stripped.

    Args:
        size: Most units of a chunk.
        overlap: Units that a chunk repeats of the one before it, at most.
        length: The unit.
        tokenizer: Counts tokens; required when they are the unit.
        context: Most units of the context, which is the document's title.

    Raises:
        InvalidInput: A parameter cannot be used.
    """

    def __init__(
        self,
        *,
        size: int,
        overlap: int = 0,
        length: Length = "characters",
        tokenizer: Tokenizer | None = None,
        context: int = 0,
    ) -> None:
        self._parameters = Parameters(
            kind="recursive",
            version=_VERSION,
            size=size,
            overlap=overlap,
            length=length,
            tokenizer=tokenizer,
            context=context,
        )

    @property
    def fingerprint(self) -> str:
        """Changes whenever any cut would change."""
        return self._parameters.fingerprint

    def chunk(
        self, text: str, *, media_type: str = "text/plain", title: str | None = None
    ) -> list[Chunk]:
        """Cut one document, in order of `start`; the media type makes no difference."""
        del media_type
        given, clusters = self._parameters, Clusters(text)
        units = measure(text, given)
        splitter = _Splitter(text, given.size, given.overlap, units, clusters)
        context = ContextWriter(given, title=title).write()
        spans, counts = units.settle(splitter.spans(), halve_at(text, clusters, _SEPARATORS))
        return [
            Chunk(text=text[start:end], start=start, end=end, tokens=tokens, context=context)
            for (start, end), tokens in zip(spans, counts, strict=True)
        ]


class _Splitter:
    def __init__(
        self, text: str, size: int, overlap: int, units: Measure, clusters: Clusters
    ) -> None:
        self._text = text
        self._size = size
        self._overlap = overlap
        self._units = units
        self._clusters = clusters

    def spans(self) -> list[Span]:
        """Trimmed spans, starts and ends both ascending."""
        out: list[Span] = []
        for start, end in self._split(0, len(self._text), 0):
            span = trimmed(self._text, start, end, self._clusters)
            if span is None or (out and span[1] <= out[-1][1]):
                continue
            if out and span[0] <= out[-1][0]:
                out[-1] = span
            else:
                out.append(span)
        return out

    def _split(self, start: int, end: int, level: int) -> Iterator[Span]:
        while level < len(_SEPARATORS) and self._text.find(_SEPARATORS[level], start, end) < 0:
            level += 1
        if level == len(_SEPARATORS):
            yield from windows(
                start,
                end,
                size=self._size,
                overlap=self._overlap,
                units=self._units,
                clusters=self._clusters,
            )
            return
        # LangChain descends into a piece that fills the limit exactly; so do we.
        fitting: list[tuple[int, int, int]] = []
        for first, last in self._pieces(start, end, level):
            length = self._units.count(first, last)
            if length < self._size:
                fitting.append((first, last, length))
                continue
            yield from self._merge(fitting)
            fitting = []
            yield from self._split(first, last, level + 1)
        yield from self._merge(fitting)

    def _pieces(self, start: int, end: int, level: int) -> Iterator[Span]:
        first = start
        for match in _PATTERNS[level].finditer(self._text, start, end):
            place = match.start()
            if place > first and self._clusters.is_border(place):
                yield first, place
                first = place
        if first < end:
            yield first, end

    def _merge(self, pieces: Sequence[tuple[int, int, int]]) -> Iterator[Span]:
        if not pieces:
            return
        first = total = 0
        for index, (_, _, length) in enumerate(pieces):
            if total + length > self._size and index > first:
                yield pieces[first][0], pieces[index - 1][1]
                while total > self._overlap or (total + length > self._size and total > 0):
                    total -= pieces[first][2]
                    first += 1
            total += length
        yield pieces[first][0], pieces[-1][1]


def halve_at(text: str, clusters: Clusters, separators: Sequence[str]) -> Halve:
    """A way to halve a span: at the separator next to its middle, the best kind that it has."""

    def halve(start: int, end: int) -> tuple[int, int]:
        middle = (start + end) // 2
        for separator in separators:
            place = text.rfind(separator, start + 1, middle)
            if place < 0:
                place = text.find(separator, middle, end)
            if place >= 0:
                left = content_end(text, place, start)
                right = content_start(text, place, end)
                if (
                    start < left
                    and right < end
                    and clusters.is_border(left)
                    and clusters.is_border(right)
                ):
                    return left, right
        return cut_cluster(text, start, middle, end, clusters)

    return halve


def cut_cluster(
    text: str, start: int, middle: int, end: int, clusters: Clusters
) -> tuple[int, int]:
    """Halve a span at the border of a cluster, or inside it if it is the only one."""
    place = clusters.floor(middle)
    if place <= start:
        place = clusters.ceil(middle)
    if place >= end:
        place = max(middle, start + 1)
    first, last = content_start(text, start, end), content_end(text, end, start)
    if place <= first:  # white space alone is no chunk: the first part stays empty
        border = clusters.floor(first)
        return start, border if border > start else first
    if place >= last:
        border = clusters.ceil(last)
        return border if border < end else last, end
    return place, place
