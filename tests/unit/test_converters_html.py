"""HTML becomes Markdown, and no page makes its text vanish."""

from __future__ import annotations

import html
import time
from dataclasses import dataclass
from pathlib import Path

import html_to_markdown
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from durable_ingest.conformance.converter import ConverterContract
from durable_ingest.converters.html import HtmlConverter
from durable_ingest.converters.html_plain import plain_text
from durable_ingest.converters.html_survey import letters, survey
from durable_ingest.converters.html_tokens import Kind, tokens, unescape
from durable_ingest.models import Conversion
from durable_ingest.ports import Converter

GOLDEN = Path(__file__).parent / "golden" / "converters"
PAGES = sorted(GOLDEN.glob("*.html"))
MIB = 1024 * 1024


def convert(page: str) -> Conversion:
    return HtmlConverter().convert(page.encode(), media_type="text/html", uri="https://host/page")


class TestHtmlConverter(ConverterContract):
    samples = tuple(page.read_bytes() for page in PAGES)
    examples = 60

    def create(self) -> Converter:
        return HtmlConverter()

    def wrap(self, text: str) -> bytes:
        paragraphs = "".join(f"<p>{html.escape(one)}</p>" for one in text.split("\n\n"))
        return f"<!doctype html><meta charset=utf-8><body>{paragraphs}</body>".encode()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_structure_comes_out_as_in_the_golden_page(page: Path) -> None:
    """Parity: S0-29."""
    expected = page.with_suffix(".md").read_text("utf-8")
    assert expected == convert(page.read_text("utf-8")).text


def test_title_language_and_fields_are_data() -> None:
    """Parity: S0-29."""
    conversion = convert((GOLDEN / "guide.html").read_text("utf-8"))
    assert conversion.model_copy(update={"text": ""}) == Conversion(
        text="",
        media_type="text/markdown",
        title="Tide tables & harbours",
        language="en-GB",
        charset="utf-8",
        charset_rule="meta",
        method="html-to-markdown main",
        metadata={
            "description": "How to read a tide table.",
            "author": "A. Pilot",
            "canonical": "https://harbour.example/guide",
        },
    )


TITLES = [
    ("<title> Two\n words &amp; more </title><h1>H</h1>", "Two words & more"),
    ('<meta property="og:title" content="Shared"><h1>H</h1>', "Shared"),
    ("<p>x</p><h1>The <em>first</em> one</h1>", "The *first* one"),
    ("<p>no title</p>", None),
    ("<title></title><p>x", None),
]


@pytest.mark.parametrize(("page", "title"), TITLES)
def test_title_is_the_pages_or_its_first_heading(page: str, title: str | None) -> None:
    assert title == convert(page).title


@dataclass(frozen=True)
class Pass:
    name: str
    page: str
    text: str
    method: str = "html-to-markdown main"


BODY = "<p>" + "The harbour office answers questions all day. " * 3 + "</p>"
TEXT = "The harbour office answers questions all day. " * 2
TEXT += "The harbour office answers questions all day.\n"
MENU = "<nav><ul>" + "<li>Menu entry</li>" * 4 + "</ul></nav>"
PASSES = [
    Pass("navigation dropped", MENU + BODY, TEXT),
    Pass("main taken", f"<div>Banner</div><main>{BODY}</main><div>Rest</div>", TEXT),
    Pass("article taken", f"<div>Banner</div><article>{BODY}</article>", TEXT),
    Pass("role taken", f"<div>Banner</div><div role=main><div>{BODY}</div></div>Rest", TEXT),
    Pass(
        "small main is no main",
        f"<main>Skip</main>{BODY}",
        "Skip\n\n" + TEXT,
    ),
    Pass(
        "two articles are a list",
        "<article>One thing</article><article>Other</article>",
        "One thing\n\nOther\n",
    ),
    Pass("form around all", f"<form>{BODY}<input value=x><button>Go</button></form>", TEXT),
    Pass(
        "nothing but navigation",
        "<nav><a href=/a>Anchors</a></nav>",
        "[Anchors](/a)\n",
        "html-to-markdown full",
    ),
    Pass("only symbols", "<p>→ ★ !</p>", "→ ★ !\n", "html-text"),
    Pass("deep", "<div>" * 3000 + "deep words" + "</div>" * 3000, "deep words\n", "html-text"),
    Pass("nothing shown", "<script>var a;</script>", "", "html-to-markdown full"),
    Pass("script never closed", "<p>before<script>var a", "before\n"),
]


