"""Chunks that follow the structure of a text; the default.

A cut is made at the best kind of break that the window from half of `size` to `size` offers, and
among breaks of one kind at the place whose preceding text has the least checksum: where cuts fall
depends on the text around them and not on how much stands before it, so that an edit re-makes the
chunks of its neighbourhood and leaves the others as they are.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

from durable_ingest.chunkers.blocks import Outline, scan
from durable_ingest.chunkers.breaks import (
    ITEM,
    LINE,
    PARAGRAPH,
    SENTENCE,
    WORD,
    candidates,
    content_end,
    content_start,
    cut_word,
    signature,
)
from durable_ingest.chunkers.clusters import Clusters
from durable_ingest.chunkers.context import ContextWriter
from durable_ingest.chunkers.limits import Measure, Span, measure
from durable_ingest.chunkers.parameters import Length, Parameters
from durable_ingest.chunkers.recursive import cut_cluster
from durable_ingest.ports import Chunk, Tokenizer

__all__ = ["StructureChunker"]

_VERSION = 1
_MARKDOWN = "text/markdown"


class StructureChunker:
    """Cuts Markdown at headings, blocks, list items, sentences, lines, words; plain text likewise.

    - A section under a heading of level 1 or 2 begins a chunk of its own, unless what stands
      before it in the chunk is smaller than a quarter of `size`; deeper headings are the best
      place to cut, where there must be a cut.
    - A heading is not parted from what follows it, a fenced code block or table row that fits is
      not cut, a grapheme cluster that fits is never cut.
    - `heading_path` names the headings under which all of a chunk's text stands; a heading
      stands under itself. Heading lines stay in the text.
    - `context` is title and heading path, and the header row of a table for chunks that begin
      below it, as far as `context` units hold them.

    Args:
        size: Most units of a chunk.
        overlap: Units that a chunk repeats of the one before it, at most; whole words.
        length: The unit.
        tokenizer: Counts tokens; required when they are the unit.
        context: Most units of the context; 0 for none.

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
            kind="structure",
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
        self, text: str, *, media_type: str = _MARKDOWN, title: str | None = None
    ) -> list[Chunk]:
        """Cut one document, in order of `start`.

        Args:
            text: Any string; see `Tokenizer` for what a token limit asks of it.
            media_type: `text/markdown` is read as Markdown, all else as plain text.
            title: Goes into the context, before the headings.
        """
        given = self._parameters
        outline = scan(text) if media_type == _MARKDOWN else Outline()
        units = measure(text, given)
        cutter = _Cutter(text, outline, units, given)
        spans, counts = units.settle(cutter.spans(), cutter.halve)
        contexts = ContextWriter(given, title=title)
        out: list[Chunk] = []
        for (start, end), tokens in zip(spans, counts, strict=True):
            path = outline.path(start, end)
            kind, header = _kind(outline, start, end)
            out.append(
                Chunk(
                    text=text[start:end],
                    start=start,
                    end=end,
                    tokens=tokens,
                    heading_path=path,
                    kind=kind,
                    context=contexts.write(path, header=header),
                )
            )
        return out


def _kind(outline: Outline, start: int, end: int) -> tuple[str, str]:
    """What a chunk is, and the header of the table that it goes on with."""
    block = outline.block_at(start)
    if block is None:
        return "text", ""
    kind = block.kind if end <= block.end and block.kind != "meta" else "text"
    return kind, block.header if start >= block.body else ""


