"""`recursive` splits as LangChain's splitter does with the profiles in use; `fixed` by size."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from durable_ingest.chunkers import FixedChunker, RecursiveChunker, chunk_text
from durable_ingest.conformance.chunker import PieceTokenizer


@dataclass(frozen=True)
class Case:
    name: str
    text: str
    size: int
    overlap: int
    expected: list[str]


# Expected results were made with langchain-text-splitters 1.1.3, default separators.
RECURSIVE = [
    Case("paragraphs are merged", "aa\n\nbb\n\ncc", 8, 0, ["aa\n\nbb", "cc"]),
    Case("lines below paragraphs", "aaa bb\ncc dd\n\neee", 9, 0, ["aaa bb", "cc dd", "eee"]),
    Case("words below lines", "one two three four", 9, 0, ["one two", "three", "four"]),
    Case("characters below words", "abcdefghij", 4, 0, ["abcd", "efgh", "ij"]),
    Case("characters repeat", "abcdefghij", 4, 2, ["abcd", "cdef", "efgh", "ghij"]),
    Case("words repeat", "a b c d e f", 5, 3, ["a b c", "c d", "d e", "e f"]),
    Case("long words keep their blank", "x abcdefghij", 5, 0, ["x", "abcd", "efghi", "j"]),
]


@pytest.mark.parametrize("case", RECURSIVE, ids=lambda case: case.name)
def test_recursive_splits_as_langchain_does(case: Case) -> None:
    chunks = chunk_text(case.text, size=case.size, overlap=case.overlap, kind="recursive")
    assert case.expected == [chunk.text for chunk in chunks]


def test_recursive_keeps_the_profiles_in_use() -> None:
    paragraphs = [f"Paragraph {i}. " + "Some words of it. " * (3 + i % 30) for i in range(60)]
    text = "\n\n".join(paragraphs)
    for size, overlap in ((700, 100), (1500, 0)):
        chunks = chunk_text(text, size=size, overlap=overlap, kind="recursive")
        assert max(len(chunk.text) for chunk in chunks) <= size
        assert chunks[0].text.startswith("Paragraph 0.")
        assert all(chunk.text == chunk.text.strip() for chunk in chunks)


def test_recursive_counts_tokens_of_each_chunk() -> None:
    text = "unbelievable words follow words " * 40
    chunks = chunk_text(
        text, size=12, overlap=3, length="tokens", tokenizer=PieceTokenizer(), kind="recursive"
    )
    assert PieceTokenizer().count_batch([c.text for c in chunks]) == [c.tokens for c in chunks]
    assert max(chunk.tokens or 0 for chunk in chunks) <= 12


FIXED = [
    Case("windows", "abcdefghij", 4, 0, ["abcd", "efgh", "ij"]),
    Case("windows repeat", "abcdefghij", 4, 1, ["abcd", "defg", "ghij"]),
    Case("edges are kept", "ab cd ef", 3, 0, ["ab ", "cd ", "ef"]),
    Case("white space is left out", "ab      cd", 2, 0, ["ab", "cd"]),
    Case("clusters move cuts", "abe\u0301cd", 3, 0, ["ab", "e\u0301c", "d"]),
    Case(
        "a cluster over the limit", "e\u0301\u0301\u0301x", 2, 0, ["e\u0301", "\u0301\u0301", "x"]
    ),
]


@pytest.mark.parametrize("case", FIXED, ids=lambda case: case.name)
def test_fixed_cuts_by_size(case: Case) -> None:
    chunks = chunk_text(case.text, size=case.size, overlap=case.overlap, kind="fixed")
    assert case.expected == [chunk.text for chunk in chunks]


@pytest.mark.parametrize("kind", [RecursiveChunker, FixedChunker])
def test_the_title_is_the_context_of_kinds_without_headings(
    kind: type[RecursiveChunker | FixedChunker],
) -> None:
    chunks = kind(size=20, context=5).chunk("# A\n\ntext", title="Title long")
    assert [("Title", ())] == [(chunk.context, chunk.heading_path) for chunk in chunks]
