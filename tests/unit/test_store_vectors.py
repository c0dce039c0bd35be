"""Vectors in memory: exact, whatever was added and removed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from durable_ingest.stores import vectors as module
from durable_ingest.stores.vectors import VectorIndex

DIMENSION = 8


def rows(count: int, seed: int = 0) -> NDArray[np.float32]:
    found = np.random.default_rng(seed).standard_normal((count, DIMENSION))
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    return found.astype(np.float32)


QUERY = rows(1, seed=99)[0].astype(np.float64)


def exact(live: dict[int, NDArray[np.float32]]) -> list[tuple[float, int]]:
    return sorted(((float(row @ QUERY), number) for number, row in live.items()), reverse=True)


@settings(max_examples=40)
@given(
    steps=st.lists(
        st.tuples(st.lists(st.integers(1, 80), max_size=30), st.lists(st.integers(1, 80))),
        min_size=1,
        max_size=6,
    ),
    limit=st.integers(1, 90),
)
def test_the_nearest_are_those_of_an_exhaustive_comparison(
    steps: list[tuple[list[int], list[int]]], limit: int
) -> None:
    stored = rows(81)
    index = VectorIndex(DIMENSION)
    live: dict[int, NDArray[np.float32]] = {}
    for added, removed in steps:
        index.add(sorted(set(added)), stored[sorted(set(added))])
        index.remove(removed)
        live |= {number: stored[number] for number in added}
        for number in removed:
            live.pop(number, None)
        assert len(live) == len(index)
        found = index.nearest(QUERY, limit)
        expected = exact(live)
        assert {number for _, number in expected[:limit]} == set(found.scores)
        assert [each[0] for each in expected[:limit]] == pytest.approx(
            sorted(found.scores.values(), reverse=True), abs=1e-6
        )
        assert all(score <= found.floor for score, _ in expected[limit:])
        if limit >= len(live):
            assert found.floor == -np.inf
        allowed = list(range(1, 40))
        some = index.nearest(QUERY, limit, allowed)
        assert {number for number in live if number < 40} == set(some.scores)


def test_many_allowed_vectors_are_searched_by_faiss_and_give_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stored = rows(500)
    index = VectorIndex(DIMENSION)
    index.add(range(500), stored)
    index.remove(range(0, 500, 7))
    allowed = list(range(0, 500, 2))
    direct = index.nearest(QUERY, 5, allowed)
    monkeypatch.setattr(module, "_FEW", 0)
    found = index.nearest(QUERY, 5, allowed)
    best = sorted(direct.scores, key=direct.scores.__getitem__, reverse=True)
    assert {number: direct.scores[number] for number in best[:5]} == found.scores
    assert direct.scores[best[5]] <= found.floor


def test_dead_slots_are_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LEAST_DEAD", 10)
    stored = rows(100)
    index = VectorIndex(DIMENSION)
    for turn in range(20):
        index.add(range(100), stored)
        index.remove(range(turn, 100, 3))
        assert index._index.ntotal < 250
    live = {number: stored[number] for number in range(100) if (number - 19) % 3 or number < 19}
    found = index.nearest(QUERY, 200)
    assert {number: score for score, number in exact(live)} == pytest.approx(found.scores)


def test_equal_vectors_score_equally_wherever_they_lie() -> None:
    row = rows(1, seed=5)
    index = VectorIndex(DIMENSION)
    index.add(range(1003), np.repeat(row, 1003, axis=0))
    assert len(set(index.nearest(QUERY, 2000).scores.values())) == 1


def test_an_empty_index_finds_nothing() -> None:
    index = VectorIndex(DIMENSION)
    assert index.nearest(QUERY, 3).scores == {}
    assert index.nearest(QUERY, 3, [1, 2]).scores == {}
    index.remove([1, 5])
    index.add([], rows(0))
    assert len(index) == 0
