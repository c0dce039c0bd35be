"""The blocks of a Markdown text that decide where it may be cut.

No parser: one search over the text finds the few lines that matter (headings, fences, the
delimiter rows of tables) and leaves all others alone. It follows CommonMark and GitHub's tables
where those lines are concerned; blocks inside block quotes are taken as text.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field

from durable_ingest.chunkers.breaks import content_end
from durable_ingest.chunkers.context import LONGEST_PART, shortened

__all__ = ["Block", "Heading", "Outline", "scan"]

_EVENT = re.compile(
    r"""
    \n(?P<indent>[ \t]*)
    (?: (?P<hashes>\#{1,6})(?=[ \t\r\n]|\Z)
      | (?P<fence>`{3,}|~{3,})
      | (?P<double>=++[ \t\r]*+(?=\n|\Z))
      | (?P<dashes>[-|:][-|:\ \t\r]*+(?=\n|\Z))
    )
    """,
    re.VERBOSE,
)
_FRONT_MATTER = re.compile(r"---[ \t\r]*\n[\w\"'-]+[ \t]*:")
_FRONT_MATTER_END = re.compile(r"\n(?:---|\.\.\.)[ \t\r]*(?=\n|\Z)")
_NO_PARAGRAPH = re.compile(
    r"\s*\Z|[ ]{4}|[ ]{0,3}(?:\t|>|\#{1,6}(?:\s|\Z)|[-*+][ \t]|[0-9]{1,9}[.)][ \t]|`{3}|~{3}|\|)"
)
_DELIMITER_CELL = re.compile(r":?-+:?")
_BAR = re.compile(r"(?<!\\)\|")
_LINK = re.compile(r"!?\[([^\[\]]*)\]\([^()\s]*\)")
_NESTED = 4  # columns of indentation from which only a list holds a fence
_STRONG = 2  # headings up to this level separate sections that are not merged when large


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading line, or the lines of a setext heading.

    Attributes:
        start: First code point of its (first) line, indentation left out.
        end: One past its last code point that is no white space.
        before: Where the content before it ends.
        level: 1 to 6.
        path: Titles of the headings above it and its own, outermost first.
    """

    start: int
    end: int
    before: int
    level: int
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced code block, table or front matter.

    Attributes:
        start: First code point, indentation left out.
        end: One past its last code point that is no white space.
        kind: `code`, `table` or `meta`.
        header: Header row of a table, empty otherwise.
        body: Where the first row after a table's header begins; `start` otherwise.
    """

    start: int
    end: int
    kind: str
    header: str = ""
    body: int = 0


@dataclass(slots=True)
class Outline:
    """Headings, blocks, and the parts that are better not cut, each in order of place."""

    headings: list[Heading] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    atoms: list[tuple[int, int]] = field(default_factory=list)
    heading_starts: list[int] = field(default_factory=list)
    heading_ends: frozenset[int] = frozenset()
    block_starts: list[int] = field(default_factory=list)
    strong_before: list[int] = field(default_factory=list)

    def close(self) -> Outline:
        """Fill the lookup tables once all blocks are known."""
        self.heading_starts = [heading.start for heading in self.headings]
        self.heading_ends = frozenset(heading.end for heading in self.headings)
        self.block_starts = [block.start for block in self.blocks]
        self.strong_before = [
            heading.before for heading in self.headings if heading.level <= _STRONG
        ]
        return self

    def path(self, start: int, end: int) -> tuple[str, ...]:
        """The innermost headings under which all of the text from `start` to `end` stands.

        A heading that another one follows at once has no text of its own to stand under it.
        """
        first = bisect_right(self.heading_starts, start) - 1
        last = bisect_left(self.heading_starts, end) - 1
        if first == last:
            return self.headings[first].path if first >= 0 else ()
        common: tuple[str, ...] | None = None
        for index in range(first, last + 1):
            if index < last and index >= 0:
                following = self.headings[index + 1]
                if following.before == self.headings[index].end:
                    continue
            path = self.headings[index].path if index >= 0 else ()
            common = path if common is None else _common(common, path)
            if not common:
                break
        return common or ()

    def block_at(self, position: int) -> Block | None:
        """The block that the code point at `position` belongs to."""
        index = bisect_right(self.block_starts, position) - 1
        if index >= 0 and position < self.blocks[index].end:
            return self.blocks[index]
        return None

    def atom_around(self, position: int) -> tuple[int, int] | None:
        """The part that a cut at `position` would split: a fence, table row, heading."""
        index = bisect_left(self.atoms, (position, 0)) - 1
        if index >= 0 and position < self.atoms[index][1]:
            return self.atoms[index]
        return None


def _common(ours: tuple[str, ...], theirs: tuple[str, ...]) -> tuple[str, ...]:
    length = 0
    for mine, other in zip(ours, theirs, strict=False):
        if mine != other:
            break
        length += 1
    return ours[:length]


def scan(text: str) -> Outline:
    """Find the blocks of a Markdown text, in one pass over it."""
    return _Scanner(text).scan()


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._outline = Outline()
        self._open: list[tuple[int, str]] = []  # levels and titles of the headings above
        self._done = 0  # lines before this are part of a block already
        self._unclosed: set[str] = set()

    def scan(self) -> Outline:
        text = self._text
        if _FRONT_MATTER.match(text):
            end = _FRONT_MATTER_END.search(text, 3)
            if end is not None:
                self._block(0, end.end(), "meta")
        # A line end in front lets every line begin the same way; places in the copy are one
        # higher, so that the place of a line end is that of the line after it in the text.
        for event in _EVENT.finditer("\n" + text):
            line = event.start()
            if line < self._done:
                continue
            indent = event.end("indent") - event.start("indent")
            nested = indent >= _NESTED or "\t" in event["indent"]
            start = line + indent
            if event["fence"]:
                self._fence(start, event["fence"], nested=nested)
            elif event["hashes"]:
                if not nested:
                    self._atx(line, start, len(event["hashes"]))
            elif "|" in event[0]:
                self._table(line, event.end() - 1)
            elif not nested and ":" not in event[0]:
                self._setext(line, event.end() - 1, 1 if event["double"] else 2)
        return self._outline.close()

    def _line_end(self, position: int) -> int:
        found = self._text.find("\n", position)
        return found if found >= 0 else len(self._text)

    def _line_before(self, line: int) -> tuple[int, int]:
        """Start and end of the line before the one that starts at `line`."""
        end = line - 1
        return self._text.rfind("\n", 0, end) + 1, end

    def _block(self, start: int, end: int, kind: str) -> None:
        end = content_end(self._text, end, start)
        self._outline.blocks.append(Block(start, end, kind, body=start))
        self._outline.atoms.append((start, end))
        self._done = end

    def _heading(self, start: int, end: int, level: int, title: str) -> None:
        outline, text = self._outline, self._text
        title = " ".join(_LINK.sub(r"\1", title[: 8 * LONGEST_PART]).split())
        while self._open and self._open[-1][0] >= level:
            self._open.pop()
        self._open.append((level, shortened(title)))
        path = tuple(name for _, name in self._open)
        end = content_end(text, end, start + 1)
        before = content_end(text, start, outline.atoms[-1][1] if outline.atoms else 0)
        outline.headings.append(Heading(start, end, before, level, path))
        outline.atoms.append((start, end))
        self._done = end

    def _atx(self, line: int, start: int, level: int) -> None:
        end = self._line_end(line)
        title = self._text[start + level : end].strip()
        opened = title.rstrip("#")
        if not opened or opened[-1] in " \t":
            title = opened.rstrip()
        self._heading(start, end, level, title)

    def _setext(self, line: int, end: int, level: int) -> None:
        """A paragraph over a line of `=` or `-` is a heading; over nothing, that is a rule."""
        if any(mark in self._text[line:end].strip() for mark in " \t"):
            return  # dashes with blanks between them are a rule
        first = line
        while first > self._done:
            start, stop = self._line_before(first)
            if start < self._done or _NO_PARAGRAPH.match(self._text[start:stop]):
                break
            first = start
        if first < line:
            title = self._text[first:line]
            indent = len(title) - len(title.lstrip())
            self._heading(first + indent, end, level, title)

    def _fence(self, start: int, fence: str, *, nested: bool) -> None:
        text, stop = self._text, self._line_end(start)
        if fence[0] == "`" and "`" in text[start + len(fence) : stop]:
            return  # code in a line of text
        margin = r"[ \t]*" if nested else r" {0,3}"
        closing = re.compile(rf"\n{margin}{fence[0]}{{{len(fence)},}}[ \t\r]*(?=\n|\Z)")
        if nested and (len(fence) > _NESTED or fence in self._unclosed):
            return
        end = closing.search(text, stop)
        if end is not None:
            self._block(start, end.end(), "code")
        elif nested:  # most likely indented code that shows a fence
            self._unclosed.add(fence)
        else:
            self._block(start, len(text), "code")

    def _table(self, line: int, delimiter_end: int) -> None:
        text = self._text
        if line <= self._done:
            return
        start, stop = self._line_before(line)
        header = text[start:stop].strip()
        columns = _cells(text[line:delimiter_end])
        if (
            start < self._done
            or "|" not in header
            or not all(_DELIMITER_CELL.fullmatch(cell.strip()) for cell in columns)
        ):
            return
        if len(_cells(header)) != len(columns):
            return
        start += len(text[start:stop]) - len(text[start:stop].lstrip())
        rows = [(start, content_end(text, delimiter_end, start))]
        position = delimiter_end
        while position < len(text):
            row_end = self._line_end(position + 1)
            row = text[position + 1 : row_end]
            content = row.strip()
            if "|" not in content or content.startswith(("```", "~~~")):
                break
            first = position + 1 + len(row) - len(row.lstrip())
            rows.append((first, first + len(content)))
            position = row_end
        body = rows[1][0] if len(rows) > 1 else rows[0][1]
        self._outline.blocks.append(Block(start, rows[-1][1], "table", header=header, body=body))
        self._outline.atoms += rows
        self._done = rows[-1][1]


def _cells(row: str) -> list[str]:
    row = row.strip()
    cells = _BAR.split(row)
    if cells and not cells[0].strip():
        cells = cells[1:]
    if cells and not cells[-1].strip():
        cells = cells[:-1]
    return cells
