"""The text of a page without its structure: the conversion that no page can defeat.

Used when the Markdown conversion loses text. Time and memory are linear in the page.
"""

from __future__ import annotations

from durable_ingest.converters.html_survey import BLOCK, NEVER_SHOWN, VOID, Span, is_hidden
from durable_ingest.converters.html_tokens import Kind, Token, attributes, tokens, unescape

__all__ = ["plain_text"]

_TIGHT = frozenset({"li", "dt", "dd", "tr", "option", "br", "caption", "summary"})
_GAPS = ("", " | ", "\n", "\n\n")  # the later one wins where two meet
_CELLS = frozenset({"td", "th"})


def plain_text(page: str) -> str:
    """Everything that a browser would show, blocks apart by blank lines, `<pre>` as it stands.

    Items, rows and `<br>` begin a line of their own; cells are apart by ` | `; alternative texts
    of images are kept.
    """
    writer = _Writer()
    for token in tokens(page):
        if token.kind is Kind.TEXT:
            if not writer.hidden:
                writer.run.append(token.inside)
        elif token.kind is not Kind.CUT and not (writer.hidden and writer.hidden.follow(token)):
            writer.tag(token)
    writer.flush("")
    return writer.text()


class _Writer:
    def __init__(self) -> None:
        self.run: list[str] = []
        self.out: list[str] = []
        self.gap = ""
        self.pre = 0
        self.hidden = Span()

    def tag(self, token: Token) -> None:
        name = token.name
        if token.kind is Kind.OPEN:
            self._open(token)
        if name == "pre":
            self.flush("\n\n")
            self.pre = max(0, self.pre + (1 if token.kind is Kind.OPEN else -1))
        elif name in _CELLS:
            self.flush(" | " if token.kind is Kind.CLOSE else "")
        elif name in _TIGHT:
            self.flush("\n")
        elif name in BLOCK:
            self.flush("\n\n")

    def _open(self, token: Token) -> None:
        if token.name in NEVER_SHOWN:
            self.hidden.enter(token.name)
        elif token.name == "img":
            self.run.append(f" {attributes(token.inside).get('alt', '')} ")
        elif (
            token.name not in VOID
            and ("hidden" in token.inside or "style" in token.inside)
            and is_hidden(attributes(token.inside))
        ):
            self.hidden.enter(token.name)

    def flush(self, gap: str) -> None:
        """Write the text gathered so far, then keep apart what follows by at least `gap`."""
        text = unescape("".join(self.run))
        self.run.clear()
        text = text.strip("\n") if self.pre else " ".join(text.split())
        if text.strip():
            if self.out:
                self.out.append(self.gap or " ")
            self.out.append(text)
            self.gap = gap
        elif _GAPS.index(gap) > _GAPS.index(self.gap):
            self.gap = gap

    def text(self) -> str:
        """All that was written, ending in a newline unless empty."""
        return "".join(self.out) + "\n" if self.out else ""
