"""What a page holds, found before it is converted: how much text, where, and how it is nested.

The numbers decide which conversion is tried and whether its result may be believed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from durable_ingest.converters.html_tokens import Kind, Token, attributes, tokens, unescape

__all__ = ["Survey", "letters", "survey"]

VOID = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source"}
    | {"track", "wbr", "param"}
)
BLOCK = frozenset(
    {"address", "article", "aside", "blockquote", "body", "center", "dd", "details", "dialog"}
    | {"dir", "div", "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2"}
    | {"h3", "h4", "h5", "h6", "header", "hgroup", "hr", "li", "main", "menu", "nav", "ol"}
    | {"optgroup", "option", "p", "pre", "search", "section", "summary", "table", "tbody", "td"}
    | {"tfoot", "th", "thead", "tr", "ul", "caption", "html", "head", "legend"}
)
_OPTIONAL_END = frozenset({"p", "li", "dt", "dd", "option", "td", "th", "tr", "optgroup"})
NEVER_SHOWN = frozenset(
    {"title", "template", "noscript", "svg", "datalist", "canvas", "audio", "video", "object"}
)
_BESIDE = frozenset({"nav", "footer", "aside", "button", "select", "textarea"})
_BESIDE_ROLES = frozenset({"navigation", "contentinfo", "complementary", "search", "aria-hidden"})
_INDENTING = frozenset({"blockquote", "ul", "ol", "dl", "menu", "dir"})
_MOST_COLUMNS = 1000
_LONGEST_FIELD = 2000
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Survey:
    """The findings.

    Attributes:
        title: Text of `<title>`, or else `og:title`.
        language: `lang` of `<html>`.
        fields: `description`, `author`, `canonical`, where the page names them.
        blank: Whether nothing but white space is shown.
        shown: Letters and digits that a browser would show.
        content: Those outside navigation, asides, footers and controls.
        main: Span of the one element that holds the content, None if there is no such one.
        main_letters: Letters and digits of `content` in that span.
        growth: Estimate of the characters that indentation and empty table cells would add.
        indent: Deepest nesting of lists and quotes.
        cut: Where a script, comment or tag begins that never closes, or the page's length.
    """

    title: str | None
    language: str | None
    fields: dict[str, str]
    blank: bool
    shown: int
    content: int
    main: tuple[int, int] | None
    main_letters: int
    growth: int
    indent: int
    cut: int


def letters(text: str) -> int:
    """How many letters, digits and underscores a text holds."""
    return sum(map(len, _WORD.findall(text)))


def survey(page: str) -> Survey:
    """Read a page once; linear in its length."""
    reader = _Reader(cut=len(page))
    for token in tokens(page):
        reader.take(token)
    return reader.result()


def is_hidden(attrs: dict[str, str]) -> bool:
    """Whether an element's own attributes keep it from being shown."""
    if "hidden" in attrs:
        return True
    style = attrs.get("style", "").lower().replace(" ", "")
    return "display:none" in style or "visibility:hidden" in style


@dataclass(slots=True)
class Span:
    """The outermost element of one sort that is open now, by its name and depth."""

    name: str = ""
    depth: int = 0

    def __bool__(self) -> bool:
        return self.depth > 0

    def enter(self, name: str) -> None:
        """Open it; does nothing while one is open."""
        if not self.depth:
            self.name, self.depth = name, 1

    def follow(self, token: Token) -> bool:
        """Count a tag of the same name; True when this tag was inside or closed the element.

        An element whose end tag may be left out is over at the next block of any sort.
        """
        if self.name in _OPTIONAL_END and token.name in BLOCK:
            self.depth = 0
            return token.kind is Kind.CLOSE and token.name == self.name
        if token.name == self.name:
            self.depth += 1 if token.kind is Kind.OPEN else -1
        return True