@pytest.mark.parametrize("case", PASSES, ids=lambda case: case.name)
def test_the_pass_that_keeps_the_text_is_taken_and_named(case: Pass) -> None:
    conversion = convert(case.page)
    assert (case.text, case.method) == (conversion.text, conversion.method)
    assert ("text/plain" if case.method == "html-text" else "text/markdown") == (
        conversion.media_type
    )


HIDDEN = [
    "<p hidden>gone</p>",
    '<div style="color: red; DISPLAY : none"><p>gone</p></div>',
    "<span style=visibility:hidden>gone</span>",
    "<template><p>gone</p></template>",
    "<noscript>gone</noscript>",
    "<style>gone</style>",
    "<!-- gone -->",
    "<iframe src=/gone>gone</iframe>",
    "<svg><text>gone</text></svg>",
    "<video src=/gone>gone</video>",
    "<img src='data:image/png;base64,gone'>",
]


@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize("depth", [1, 2000], ids=["markdown", "bare text"])
def test_what_a_browser_hides_is_dropped_in_every_pass(hidden: str, depth: int) -> None:
    page = f"<p>kept</p>{hidden}" + "<div>" * depth + "also kept"
    text = convert(page).text
    assert "gone" not in text
    assert ["kept", "also", "kept"] == text.split()


def test_links_and_images_lose_their_data_addresses() -> None:
    page = '<p>words <a href="data:text/html,secret">link</a> <img src="data:x,secret" alt="alt">'
    assert "words link alt\n" == convert(page).text


