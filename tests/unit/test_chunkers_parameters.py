"""Parameters are checked in words, and every one of them is part of the fingerprint."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import pytest

from durable_ingest import registry
from durable_ingest.chunkers import FixedChunker, RecursiveChunker, StructureChunker, chunk_text
from durable_ingest.conformance.chunker import PieceTokenizer
from durable_ingest.errors import InvalidInput
from durable_ingest.ports import Chunker

KINDS: dict[str, type[StructureChunker | RecursiveChunker | FixedChunker]] = {
    "structure": StructureChunker,
    "recursive": RecursiveChunker,
    "fixed": FixedChunker,
}


@dataclass(frozen=True)
class Refused:
    arguments: dict[str, Any]
    message: str


REFUSED = [
    Refused({"size": 0}, "size 0 is below 1"),
    Refused({"size": 10, "overlap": 10}, "overlap 10 is not between 0 and size - 1 (9)"),
    Refused({"size": 10, "overlap": -1}, "overlap -1 is not between"),
    Refused({"size": 10, "length": "tokens"}, "length 'tokens' needs a tokenizer"),
    Refused({"size": 10, "length": "bytes"}, "length 'bytes' is no unit"),
    Refused({"size": 10, "context": -1}, "context -1 is below 0"),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.message[:12])
def test_parameters_that_make_no_sense_are_refused(kind: str, case: Refused) -> None:
    with pytest.raises(InvalidInput, match=re.escape(case.message)):
        KINDS[kind](**case.arguments)


def test_an_unknown_kind_is_refused_with_those_that_exist() -> None:
    arguments: dict[str, Any] = {"kind": "legal"}
    with pytest.raises(InvalidInput, match="'legal'; there are: structure, recursive, fixed"):
        chunk_text("text", size=10, **arguments)


def test_each_parameter_changes_the_fingerprint() -> None:
    tokenizer = PieceTokenizer()
    made: list[Chunker] = [
        chunker
        for kind in KINDS.values()
        for chunker in (
            kind(size=10),
            kind(size=11),
            kind(size=10, overlap=1),
            kind(size=10, context=1),
            kind(size=10, tokenizer=tokenizer),
            kind(size=10, tokenizer=tokenizer, length="tokens"),
        )
    ]
    assert len(made) == len({chunker.fingerprint for chunker in made})
    assert StructureChunker(size=10).fingerprint == StructureChunker(size=10).fingerprint


@pytest.mark.parametrize("kind", KINDS)
def test_the_registry_finds_each_kind(kind: str) -> None:
    assert KINDS[kind] is registry.load("chunkers", kind)
    assert isinstance(registry.load("chunkers", kind)(size=10), Chunker)
