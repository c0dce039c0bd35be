"""HTML as a flat run of tags and text, in time linear in its length whatever it holds.

No tree is built, so depth costs nothing. Where a page is broken beyond what the HTML standard
repairs locally, such as a quote that never closes, text is kept rather than lost.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from enum import Enum, auto
from typing import NamedTuple

__all__ = ["Kind", "Token", "attributes", "strip_addresses", "tokens", "unescape"]


class Kind(Enum):
    """What a token is."""

    TEXT = auto()
    OPEN = auto()
    CLOSE = auto()
    CUT = auto()
    """The rest of the page is inside a script, comment or tag that never closes."""


class Token(NamedTuple):
    """A piece of a page.

    Attributes:
        kind: Text, opening or closing tag.
        start: First code point in the page.
        end: One past the last code point.
        name: Lower-case tag name, empty for text.
        inside: Raw attributes of an opening tag, or the raw text with its entities.
    """

    kind: Kind
    start: int
    end: int
    name: str
    inside: str


# A quote opens a value only after `=`; one that never closes is taken as an ordinary character.
# Every repetition is possessive: nothing is scanned twice.
_TAG = re.compile(
    r"""<(/?)([a-zA-Z][^\s/>]*+)((?:[^>=]++|=\s*+(?:"[^"]*+"|'[^']*+'|[^\s>"'][^\s>]*+)?+)*+)>"""
)
_TAG_START = re.compile(r"</?[a-zA-Z]")
_ATTRIBUTE = re.compile(
    r"""([^\s"'>/=]++)(?:\s*+=\s*+(?:"([^"]*+)"|'([^']*+)'|([^\s"'=<>`]++)))?+"""
)
# Text up to the closing tag is no markup; the first four are never shown.
_RAW = frozenset({"script", "style", "noembed", "noframes", "iframe", "xmp", "textarea", "title"})
_NEVER_SHOWN = frozenset({"script", "style", "noembed", "noframes", "iframe"})
_RAW_END = {name: re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE) for name in _RAW}
# Stops at the next bracket, so that a run of unclosed ones is read once.
_ADDRESS = re.compile(r"\]\(<?[^\s()<>\[\]]*+")
# More digits than any code point has; Python refuses to read very long ones.
_HUGE_REFERENCE = re.compile(r"&#(?:[0-9]{9,}|[xX][0-9a-fA-F]{9,});?")


def unescape(text: str) -> str:
    """Replace entities; those that name no character become U+FFFD, like NUL."""
    if "&" not in text:
        return text
    return html.unescape(_HUGE_REFERENCE.sub("\ufffd", text)).replace("\0", "\ufffd")


def strip_addresses(markdown: str) -> str:
    """Markdown without the addresses of its links and images, which a page does not show."""
    return _ADDRESS.sub("]", markdown)


def attributes(inside: str) -> dict[str, str]:
    """Attributes of an opening tag, names lower-case, the first of equal ones."""
    out: dict[str, str] = {}
    for name, double, single, bare in _ATTRIBUTE.findall(inside):
        out.setdefault(name.lower(), unescape(double or single or bare))
    return out


def tokens(page: str) -> Iterator[Token]:
    """Yield the tags and texts of a page in order; comments and declarations are left out."""
    at = 0
    size = len(page)
    last_cdata = page.rfind("]]>")
    unclosed: set[str] = set()
    while at < size:
        opening = page.find("<", at)
        if opening < 0:
            yield Token(Kind.TEXT, at, size, "", page[at:])
            return
        if opening > at:
            yield Token(Kind.TEXT, at, opening, "", page[at:opening])
        found = _TAG.match(page, opening)
        if found is None:
            other = _no_tag(page, opening, last_cdata)
            at = other.end
            yield other
            continue
        at = found.end()
        name = found[2].lower()
        if found[1]:
            yield Token(Kind.CLOSE, opening, at, name, "")
            continue
        yield Token(Kind.OPEN, opening, at, name, found[3])
        if name in _RAW and name not in unclosed:
            raw = _raw_text(page, name, opening, at)
            if raw is None:
                unclosed.add(name)
                continue
            yield raw
            at = raw.end


def _raw_text(page: str, name: str, opening: int, at: int) -> Token | None:
    """What stands between a script's, style's or title's tags; None where a title never closes."""
    closing = _RAW_END[name].search(page, at)
    if closing is not None:
        shown = "" if name in _NEVER_SHOWN else page[at : closing.start()]
        return Token(Kind.TEXT, at, closing.start(), "", shown)
    if name in _NEVER_SHOWN:
        return Token(Kind.CUT, opening, len(page), name, "")
    return None


def _no_tag(page: str, at: int, last_cdata: int) -> Token:
    """What begins with `<` at `at` and is no whole tag: a comment, a declaration, a bare `<`."""
    size = len(page)
    if page.startswith("<!--", at):
        return _comment(page, at)
    if page.startswith("<![CDATA[", at) and at < last_cdata:
        closing = page.index("]]>", at)
        return Token(Kind.TEXT, at, closing + 3, "", html.escape(page[at + 9 : closing]))
    if _TAG_START.match(page, at) is not None:
        return Token(Kind.CUT, at, size, "tag", "")  # whatever follows is inside the tag
    if page.startswith(("!", "?", "/"), at + 1):
        closing = page.find(">", at)
        if closing < 0:
            return Token(Kind.CUT, at, size, "declaration", "")
        return Token(Kind.TEXT, at, closing + 1, "", "")
    return Token(Kind.TEXT, at, at + 1, "", "<")


def _comment(page: str, at: int) -> Token:
    if page.startswith((">", "->"), at + 4):  # empty by the standard
        return Token(Kind.TEXT, at, page.index(">", at) + 1, "", "")
    closing = page.find("-->", at + 4)
    if closing < 0:
        return Token(Kind.CUT, at, len(page), "comment", "")
    return Token(Kind.TEXT, at, closing + 3, "", "")