HOSTILE = {
    "50,000 deep": "<p>first</p>" + "<div>" * 50_000 + "words here" + "</div>" * 50_000,
    "deep lists": "<ul><li>item" * 20_000,
    "deep quotes": "<blockquote>said" * 20_000,
    "deep tables": "<table><tr><td>cell" * 2_000,
    "unclosed bold": "<b>word " * 50_000,
    "unclosed paragraphs": "<p>word " * 50_000,
    "100,000 links": "".join(f'<a href="/p/{n}">link{n}</a> ' for n in range(100_000)),
    "20,000 rows": "<table>" + "<tr><td>a</td><td>b|c</td></tr>" * 20_000 + "</table>",
    "5 MB paragraph": "<p>" + "word other " * 500_000,
    "wide spans": "<table><tr><td rowspan=60000 colspan=1000>x</td></tr>" + "<tr><td>y" * 20_000,
    "quotes 95 deep": "<blockquote>said" * 95 + "<p>word" * 20_000,
    "one huge attribute": "<p " + 'a="b" ' * 100_000 + ">word",
    "attributes without end": "<p>word</p>" + "<a " * 100_000,
    "quotes without end": "<p>word</p>" + '<a b="> ' * 50_001,
    "comments without end": "<p>word</p>" + "<!--" * 100_000,
    "sections without end": "<p>word</p>" + "<![CDATA[>" * 50_000,
    "titles without end": "<p>word</p>" + "<title>" * 50_000,
    "bare angles": "<p>word " + "<" * 100_000,
    "entities": "<p>word " + "&amp;" * 200_000,
    "huge entity": "<p>word &#" + "9" * 100_000 + ";</p>",
    "NULs": "<p>wo\0rd</p>" * 1_000,
    "backticks": "<p>word</p><pre>" + "`" * 100_000 + "</pre>",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_pages_keep_their_words_in_bounded_time_and_size(name: str) -> None:
    page = HOSTILE[name]
    before = time.process_time()
    conversion = convert(page)
    seconds = time.process_time() - before
    assert letters(conversion.text) >= 0.98 * survey(page).shown > 0
    assert len(conversion.text) <= 6 * len(page) + MIB
    assert seconds < 20  # a quadratic pass takes minutes


def test_a_failure_of_the_library_is_noted_and_the_bare_text_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:

    def fail(page: str, options: object) -> object:
        raise html_to_markdown.PanicError(f"overflow at {len(page)}, {options is None}")

    monkeypatch.setattr(html_to_markdown, "convert", fail)
    conversion = convert("<p>words</p><p>more</p>")
    assert ("words\n\nmore\n", "html-text") == (conversion.text, conversion.method)
    assert "html-to-markdown failed: PanicError: overflow at 23, False" in conversion.notes


BARE = [
    ("<h1>A</h1><p>b <b>c</b>d</p>", "A\n\nb cd\n"),
    ("<ul><li>a<li>b<ul><li>c</ul></ul>d", "a\nb\n\nc\n\nd\n"),
    ("<table><tr><td>a</td><td>b</td></tr><tr><td></td><td>c</td></tr></table>", "a | b\nc\n"),
    ("x<br>y", "x\ny\n"),
    ("<pre>\n  a\n    b\n</pre>tail", "  a\n    b\n\ntail\n"),
    ("<p>a<p hidden>b<p>c", "a\n\nc\n"),
    ("<img alt='picture'>text", "picture text\n"),
    ("&lt;tag&gt; &eacute;&#0;&#xD800;", "<tag> é��\n"),
    ("", ""),
    ("  \n ", ""),
]


@pytest.mark.parametrize(("page", "text"), BARE)
def test_bare_text_keeps_blocks_apart(page: str, text: str) -> None:
    assert text == plain_text(page)


TOKENS = [
    ("<p title=it's>a", ["p", "'a'"]),
    ('<a b="x>y">z</a>', ["a", "'z'", "/a"]),
    ('<a b="x>y</a>', ["a", "'y'", "/a"]),
    ("3 < 4", ["'3 '", "'<'", "' 4'"]),
    ("<script>a<b</script x>c", ["script", "/script", "'c'"]),
    ("<textarea><b></textarea>", ["textarea", "'<b>'", "/textarea"]),
    ("<![CDATA[a<b]]>", ["'a&lt;b'"]),
    ("<!-->a<!--->b<!-- > -->c", ["'a'", "'b'", "'c'"]),
    ("a<!-- b", ["'a'", "cut comment"]),
    ("a<b c", ["'a'", "cut tag"]),
    ("a<style>b", ["'a'", "style", "cut style"]),
    ("<?php x ?>a</>b</ >c", ["'a'", "'b'", "'c'"]),
]


@pytest.mark.parametrize(("page", "expected"), TOKENS)
def test_broken_markup_is_read_as_browsers_do_or_more_gently(
    page: str, expected: list[str]
) -> None:
    found: list[str] = []
    for token in tokens(page):
        if token.kind is Kind.TEXT:
            found += [repr(token.inside)] if token.inside else []
        else:
            found.append({"OPEN": "", "CLOSE": "/", "CUT": "cut "}[token.kind.name] + token.name)
    assert expected == found


def test_entities_never_become_nul_or_surrogates() -> None:
    assert "� � � � é &nosuch;" == unescape(
        "&#0; &#xDFFF; &#99999999999; &#x110000; &eacute; &nosuch;"
    )


TAGS = """<p> </p> <b> </b> <ul> <li> </ul> <pre> </pre> <table> <tr> <td> </table> <nav> </nav>
        <main> </main> <blockquote> </blockquote> <!----> <script>s</script> &lt; < " <br> </div>
        <div> <h2> </h2> <a/href=/x> </a> <td/colspan=3> <svg> </svg> <title> </title> <details>
        <select> <p/hidden> <div/style="display:none">"""
MARKUP = st.lists(
    st.sampled_from(TAGS.split())
    | st.text(st.characters(categories=["L"]), min_size=1, max_size=6).map(
        lambda word: f" {word} "
    ),
    max_size=40,
).map("".join)


@settings(deadline=None, max_examples=300)
@given(MARKUP)
def test_a_page_that_shows_something_never_converts_to_nothing(page: str) -> None:
    found = survey(page)
    conversion = convert(page)
    assert found.blank or conversion.text.strip()
    assert letters(plain_text(page)) == found.shown
