"""Identities are frozen: a changed rule orphans every stored index."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_ingest.ids import (
    canonical_json,
    canonical_uri,
    chunk_ids,
    commit_id,
    digest,
    file_uri,
    path_of,
    sha256,
    vector_key,
    workflow_id,
)


@dataclass(frozen=True)
class Case:
    """A URI and its one spelling."""

    name: str
    given: str
    expected: str


CASES = [
    Case("scheme-and-host", "HTTP://Example.ORG/A", "http://example.org/A"),
    Case("default-port", "https://example.org:443/", "https://example.org/"),
    Case("other-port", "http://example.org:8080/", "http://example.org:8080/"),
    Case("empty-path", "http://example.org", "http://example.org/"),
    Case("fragment", "http://example.org/a#b", "http://example.org/a"),
    Case("dots", "http://example.org/a/./b/../c", "http://example.org/a/c"),
    Case("dots-at-root", "http://example.org/../a", "http://example.org/a"),
    Case("escapes", "http://example.org/%c3%a9", "http://example.org/%C3%A9"),
    Case("unicode-path", "http://example.org/é", "http://example.org/%C3%A9"),
    Case("idn", "http://bücher.example/", "http://xn--bcher-kva.example/"),
    Case("query-order-kept", "http://example.org/?b=1&a=2", "http://example.org/?b=1&a=2"),
    Case("ipv6", "http://[2001:DB8::1]:80/", "http://[2001:db8::1]/"),
    Case("trailing-dot", "http://example.org./", "http://example.org/"),
    Case("file", "file:///a/B%20c#x", "file:///a/B%20c"),
    Case("collection", "collection:brest", "collection:brest"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_an_address_has_one_spelling(case: Case) -> None:
    assert case.expected == canonical_uri(case.given)
    assert case.expected == canonical_uri(canonical_uri(case.given))


@given(st.text(alphabet=st.characters(exclude_characters="\0/", exclude_categories=["Cs"])))
def test_a_path_survives_its_uri(name: str) -> None:
    path = Path("/data") / name
    if ".." in path.parts:
        return
    assert path == path_of(file_uri(path))


def test_a_path_of_undecodable_bytes_survives_its_uri() -> None:
    path = Path("/data/\udcff\udce9.txt")
    assert path == path_of(file_uri(path))
    assert "file:///data/%FF%E9.txt" == file_uri(path)


def test_relative_and_dotted_paths_are_made_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert file_uri(tmp_path / "b") == file_uri(Path("a/../b"))


FROZEN: dict[str, str | list[str]] = {
    "digest": "3c9d591045bc8876f9d0399bbfb05c6a412096e906f73278f98406cd5dca86df",
    "vector": "36a04afe7256267c3957b2399852c4b5fe453105",
    "commit": "e747ebbf8f90294b7df6107b193ef6c48fa2fe4f",
    "workflow": "ingest-95fb34a8436c7bf441cd4e9a",
    "chunks": [
        "c7c6d96d9594b55434e1257ac3970b2154b36dd7",
        "3173beb2ceaee88fbb206126b3a9409c2807df31",
        "d1d224b9bb0d4bc95babe500aab6b891580e6e85",
    ],
    "json": "a44633ba036df25280e4fd9ef09da6f54dfe6d3611c755e31f993ab16f108f34",
}


def test_rules_are_frozen() -> None:
    assert digest("ab", "c") != digest("a", "bc")
    frozen = {
        "digest": digest("a", b"b"),
        "vector": vector_key("model", "prompt", "context", "text"),
        "commit": commit_id("run", 7, "inputs"),
        "workflow": workflow_id("file:///index"),
        "chunks": chunk_ids("file:///a", [("", "x"), ("", "x"), ("c", "x")]),
        "json": sha256(canonical_json({"b": [1, "é"], "a": None})),
    }
    assert FROZEN == frozen


@given(st.lists(st.tuples(st.text(max_size=3), st.text(max_size=3)), max_size=20))
def test_chunk_ids_are_distinct_and_stable_under_appending(contents: list[tuple[str, str]]) -> None:
    ids = chunk_ids("file:///a", contents)
    assert len(set(ids)) == len(ids)
    assert ids == chunk_ids("file:///a", [*contents, ("new", "chunk")])[: len(ids)]


def test_a_chunk_keeps_its_id_when_others_change_around_it() -> None:
    before = chunk_ids("file:///a", [("", "one"), ("", "two")])
    after = chunk_ids("file:///a", [("", "zero"), ("", "one"), ("", "two")])
    assert before == after[1:]


@given(st.recursive(st.none() | st.integers() | st.text(), lambda x: st.lists(x, max_size=3)))
def test_any_string_has_canonical_json(value: object) -> None:
    assert canonical_json(value) == canonical_json(value)


def test_the_prompt_context_and_model_are_part_of_a_vectors_name() -> None:
    base = vector_key("m", "p", "c", "t")
    others = [
        vector_key("M", "p", "c", "t"),
        vector_key("m", "P", "c", "t"),
        vector_key("m", "p", "C", "t"),
        vector_key("m", "p", "c", "T"),
        vector_key("m", "pc", "", "t"),
    ]
    assert base not in others
    assert len(set(others)) == len(others)
