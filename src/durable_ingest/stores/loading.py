"""Vectors on their way from segments into memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from durable_ingest.stores.lookup import Lookup
from durable_ingest.stores.queries import VectorPlace, find_vectors, vectors_changed_after
from durable_ingest.stores.segments import Segments
from durable_ingest.stores.vectors import VectorIndex


def read_vectors(
    lookup: Lookup, segments: Segments, keys: Sequence[str]
) -> dict[str, NDArray[np.float32]]:
    """Vectors of those keys that are stored.

    Raises:
        IndexDamaged: A segment is not what was written.
    """
    out: dict[str, NDArray[np.float32]] = {}
    for segment, places in _by_segment(find_vectors(lookup, dict.fromkeys(keys))).items():
        matrix = segments.vectors(segment, [each.place for each in places])
        for each, row in zip(places, matrix, strict=True):
            out[each.key] = row.copy()
    return out


def update_index(index: VectorIndex, lookup: Lookup, segments: Segments) -> None:
    """Bring the vectors in memory to the commit that the lookups show.

    Reads only what changed since the commit that the index shows.

    Raises:
        IndexDamaged: A segment is not what was written; the index is half-updated then.
    """
    sequence = lookup.standing().sequence
    if sequence == index.sequence:
        return
    changed = vectors_changed_after(lookup, index.sequence)
    index.remove([each.number for each in changed if not each.refs])
    live = (each for each in changed if each.refs)
    for segment, places in _by_segment(live).items():
        matrix = segments.vectors(segment, [each.place for each in places])
        index.add([each.number for each in places], matrix)
    index.sequence = sequence


def _by_segment(places: Iterable[VectorPlace]) -> dict[str, list[VectorPlace]]:
    out: dict[str, list[VectorPlace]] = {}
    for each in places:
        out.setdefault(each.segment, []).append(each)
    return out
