"""How much fits into a chunk: counted in code points, or in tokens of a model.

Code points are counted by subtraction. Tokens are planned and then checked: one pass of the
tokenizer over the document says where tokens begin; cuts are chosen by that plan; then each
chunk is counted by itself, because a text cut out of a document need not have the tokens that it
had inside. What turns out too long is cut again until everything fits.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Protocol, TypeAlias

from durable_ingest.chunkers.parameters import Parameters
from durable_ingest.ports import Tokenizer

__all__ = ["Halve", "Measure", "Span", "measure"]

Span: TypeAlias = tuple[int, int]
"""First code point and one past the last."""

Halve: TypeAlias = Callable[[int, int], tuple[int, int]]
"""Cuts a span that is too long: end of the first part, start of the second.

An empty first part says that the span began with white space that had to go.
"""

_SEGMENT = 1 << 16  # code points encoded at a time, so that memory does not grow with the document
_SPACES = frozenset(" \t\n\r")


class Measure(Protocol):
    """Distances in a text, in units of a chunk's size."""

    def reach(self, start: int, units: int) -> int:
        """The furthest end such that `units` hold the text from `start` on; `start` or more."""
        ...

    def back(self, end: int, units: int) -> int:
        """The earliest start such that `units` hold the text up to `end`."""
        ...

    def count(self, start: int, end: int) -> int:
        """Units of a part, as planned."""
        ...

    def settle(self, spans: list[Span], halve: Halve) -> tuple[list[Span], Sequence[int | None]]:
        """Cut what is too long after all; return all spans and their exact token counts."""
        ...


def measure(text: str, parameters: Parameters) -> Measure:
    """The measure that `parameters` ask for."""
    if parameters.length == "tokens":
        assert parameters.tokenizer is not None
        return _Tokens(text, parameters.size, parameters.tokenizer)
    return _Characters(text, parameters.tokenizer)


class _Characters:
    def __init__(self, text: str, tokenizer: Tokenizer | None) -> None:
        self._text = text
        self._tokenizer = tokenizer

    def reach(self, start: int, units: int) -> int:
        return min(start + units, len(self._text))

    def back(self, end: int, units: int) -> int:
        return max(end - units, 0)

    def count(self, start: int, end: int) -> int:
        return end - start

    def settle(self, spans: list[Span], halve: Halve) -> tuple[list[Span], Sequence[int | None]]:
        del halve  # characters are exact from the start
        if self._tokenizer is None:
            return spans, [None] * len(spans)
        return spans, self._tokenizer.count_batch([self._text[s:e] for s, e in spans])


class _Tokens:
    def __init__(self, text: str, size: int, tokenizer: Tokenizer) -> None:
        self._text = text
        self._size = size
        self._tokenizer = tokenizer
        self._space_safe = bool(getattr(tokenizer, "space_safe", False))
        starts: array[int] = array("I")
        for first, end in _segments(text):
            found = tokenizer.encode(text[first:end]).offsets
            # Normalisers may reorder marks; bisection needs starts that never fall.
            starts.extend(accumulate([first + offset[0] for offset in found], max))
        self._starts = starts

    def reach(self, start: int, units: int) -> int:
        index = bisect_left(self._starts, start) + units
        return self._starts[index] if index < len(self._starts) else len(self._text)

    def back(self, end: int, units: int) -> int:
        if units < 1:
            return end
        index = bisect_left(self._starts, end) - units
        return self._starts[index] if index > 0 else 0

    def count(self, start: int, end: int) -> int:
        starts = self._starts
        first = bisect_left(starts, start)
        return bisect_left(starts, end, first) - first

    def settle(self, spans: list[Span], halve: Halve) -> tuple[list[Span], Sequence[int | None]]:
        counts: dict[Span, int] = {}
        while True:
            unknown = [span for span in spans if span not in counts]
            counts.update(zip(unknown, self._exact(unknown), strict=True))
            parts: list[Span] = []
            for start, end in spans:
                if counts[start, end] > self._size and end - start > 1:
                    left, right = halve(start, end)
                    parts += [(start, left), (right, end)]
                else:
                    parts.append((start, end))
            if len(parts) == len(spans):
                return spans, [counts[span] for span in spans]
            spans = self._ordered(parts)

    def _ordered(self, spans: list[Span]) -> list[Span]:
        """Let starts and ends ascend again after cuts, which repetition can upset."""
        out: list[Span] = []
        last_start = last_end = -1
        for start, end in spans:
            if start == end or end <= last_end:
                continue
            first = start if start > last_start else last_end
            if not self._text[first:end].isspace():
                out.append((first, end))
                last_start, last_end = first, end
        return out

    def _exact(self, spans: list[Span]) -> list[int]:
        """Count each text by itself, or by the plan where the tokenizer makes that the same."""
        text, counts, unsure = self._text, [0] * len(spans), []
        for index, (start, end) in enumerate(spans):
            if (
                self._space_safe
                and (start == 0 or text[start - 1] in _SPACES)
                and (end == len(text) or text[end] in _SPACES)
            ):
                counts[index] = self.count(start, end)
            else:
                unsure.append(index)
        if unsure:
            texts = [text[spans[index][0] : spans[index][1]] for index in unsure]
            for index, count in zip(unsure, self._tokenizer.count_batch(texts), strict=True):
                counts[index] = count
        return counts


def _segments(text: str) -> Iterator[Span]:
    """Cut a text at line ends, or else blanks, into parts of at most `_SEGMENT` code points."""
    start, length = 0, len(text)
    while start < length:
        end = min(start + _SEGMENT, length)
        if end < length:
            found = text.rfind("\n", start, end)
            if found <= start:
                found = text.rfind(" ", start, end)
            if found > start:
                end = found
        yield start, end
        start = end
