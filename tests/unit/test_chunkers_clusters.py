"""Borders asked for one by one are those of the whole text."""

from __future__ import annotations

import random
import time

from hypothesis import given, settings
from hypothesis import strategies as st

from durable_ingest._optional import require
from durable_ingest.chunkers.clusters import Clusters
from durable_ingest.conformance.chunker import documents

CLUSTER = require("regex", extra="local").compile(r"\X")
SIGNS = st.sampled_from(
    [
        *("a", " ", "\r", "\n", "\u0301", "\u200d", "\u0600", "\u0915", "\u094d", "\u093f"),
        *("\u1112", "\u1161", "\u11ab", "\ud55c", "\U0001f469", "\U0001f3fd", "\ufe0f"),
        *("\u20e3", "\U0001f1eb", "\ud800"),
    ]
)


@settings(deadline=None, max_examples=300)
@given(
    text=st.one_of(st.lists(SIGNS, max_size=80).map("".join), documents()), seed=st.integers(0, 99)
)
def test_borders_are_those_of_the_whole_text_in_any_order(text: str, seed: int) -> None:
    borders = [0, *(match.end() for match in CLUSTER.finditer(text))]
    clusters = Clusters(text)
    positions = list(range(len(text) + 1))
    random.Random(seed).shuffle(positions)
    for position in positions:
        assert max(b for b in borders if b <= position) == clusters.floor(position)
        assert min(b for b in borders if b >= position) == clusters.ceil(position)
        assert (position in borders) is clusters.is_border(position)


def test_a_text_of_flags_is_walked_in_linear_time() -> None:
    clusters = Clusters("\U0001f1eb" * 400_000)
    began = time.thread_time()
    assert all(clusters.floor(position) == position - 1 for position in range(999, 400_000, 1000))
    assert time.thread_time() - began < 5
