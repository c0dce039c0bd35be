"""The contract of chunkers: inherit `ChunkerContract` in a test class to prove one.

```python
class TestMyChunker(ChunkerContract):
    def chunker(self, *, size: int, overlap: int, length: Length) -> Chunker:
        return MyChunker(size=size, overlap=overlap, length=length, tokenizer=self.tokenizer())
```
"""

from __future__ import annotations

import re
import time
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import ClassVar, Literal, TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from durable_ingest._optional import require
from durable_ingest.ports import Chunk, Chunker, Encoding, Tokenizer

__all__ = ["ADVERSARIAL", "ChunkerContract", "Length", "PieceTokenizer", "documents"]

Length: TypeAlias = Literal["tokens", "characters"]
"""Unit of a limit."""

_PIECE = re.compile(r"\s?[^\W_]{1,4}|[^\w\s]|_|\s")


class PieceTokenizer:
    """A small tokenizer whose counts do not add up, as those of real ones do not.

    Words fall into pieces of four characters counted from their start, and the white space
    before a word belongs to its first piece: a text cut out of another has other tokens.
    """

    @property
    def fingerprint(self) -> str:
        """A constant: it has no parameters."""
        return "piece-tokenizer-1"

    def encode(self, text: str) -> Encoding:
        """Encode any string; ids are lengths, offsets are code points."""
        spans = [match.span() for match in _PIECE.finditer(text)]
        return Encoding(ids=[end - start for start, end in spans], offsets=spans)

    def count_batch(self, texts: Sequence[str]) -> list[int]:
        """Count each text by itself."""
        return [len(self.encode(text).ids) for text in texts]


def _scrambled(alphabet: str, length: int) -> str:
    """Text without a period, so that every part of it has one true place; the same each time."""
    state, out = 12345, []
    for _ in range(length):
        state = (state * 1103515245 + 12345) & 0x7FFFFFFF
        out.append(alphabet[(state >> 12) % len(alphabet)])
    return "".join(out)


def _words(alphabet: str, count: int, end: str = " ") -> str:
    letters = _scrambled(alphabet, count * 6)
    return end.join(letters[i : i + 1 + i % 7] for i in range(0, len(letters), 6))


def _script(first: int, last: int) -> str:
    return "".join(chr(code) for code in range(first, last + 1))


_LATIN = _script(0x61, 0x7A)
_CJK = "".join(chr(0x4E00 + 37 * i) for i in range(300))
_THAI = _script(0x0E01, 0x0E3A) + "\u0e40\u0e41\u0e42\u0e48\u0e49"
_DEVANAGARI = _script(0x0915, 0x0939) + "\u093e\u093f\u0940\u0941\u0947\u094d\u094d\u094d\u0902"
_EMOJI = (
    "\U0001f469\u200d\U0001f469\u200d\U0001f467",
    "\U0001f44d\U0001f3fd",
    "\U0001f3f3\ufe0f\u200d\U0001f308",
    "\U0001f1eb\U0001f1f7",
    "\U0001f1e9\U0001f1ea",
    "1\ufe0f\u20e3",
    "\u2764\ufe0f",
)
_SYLLABLE = "\u1112\u1161\u11ab"  # one Hangul syllable, decomposed

ADVERSARIAL: dict[str, str] = {
    "no spaces": _scrambled(_LATIN, 6000),
    "base64": _scrambled(_LATIN + _LATIN.upper() + "0123456789+/", 6000),
    "one long line": _words(_LATIN, 2000),
    "emoji sequences": "".join(_EMOJI[ord(c) % len(_EMOJI)] for c in _scrambled(_LATIN, 800)),
    "combining marks": "".join(
        c + "\u0301\u0323"[: 1 + i % 2] for i, c in enumerate(_scrambled(_LATIN, 2000))
    ),
    "marks without end": "x" + "\u0301" * 3000 + " y" + "\u0301" * 500,
    "marks after spaces": " \u0301".join(_words(_LATIN, 300).split()),
    "flags": _scrambled(_script(0x1F1E6, 0x1F1EA), 2001),
    "decomposed hangul": _SYLLABLE * 900,
    "devanagari": _words(_DEVANAGARI, 700),
    "thai": _scrambled(_THAI, 4000),
    "prepended signs": "\u0600 \u0601\u0602x \u0605" * 300,
    "crlf": "\r\n".join(_words(_LATIN, 8) for _ in range(60)) + "\r\n\r\n\r\n" + "a\r\nb\rc",
    "cjk": "\u3002".join(_scrambled(_CJK, 4000)[i : i + 23] for i in range(0, 4000, 23)),
    "cjk without marks": _scrambled(_CJK, 4000),
    "white space only": " \t\r\n\u2028\u00a0" * 300,
    "only newlines": "\n" * 5000,
    "blank runs": ("word" + "\n" * 450 + " " * 350) * 12,
    "trailing space": "word " * 100 + " " * 2000,
    "controls": "a\x00b\ufeffc\u2028d\u0085e\x1cf\x0bg\x00\x00 " * 200,
    "special tokens": "<|endoftext|> [CLS] [UNK] <s></s> " * 100,
    "hebrew and arabic": _words(_script(0x05D0, 0x05EA), 300)
    + " (a) "
    + _words(_script(0x0627, 0x063A), 300),
    "table": "| name | value |\n|---|---|\n"
    + "".join(f"| {_words(_LATIN, 2)} | {i} |\n" for i in range(200)),
    "code fence": "```python\n"
    + "".join(f"    x{i} = {_scrambled(_LATIN, i % 30)}\n" for i in range(200))
    + "```\n",
    "equal paragraphs": "The same words again.\n\n" * 300,
    "headings": "".join(f"{'#' * (1 + i % 6)} h{i}\n" for i in range(800)),
    "bare headings": "#\n" * 2000,
    "nested list markers": "- " * 3000,
    "nested lists": "".join(f"{'  ' * (i % 20)}- {_words(_LATIN, 3)}\n" for i in range(400)),
    "unclosed fence": "~~~~\n" + "```\n# no heading\n" * 300,
    "brackets": "[" * 2000 + "](" * 1000,
    "marks of sentences": "!" * 2000 + "." * 2000 + "\u3002" * 500,
}
"""Inputs on which chunkers are known to fail, by name."""