class _Cutter:
    """Chooses the cuts of one document."""

    def __init__(self, text: str, outline: Outline, units: Measure, parameters: Parameters) -> None:
        self._text = text
        self._outline = outline
        self._units = units
        self._size = parameters.size
        self._overlap = parameters.overlap
        self._clusters = Clusters(text)
        self._respect_atoms = True
        self._respect_headings = True

    def spans(self) -> list[Span]:
        """Spans of all chunks; their limit holds as far as planned."""
        text = self._text
        out: list[Span] = []
        last = content_end(text, len(text), 0)
        if not self._clusters.is_border(last):
            last = self._clusters.ceil(last)
        following = self._opening(0)
        while following < last:
            start = self._lead(following, out[-1][0]) if out and self._overlap else following
            end = self._end(start, following, last)
            if end is None:  # what is repeated leaves no room for anything new
                start = following
                end = self._end(start, following, last)
            assert end is not None  # without repetition there is always something new
            out.append((start, end))
            following = self._opening(end)
        return out

    def halve(self, start: int, end: int) -> tuple[int, int]:
        """Cut a span that is over the limit after all: near its middle, at the best break."""
        quarter = (end - start) // 4
        self._respect_atoms = self._alone(start, end) is False
        try:
            place = self._best(start, start + quarter, end - quarter - 1)
            place = place or self._best(start, start + 1, end - 1)
        finally:
            self._respect_atoms = True
        if place is not None:
            following = self._opening(place)
            if following < end:
                return place, following
        return cut_cluster(self._text, start, (start + end) // 2, end, self._clusters)

    def _alone(self, start: int, end: int) -> bool:
        atom = self._outline.atom_around(start + 1)
        return atom is not None and atom[0] <= start and end <= atom[1]

    def _opening(self, position: int) -> int:
        """Where the chunk after a cut begins: at text, or at the cluster that it stands in."""
        start = content_start(self._text, position, len(self._text))
        if self._clusters.is_border(start):
            return start
        border = self._clusters.floor(start)
        fits = self._units.reach(border, self._size) >= self._clusters.ceil(start)
        return border if border >= position and fits else start

    def _end(self, start: int, following: int, last: int) -> int | None:
        """Where the chunk from `start` ends, beyond `following`; None if nothing new fits."""
        units, size = self._units, self._size
        furthest = units.reach(start, size)
        strong = self._outline.strong_before
        least = max(units.reach(start, size // 4), following + 1)
        index = bisect_left(strong, least)
        while (
            index < len(strong)
            and strong[index] <= furthest
            and strong[index] in self._outline.heading_ends
        ):
            index += 1  # a heading right below another one stays with it
        stop = strong[index] if index < len(strong) else last
        if self._clusters.ceil(stop) <= furthest:
            return self._clusters.ceil(stop)
        low = max(units.reach(start, size // 2), following + 1)
        high = furthest
        spare = units.back(stop, size // 4)
        if low < spare < high:
            high = spare  # leaves the last chunk of a section more than a crumb
        place = self._best(following, low, high)
        if place is None and high < furthest:
            place = self._best(following, low, furthest)
        if place is None:
            place = self._best(following, following + 1, low - 1)
        if place is None:
            self._respect_headings = False
            place = self._best(following, following + 1, furthest)
            self._respect_headings = True
        if place is None and start == following:
            place = self._inside(start, furthest)
        return place

    def _inside(self, start: int, furthest: int) -> int:
        """Cut where there is no break at all."""
        low = self._units.reach(start, self._size // 2)
        place = cut_word(self._text, start, low, furthest, self._clusters)
        end = content_end(self._text, place, start + 1)
        return end if self._clusters.is_border(end) else place

    def _lead(self, following: int, previous: int) -> int:
        """Where a chunk begins that repeats the end of the one that began at `previous`."""
        earliest = max(self._units.back(following, self._overlap), previous + 1)
        if earliest >= following:
            return following
        text = self._text
        for pattern in (SENTENCE, WORD):
            for place in candidates(pattern, text, max(earliest - 1, 0), following - 1):
                start = content_start(text, place, following)
                if (
                    earliest <= start < following
                    and self._clusters.is_border(start)
                    and not self._splits(start)
                ):
                    return start
        return following

    def _best(self, beyond: int, low: int, high: int) -> int | None:
        """The best break from `low` to `high`, beyond `beyond`; None if there is none."""
        if low > high:
            return None
        for level in self._levels(low, high):
            best: tuple[int, int, int] | None = None
            for rank, place in level:
                end = content_end(self._text, place, beyond)
                if end <= beyond or end > high or self._splits(end):
                    continue
                key = (rank, signature(self._text, end), -end)
                if best is None or key < best:
                    best = key
            if best is not None:
                return -best[2]
        return None

    def _splits(self, place: int) -> bool:
        """Whether a cut parts what belongs together."""
        outline = self._outline
        if outline.atoms:
            if self._respect_headings and place in outline.heading_ends:
                return True
            atom = outline.atom_around(place) if self._respect_atoms else None
            if atom is not None and self._units.count(*atom) <= self._size:
                return True
        return not self._clusters.is_border(place)

    def _levels(self, low: int, high: int) -> Iterator[Iterable[tuple[int, int]]]:
        """Breaks by kind, best kind first; in each, `(rank, place)`."""
        text, outline = self._text, self._outline
        if outline.headings:
            yield self._headings(low, high)
        blank = ((0, place) for place in candidates(PARAGRAPH, text, low, high))
        yield [*blank, *self._borders(low, high)]
        if outline.blocks:
            yield self._rows(low, high)
        yield (
            (len(match["indent"]), match.start())
            for match in ITEM.finditer(text, low, min(high + 64, len(text)))
            if match.start() <= high
        )
        yield (
            (0, place)
            for place in candidates(SENTENCE, text, low, high)
            if not outline.blocks or outline.block_at(place - 1) is None
        )
        yield ((0, place) for place in candidates(LINE, text, low, high))
        yield ((0, place) for place in candidates(WORD, text, low, high))

    def _headings(self, low: int, high: int) -> Iterator[tuple[int, int]]:
        headings, starts = self._outline.headings, self._outline.heading_starts
        for heading in headings[bisect_left(starts, low) : bisect_right(starts, high + 2)]:
            yield heading.level, heading.before

    def _borders(self, low: int, high: int) -> Iterator[tuple[int, int]]:
        """Where fences and tables begin and end."""
        blocks, starts = self._outline.blocks, self._outline.block_starts
        first = max(bisect_left(starts, low) - 1, 0)
        for block in blocks[first : bisect_right(starts, high + 1)]:
            for place in (block.start, block.end):
                if low <= place <= high:
                    yield 0, place

    def _rows(self, low: int, high: int) -> Iterator[tuple[int, int]]:
        """Line ends inside tables and code."""
        for place in candidates(LINE, self._text, low, high):
            if self._outline.block_at(place) is not None:
                yield 0, place