@dataclass(slots=True)
class _Reader:
    cut: int
    title: list[str] = field(default_factory=list)
    language: str | None = None
    fields: dict[str, str] = field(default_factory=dict)
    hidden: Span = field(default_factory=Span)
    beside: Span = field(default_factory=Span)
    main: Span = field(default_factory=Span)
    article: Span = field(default_factory=Span)
    texts: dict[str, list[str]] = field(
        default_factory=lambda: {"main": [], "article": [], "other": [], "beside": []}
    )
    spans: dict[str, list[list[int]]] = field(default_factory=lambda: {"main": [], "article": []})
    growth: int = 0
    indent: int = 0
    deepest: int = 0
    columns: int = 0
    carried: int = 0
    width: int = 0

    def take(self, token: Token) -> None:
        if token.kind is Kind.TEXT:
            self.text(token)
        elif token.kind is Kind.CUT:
            self.cut = token.start
        elif not self.hidden or not self.hidden.follow(token):
            if token.kind is Kind.OPEN:
                self.open(token)
            else:
                self.close(token)

    def text(self, token: Token) -> None:
        if self.hidden:
            if self.hidden.name == "title":
                self.title.append(token.inside)
            return
        if self.beside:
            where = "beside"
        elif self.main:
            where = "main"
        else:
            where = "article" if self.article else "other"
        self.texts[where].append(token.inside)
        if self.indent:
            self.growth += 4 * self.indent * (1 + token.inside.count("\n"))

    def open(self, token: Token) -> None:
        name = token.name
        if name in VOID:
            if name in {"meta", "link"}:
                self.head(name, attributes(token.inside))
            return
        self.growth += 4 * self.indent
        if name in _INDENTING:
            self.indent += 1
            self.deepest = max(self.deepest, self.indent)
        elif name in {"td", "th", "tr", "table"}:
            self.cell(token)
        if name in NEVER_SHOWN:
            self.hidden.enter(name)
            return
        role = self.mark(token)
        if self.hidden:
            return
        if self.beside:
            self.beside.follow(token)
        elif name in _BESIDE or role in _BESIDE_ROLES:
            self.beside.enter(name)
        self.region(self.main, "main", token, opens=name == "main" or role == "main")
        self.region(self.article, "article", token, opens=name == "article" or role == "article")

    def region(self, span: Span, name: str, token: Token, *, opens: bool) -> None:
        if span:
            span.follow(token)
        elif opens:
            span.enter(token.name)
            self.spans[name].append([token.end, self.cut])

    def mark(self, token: Token) -> str:
        """Read the attributes that matter; returns the role."""
        inside = token.inside.lower()
        if token.name == "html" and "lang" in inside and self.language is None:
            attrs = attributes(token.inside)
            self.language = (attrs.get("lang") or attrs.get("xml:lang") or "").strip()[:35] or None
        if "hidden" not in inside and "style" not in inside and "role" not in inside:
            return ""
        attrs = attributes(token.inside)
        if is_hidden(attrs):
            self.hidden.enter(token.name)
        if attrs.get("aria-hidden") == "true":
            return "aria-hidden"
        return attrs.get("role", "").strip().lower()

    def close(self, token: Token) -> None:
        name = token.name
        if name in _INDENTING:
            self.indent = max(0, self.indent - 1)
        if self.beside:
            self.beside.follow(token)
        for span, kind in ((self.main, "main"), (self.article, "article")):
            if span:
                span.follow(token)
                if not span:
                    self.spans[kind][-1][1] = token.start

    def cell(self, token: Token) -> None:
        """Estimate the cells that a Markdown table needs for spans and short rows."""
        if token.name == "table":
            self.columns = self.carried = self.width = 0
        elif token.name == "tr":
            self.width = min(_MOST_COLUMNS, max(self.width, self.columns + self.carried))
            self.columns = 0
            self.growth += 4 * self.width
        else:
            span = 1
            if "span" in token.inside.lower():
                attrs = attributes(token.inside)
                span = _number(attrs.get("colspan", "1"))
                self.growth += 4 * span
                if _number(attrs.get("rowspan", "1")) > 1:
                    self.carried = min(_MOST_COLUMNS, self.carried + span)
            self.columns += span

    def head(self, name: str, attrs: dict[str, str]) -> None:
        if name == "link":
            if "canonical" in attrs.get("rel", "").lower().split():
                self.fields.setdefault("canonical", attrs.get("href", ""))
            return
        field_name = (attrs.get("name") or attrs.get("property") or "").strip().lower()
        if field_name in {"description", "author", "og:title"}:
            self.fields.setdefault(field_name, " ".join(attrs.get("content", "").split()))

    def result(self) -> Survey:
        texts = {name: unescape(" ".join(pieces)) for name, pieces in self.texts.items()}
        counts = {name: letters(text) for name, text in texts.items()}
        content = counts["main"] + counts["article"] + counts["other"]
        main = None
        main_letters = 0
        for name in ("main", "article"):
            if main is None and len(self.spans[name]) == 1:
                start, end = self.spans[name][0]
                main, main_letters = (start, min(end, self.cut)), counts[name]
        fields = {name: value[:_LONGEST_FIELD] for name, value in self.fields.items() if value}
        title = " ".join(unescape("".join(self.title)).split()) or fields.get("og:title")
        fields.pop("og:title", None)
        return Survey(
            title=title[:_LONGEST_FIELD] if title else None,
            language=self.language,
            blank=not any(text.strip() for text in texts.values()),
            fields=fields,
            shown=content + counts["beside"],
            content=content,
            main=main,
            main_letters=main_letters,
            growth=self.growth,
            indent=self.deepest,
            cut=self.cut,
        )


def _number(value: str) -> int:
    value = value.strip()
    if not value.isascii() or not value[:10].isdigit():
        return 1
    return min(_MOST_COLUMNS, int(value[:10]))