SURROGATES = "a\ud800b \udfff\udc00 \ud83d\ude00 " * 200
"""Lone surrogates: no valid Unicode, but a Python string all the same."""

_BITS = st.sampled_from(
    [
        *("# Head\n", "## Sub *x*\n", "###### deep ######\n", "Title\n=====\n", "Sub\n---\n"),
        *("```py\nx = 1\n\n# no heading\n```\n", "~~~\na ``` b\n~~~\n", "````\n", "```\n", "~~~"),
        *("| a | b |\n|---|:-:|\n| 1 | \\| |\n| 2 | 3 |\n", "|---|\n", "- item\n", "  - inner\n"),
        *(
            "12. item\n",
            "* * *\n",
            "---\n",
            "    indented\n",
            "\t# no\n",
            "> quote\n",
            "\n",
            "\n\n",
        ),
        *("\r\n", "\r", " ", "  ", "\t", "\u2028", "\u0085", "\x00", "\ufeff", "\u00a0", "\x1c"),
        *(
            "A sentence. ",
            "Another one! ",
            "e.g. this ",
            "He said \u201cno.\u201d ",
            "\u53e5\u3002",
        ),
        *("word ", "longerwordwithoutanyspace", "ab", "\u00e9", "e\u0301", "\u0301", "\u0600"),
        *("\u0915\u094d\u0937\u093f", "\u0e01\u0e47", "\u0928\u092e\u0964 ", "\u05e9\u05dc "),
        *(*_EMOJI, "\U0001f1eb", "\u200d", "\ud55c", _SYLLABLE, "\u6f22\u5b57", "[CLS]"),
    ]
)


def documents() -> st.SearchStrategy[str]:
    """Texts that mix scripts, emoji, marks, controls, line ends and Markdown constructs."""
    return st.one_of(
        st.lists(_BITS, max_size=60).map("".join),
        st.lists(st.one_of(_BITS, st.text(max_size=12)), max_size=40).map("".join),
    )


_LIMITS = st.integers(1, 60).flatmap(
    lambda size: st.tuples(st.just(size), st.integers(0, size - 1))
)
# The suite is inherited: the same test runs on several classes by design.
_SETTINGS = settings(
    deadline=None,
    max_examples=50,
    suppress_health_check=[HealthCheck.differing_executors, HealthCheck.too_slow],
)
_GROWTH = {
    "words": "lorem ipsum ",
    "no spaces": "x7Gk",
    "newlines": "\n",
    "blank lines": "word\n\n\n \n",
    "headings": "# h\n",
    "list markers": "- ",
    "marks": "\u0301",
    "cjk": "\u5b57",
    "flags": "\U0001f1eb",
    "stops": ". ",
    "bars": "|\n",
    "delimiter rows": "a|b\n-|-\n",
    "fences": "    ```\n",
}


