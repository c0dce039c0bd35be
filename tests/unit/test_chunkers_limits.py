"""Token limits hold when a chunk has more tokens by itself than it had in the document."""

from __future__ import annotations

import pytest

from durable_ingest.chunkers import FixedChunker, RecursiveChunker, StructureChunker
from durable_ingest.conformance.chunker import ADVERSARIAL, ChunkerContract, Length, PieceTokenizer
from durable_ingest.ports import Chunker, Encoding, Tokenizer

KINDS = [StructureChunker, RecursiveChunker, FixedChunker]


class OpeningTokenizer(PieceTokenizer):
    """Begins every text with two tokens of their own, as some models begin every sentence."""

    def encode(self, text: str) -> Encoding:
        rest = super().encode(text)
        return Encoding(ids=[1, 2, *rest.ids], offsets=[(0, 0), (0, 0), *rest.offsets])


class TestStructure(ChunkerContract):
    def chunker(self, *, size: int, overlap: int, length: Length) -> Chunker:
        return StructureChunker(
            size=size, overlap=overlap, length=length, tokenizer=self.tokenizer()
        )

    def tokenizer(self) -> Tokenizer:
        return OpeningTokenizer()


class TestRecursive(ChunkerContract):
    def chunker(self, *, size: int, overlap: int, length: Length) -> Chunker:
        return RecursiveChunker(
            size=size, overlap=overlap, length=length, tokenizer=self.tokenizer()
        )

    def tokenizer(self) -> Tokenizer:
        return OpeningTokenizer()


class TestFixed(ChunkerContract):
    def chunker(self, *, size: int, overlap: int, length: Length) -> Chunker:
        return FixedChunker(size=size, overlap=overlap, length=length, tokenizer=self.tokenizer())

    def tokenizer(self) -> Tokenizer:
        return OpeningTokenizer()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "unit", ["word and other words. ", "line\n", "x", "\u5b57"], ids=["words", "lines", "x", "cjk"]
)
def test_long_documents_are_planned_in_parts(
    kind: type[StructureChunker | RecursiveChunker | FixedChunker], unit: str
) -> None:
    text = (unit * 200_000)[:150_001]
    tokenizer = PieceTokenizer()
    chunks = kind(size=500, length="tokens", tokenizer=tokenizer).chunk(text)
    assert tokenizer.count_batch([chunk.text for chunk in chunks]) == [c.tokens for c in chunks]
    assert max(chunk.tokens or 0 for chunk in chunks) <= 500
    assert "".join(text.split()) == "".join("".join(chunk.text for chunk in chunks).split())


def test_chunks_cut_again_keep_to_separators() -> None:
    text = ADVERSARIAL["one long line"]
    words = set(text.split())
    chunker = RecursiveChunker(size=40, length="tokens", tokenizer=OpeningTokenizer())
    for chunk in chunker.chunk(text):
        assert words >= set(chunk.text.split())
