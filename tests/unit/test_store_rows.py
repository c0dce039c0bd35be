"""Records: what is written is what is read, and any other byte is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_ingest.conformance.store_model import record, state
from durable_ingest.errors import IndexDamaged
from durable_ingest.models import DocumentState, MetadataValue
from durable_ingest.stores.rows import (
    RecordDamaged,
    decode_chunk,
    decode_keys,
    decode_rows,
    encode_rows,
    metadata_token,
    metadata_tokens,
)
from durable_ingest.stores.sealed import seal, unseal

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@given(
    keys=st.lists(TEXTS.filter(bool), max_size=3),
    documents=st.dictionaries(TEXTS.filter(bool), st.lists(TEXTS, max_size=4), max_size=4),
    touched=st.lists(TEXTS.filter(bool), max_size=3),
)
def test_rows_come_back_as_they_were(
    keys: list[str], documents: dict[str, list[str]], touched: list[str]
) -> None:
    given_documents = [
        record(name, *texts, metadata={"ü": [*texts]}) for name, texts in documents.items()
    ]
    given_states = [state(name) for name in touched]
    data = encode_rows(keys, given_documents, given_states)
    found = decode_rows(data)
    assert keys == found.keys
    assert given_states == [DocumentState.model_validate_json(each.state) for each in found.touches]
    assert len(data.splitlines() if not documents else data.split(b"\n")[:-1]) == found.records
    for document, entry in zip(given_documents, found.puts, strict=True):
        assert document.state == DocumentState.model_validate_json(entry.state.state)
        assert metadata_tokens(document.state.metadata) == entry.state.tokens
        lines = [chunk.line for chunk in entry.chunks]
        read = [decode_chunk(data[each.start : each.start + each.length]) for each in lines]
        assert document.chunks == read
    if keys:
        assert keys == decode_keys(data[: found.key_length])


@given(st.data())
def test_any_changed_byte_of_a_record_is_found(data: st.DataObject) -> None:
    good = encode_rows(["k"], [record("a", "t0", "t1")], [state("b")])
    place = data.draw(st.integers(0, len(good) - 1))
    change = data.draw(st.integers(1, 255))
    bad = good[:place] + bytes([good[place] ^ change]) + good[place + 1 :]
    with pytest.raises(RecordDamaged):
        decode_rows(bad)
    with pytest.raises(RecordDamaged):
        decode_rows(good[:-1])


def test_a_record_of_another_kind_is_refused() -> None:
    keys, put, chunk = encode_rows(["k"], [record("a", "t0")], []).splitlines()
    assert decode_keys(keys) == ["k"]
    assert decode_chunk(chunk).text == "t0"
    for line in (keys, put):
        with pytest.raises(RecordDamaged):
            decode_chunk(line)
    with pytest.raises(RecordDamaged):
        decode_keys(chunk)


def test_tokens_are_equal_exactly_when_field_and_value_are() -> None:
    values: list[MetadataValue] = [
        1,
        2,
        True,
        False,
        "1",
        "True",
        "n1",
        1.5,
        -0.5,
        "",
        10**30,
        "1.0",
    ]
    tokens = [metadata_token(name, value) for name in ("a", "a1", "") for value in values]
    assert len(tokens) == len(set(tokens))
    assert metadata_token("a", 1) == metadata_token("a", 1.0)
    assert metadata_token("a", 10**15) == metadata_token("a", 1e15)
    assert metadata_token("a", 0) == metadata_token("a", -0.0)


@given(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5)), st.data())
def test_any_changed_byte_of_a_sealed_file_is_found(
    content: dict[str, int | str], data: st.DataObject
) -> None:
    content.pop("sha256", None)
    good = seal(content)
    assert content == unseal(good, Path("file"))
    place = data.draw(st.integers(0, len(good) - 1))
    change = data.draw(st.integers(1, 255))
    bad = good[:place] + bytes([good[place] ^ change]) + good[place + 1 :]
    for wrong in (bad, good[:-1], good + b" ", b""):
        with pytest.raises(IndexDamaged, match="'file' is damaged"):
            unseal(wrong, Path("file"))