class ChunkerContract:
    """What every chunker promises, whatever it is given.

    Attributes:
        lengths: The units that it can count in.
        overlaps: Whether it can repeat the end of a chunk at the start of the next.
        seconds_per_million: Most CPU seconds for a million characters of the worst kind. It is
            there to tell linear from quadratic, not fast from slow.
    """

    lengths: ClassVar[tuple[Length, ...]] = ("characters", "tokens")
    overlaps: ClassVar[bool] = True
    seconds_per_million: ClassVar[float] = 15.0

    def chunker(self, *, size: int, overlap: int, length: Length) -> Chunker:
        """Make the chunker; token limits are counted by `self.tokenizer()`."""
        raise NotImplementedError

    def tokenizer(self) -> Tokenizer:
        """The tokenizer that token limits are checked with."""
        return PieceTokenizer()

    def check(self, text: str, *, size: int, overlap: int, length: Length) -> list[Chunk]:
        """Chunk `text` and assert every promise that one text can show."""
        chunker = self.chunker(size=size, overlap=overlap, length=length)
        chunks = chunker.chunk(text, media_type="text/markdown")
        assert chunks == chunker.chunk(text, media_type="text/markdown")
        cluster = require("regex", extra="local").compile(r"\X")
        borders = [0, *(match.end() for match in cluster.finditer(text))]
        start = end = -1
        covered = 0
        for chunk in chunks:
            assert text[chunk.start : chunk.end] == chunk.text
            assert chunk.text.strip() != ""
            assert chunk.start > start
            assert chunk.end > end
            start, end = chunk.start, chunk.end
            assert text[covered:start].strip() == ""
            assert start >= covered or overlap > 0
            assert covered - start <= overlap or length == "tokens"
            covered = end
            self._check_limit(chunk, size=size, length=length)
            for cut in (start, end):
                before = bisect_left(borders, cut)
                if borders[before] != cut:
                    whole = text[borders[before - 1] : borders[bisect_right(borders, cut)]]
                    assert self._length(whole, length) > size, (cut, whole)
        assert text[covered:].strip() == ""
        return chunks

    def _length(self, text: str, length: Length) -> int:
        return len(text) if length == "characters" else len(self.tokenizer().encode(text).ids)

    def _check_limit(self, chunk: Chunk, *, size: int, length: Length) -> None:
        count = self._length(chunk.text, length)
        if length == "characters":
            assert count <= size
        else:
            assert chunk.tokens == count
            assert count <= size or len(chunk.text) == 1

    def _check_both(self, text: str, limits: tuple[int, int], length: Length) -> None:
        if length in self.lengths:
            self.check(text, size=limits[0], overlap=0, length=length)
            if self.overlaps and limits[1]:
                self.check(text, size=limits[0], overlap=limits[1], length=length)

    @_SETTINGS
    @given(text=documents(), limits=_LIMITS)
    def test_any_text_keeps_every_promise_in_characters(
        self, text: str, limits: tuple[int, int]
    ) -> None:
        """Offsets, limits, coverage, clusters and repetition hold for mixed text."""
        self._check_both(text, limits, "characters")

    @_SETTINGS
    @given(text=documents(), limits=_LIMITS)
    def test_any_text_keeps_every_promise_in_tokens(
        self, text: str, limits: tuple[int, int]
    ) -> None:
        """Token counts are those of each chunk's own text, and never over the limit."""
        self._check_both(text, limits, "tokens")

    @pytest.mark.parametrize("name", ADVERSARIAL)
    def test_adversarial_text_keeps_every_promise(self, name: str) -> None:
        """Inputs on which other chunkers lose text, run over or raise."""
        self._check_both(ADVERSARIAL[name], (200, 20), "characters")
        self._check_both(ADVERSARIAL[name], (64, 8), "tokens")

    def test_lone_surrogates_are_text_in_characters(self) -> None:
        """Any Python string can be cut, valid Unicode or not."""
        self._check_both(SURROGATES, (50, 10), "characters")

    @pytest.mark.parametrize("text", ["", " ", "\n\n\n", "\u2028\u00a0\t"])
    def test_white_space_gives_no_chunks(self, text: str) -> None:
        """There is nothing to find in white space."""
        for length in self.lengths:
            expected: list[Chunk] = []
            assert expected == self.check(text, size=10, overlap=0, length=length)

    @pytest.mark.parametrize("name", _GROWTH)
    def test_time_grows_no_faster_than_the_text(self, name: str) -> None:
        """No kind of text makes the work grow faster than its length."""
        if "characters" not in self.lengths:
            return
        text = _GROWTH[name] * (200_000 // len(_GROWTH[name]))
        chunker = self.chunker(size=1000, overlap=0, length="characters")
        began = time.thread_time()
        chunker.chunk(text, media_type="text/markdown")
        assert time.thread_time() - began <= self.seconds_per_million * len(text) / 1_000_000

    def test_fingerprint_names_the_parameters(self) -> None:
        """Equal chunkers share it, others do not."""
        length = self.lengths[0]
        first = self.chunker(size=50, overlap=0, length=length)
        assert first.fingerprint == self.chunker(size=50, overlap=0, length=length).fingerprint
        assert first.fingerprint != self.chunker(size=51, overlap=0, length=length).fingerprint
