"""HTML to Markdown, with a check that no text was lost on the way.

Three passes, the first good one wins: the main content, the whole page, the bare text. Which one
it was stands in `Conversion.method`, and why in its notes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from durable_ingest._optional import require
from durable_ingest.converters.binary import refuse_binary
from durable_ingest.converters.charset import decode
from durable_ingest.converters.html_plain import plain_text
from durable_ingest.converters.html_survey import Survey, letters, survey
from durable_ingest.converters.html_tokens import strip_addresses
from durable_ingest.converters.versions import installed, text_fingerprint
from durable_ingest.errors import ConversionFailed
from durable_ingest.models import Conversion, Metadata

__all__ = ["HtmlConverter"]

MIB = 1024 * 1024

# The share of the letters outside navigation that a main-content pass has to keep.
_MAIN_KEEPS = 0.5
# The share of all letters shown that the full pass has to keep.
_FULL_KEEPS = 0.9
# The same where the library itself says that it skipped something.
_WARNED_KEEPS = 0.98
# A page whose content is less than this share of its letters is all navigation to our eyes only.
_LEAST_CONTENT = 0.2
_LEAST_MAIN = 0.5
# Nesting and table spans may make the output so much longer than the page, and no more.
_MOST_GROWTH = 4
_DEEPEST_INDENT = 100

# Shown by browsers, but no words of the author: drop in the main-content pass.
_CONTROLS = ["button", "select", "textarea", "a.headerlink", "a.anchor", '[aria-hidden="true"]']
# Their fallback text is not shown, or repeats what stands beside it.
_NOT_SHOWN = ["iframe", "video", "audio", "object", "canvas", "svg", "datalist", "annotation"]


@dataclass(frozen=True, slots=True)
class _Attempt:
    """What the library made of a page: its text, letters in it, and whether it skipped some."""

    text: str
    letters: int
    warned: bool


class HtmlConverter:
    """Reads HTML and XHTML by html-to-markdown; falls back to the bare text, never to nothing."""

    media_types = frozenset({"text/html", "application/xhtml+xml"})

    @property
    def fingerprint(self) -> str:
        """Names the rules' version and those of html-to-markdown and the charset detector."""
        return text_fingerprint(f"html/1;html-to-markdown={installed('html-to-markdown')}")

    def convert(
        self, content: bytes, *, media_type: str, charset: str | None = None, uri: str = ""
    ) -> Conversion:
        """Convert one page.

        Scripts, styles, hidden elements and `data:` addresses are dropped; navigation, footers
        and controls too, unless little is left then. Links stay as the page wrote them.

        Args:
            content: The bytes.
            media_type: For messages.
            charset: Charset that came with the bytes, unverified.
            uri: Names the document in messages; the text does not depend on it.

        Returns:
            Markdown (plain text after the last pass), title, language, and `description`,
            `author` and `canonical` as metadata where the page has them.

        Raises:
            ConversionFailed: The bytes are no text, or text is shown that no pass could read.
            MissingExtra: html-to-markdown is not installed.
        """
        read = decode(content, declared=charset, html=True)
        refuse_binary(content, charset=read.charset, uri=uri, media_type=media_type)
        notes = list(read.notes)
        found = survey(read.text)
        if found.cut < len(read.text):
            notes.append(
                f"a script, comment or tag that never closes hides the last "
                f"{len(read.text) - found.cut} characters"
            )
        text, method = _convert(read.text[: found.cut], found, notes)
        if not found.blank and not text.strip():
            raise ConversionFailed(
                f"{uri or 'the page'} shows text ({found.shown} letters), but none of it could be "
                "converted; please report the page"
            )
        metadata: Metadata = dict(found.fields)
        return Conversion(
            text=text,
            media_type="text/plain" if method == "html-text" else "text/markdown",
            title=found.title or _first_heading(text),
            language=found.language,
            charset=read.charset,
            charset_rule=read.rule,
            method=method,
            notes=notes,
            metadata=metadata,
        )


def _convert(page: str, found: Survey, notes: list[str]) -> tuple[str, str]:
    """The text and the name of the pass that made it."""
    library = require("html_to_markdown", extra="web", distribution="html-to-markdown")
    if found.blank:
        notes.append("the page shows no text")
        return "", "html-to-markdown full"
    if not found.shown:
        notes.append("the page shows no letters; the bare text was taken")
        return plain_text(page), "html-text"
    if found.indent > _DEEPEST_INDENT or found.growth > _MOST_GROWTH * len(page) + MIB:
        notes.append(
            f"lists, quotes or tables are nested so deeply ({found.indent}) or span so far that "
            "Markdown would outgrow the page; the bare text was taken"
        )
        return plain_text(page), "html-text"
    if found.content >= _LEAST_CONTENT * found.shown:
        part, share = _main_part(page, found)
        tried = _attempt(library, part, main=True, notes=notes)
        if tried is not None and not tried.warned and tried.letters >= _MAIN_KEEPS * share:
            if tried.letters < _FULL_KEEPS * found.shown:
                notes.append(
                    f"the main-content pass left out about {found.shown - tried.letters} of "
                    f"{found.shown} letters"
                )
            return tried.text, "html-to-markdown main"
        notes.append("the main content alone would have lost text; the whole page was taken")
    else:
        notes.append("next to all text is navigation or controls; the whole page was taken")
    tried = _attempt(library, page, main=False, notes=notes)
    if tried is not None:
        least = (_WARNED_KEEPS if tried.warned else _FULL_KEEPS) * found.shown
        if tried.letters >= least:
            return tried.text, "html-to-markdown full"
        notes.append(
            f"html-to-markdown kept {tried.letters} of {found.shown} letters; the bare text was "
            "taken"
        )
    return plain_text(page), "html-text"


def _main_part(page: str, found: Survey) -> tuple[str, int]:
    """The part of the page to read first, and how many letters it should give."""
    if found.main is not None and found.main_letters >= _LEAST_MAIN * found.content:
        start, end = found.main
        return page[start:end], found.main_letters
    return page, found.content


def _attempt(library: Any, page: str, *, main: bool, notes: list[str]) -> _Attempt | None:
    """Convert by the library; None when it fails."""
    options = library.ConversionOptions(
        extract_metadata=False,
        bullets="-",
        # Padding would make a table as wide as its longest cell in every row.
        compact_tables=True,
        inline_data_media="alt_text_only",
        sup_symbol="^",
        preprocessing=library.PreprocessingOptions(
            enabled=main, preset="aggressive", remove_navigation=main, remove_forms=False
        ),
        exclude_selectors=[*_NOT_SHOWN, *(_CONTROLS if main else [])],
    )
    try:
        result = library.convert(page, options)
    except (library.ConversionError, ValueError, RuntimeError) as error:
        notes.append(f"html-to-markdown failed: {type(error).__name__}: {str(error)[:200]}")
        return None
    text = str(result.content).replace("\0", "\ufffd").replace("\r\n", "\n").replace("\r", "\n")
    return _Attempt(text=text, letters=letters(strip_addresses(text)), warned=bool(result.warnings))


def _first_heading(text: str) -> str | None:
    for line in text[: 64 * 1024].split("\n"):
        if line.startswith("# ") and (title := line[2:].strip()):
            return title[:500]
    return None
