"""The hashing embedder: deterministic, quick, and near for texts that share words."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_ingest import registry
from durable_ingest.conformance.embedder import EmbedderContract
from durable_ingest.embedders.hashing import HashingEmbedder, create
from durable_ingest.errors import InvalidInput
from durable_ingest.models import EmbedderInfo, EmbedderSpec
from durable_ingest.ports import Embedder
from durable_ingest.settings import WorkerSettings

SPEC = EmbedderSpec(kind="hashing")


class TestHashingEmbedder(EmbedderContract):
    tolerance = 0.0

    def create(self) -> Embedder:
        return create(SPEC, WorkerSettings())


class TestSmallHashingEmbedder(EmbedderContract):
    def create(self) -> Embedder:
        return create(SPEC.model_copy(update={"dimension": 3}), WorkerSettings())


def test_it_describes_itself_without_tokenizer_or_limit() -> None:
    described = create(SPEC.model_copy(update={"dimension": 64}), WorkerSettings()).describe()
    assert described == EmbedderInfo(
        fingerprint=described.fingerprint, model="hashing/1", dimension=64, max_tokens=None
    )
    assert HashingEmbedder(64).tokenizer_json() is None
    assert described.fingerprint != HashingEmbedder(65).describe().fingerprint


def test_registry_finds_it() -> None:
    assert registry.load("embedders", "hashing") is create


def test_options_are_refused() -> None:
    spec = SPEC.model_copy(update={"options": {"delay": 1}})
    with pytest.raises(InvalidInput, match=r"no options, but \['delay'\]"):
        create(spec, WorkerSettings())


def test_vectors_are_the_same_in_every_process() -> None:
    code = (
        "import hashlib; from durable_ingest.embedders.hashing import HashingEmbedder as H;"
        "print(hashlib.sha256(H(32).embed(['Der Zug fährt', '']).tobytes()).hexdigest())"
    )
    other = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60
    )
    here = hashlib.sha256(HashingEmbedder(32).embed(["Der Zug fährt", ""]).tobytes())
    assert here.hexdigest() == other.stdout.strip()


def test_shared_words_and_word_parts_are_near() -> None:
    query, same, inflected, other = HashingEmbedder().embed(
        ["resume the stopped worker", "The WORKER: resume!", "resuming stops", "salty soup"]
    )
    assert query @ same > query @ inflected > query @ other


def test_the_empty_text_has_a_fixed_unit_vector() -> None:
    expected = np.zeros(4, dtype=np.float32)
    expected[0] = 1.0
    np.testing.assert_array_equal([expected, expected], HashingEmbedder(4).embed(["", "  \n"]))


def test_memory_of_words_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("durable_ingest.embedders.hashing._MOST_WORDS", 10)
    embedder = HashingEmbedder(16)
    texts = [f"word{n} and other{n}" for n in range(40)]
    first = embedder.embed(texts)
    assert len(embedder._features) <= 10
    np.testing.assert_array_equal(first, HashingEmbedder(16).embed(texts))


@given(st.lists(st.text(max_size=40), max_size=6), st.integers(1, 40))
def test_any_text_has_a_unit_vector(texts: list[str], dimension: int) -> None:
    vectors = HashingEmbedder(dimension).embed(texts)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, rtol=1e-5)
