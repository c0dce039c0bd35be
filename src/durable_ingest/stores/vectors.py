"""Nearest vectors, exactly, by FAISS.

The index lives in memory and is filled from the segments. It is never written to disk: a flat
index file would be a second copy of the segments, without a checksum.

FAISS finds candidates; their scores are then computed again in double precision, one row at a
time, so that equal vectors have equal scores wherever they lie.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from durable_ingest._optional import require

_FEW = 4096  # vectors that are scored directly, without FAISS
_LEAST_DEAD = 1024
_DEAD_SHARE = 4  # rebuilt when a quarter of the slots is dead
_FLOAT_ERROR = 1.2e-7


@dataclass(frozen=True, slots=True)
class Nearest:
    """Vectors nearest to a query.

    Attributes:
        scores: Exact score by vector number.
        floor: No other vector scores higher; minus infinity when there are no others.
    """

    scores: dict[int, float]
    floor: float


class VectorIndex:
    """Live vectors by number.

    Removed vectors leave dead slots, which searches pass over; when a quarter is dead the index
    is made anew, so that a removal costs no more than its share.

    Args:
        dimension: Length of every vector.

    Attributes:
        sequence: The commit that it shows.

    Raises:
        MissingExtra: FAISS is not installed.
    """

    def __init__(self, dimension: int) -> None:
        self._faiss: Any = require("faiss", extra="local", distribution="faiss-cpu")
        self._dimension = dimension
        self._index: Any = self._faiss.IndexFlatIP(dimension)
        self._numbers = np.empty(0, dtype=np.int64)  # vector number by slot
        self._live = np.empty(0, dtype=bool)  # by slot
        self._slots = np.empty(0, dtype=np.int64)  # slot by vector number, -1 when dead
        self._dead = 0
        self.sequence = 0

    def __len__(self) -> int:
        return int(self._index.ntotal) - self._dead

    def add(self, numbers: Sequence[int], vectors: NDArray[np.float32]) -> None:
        """Add vectors, each number once; one that is there already keeps its vector."""
        wanted = np.asarray(numbers, dtype=np.int64)
        if not wanted.size:
            return
        self._reach(int(wanted.max()))
        fresh = self._slots[wanted] < 0
        wanted, vectors = wanted[fresh], np.ascontiguousarray(vectors[fresh])
        begin = int(self._index.ntotal)
        self._index.add(vectors)
        end = begin + len(wanted)
        self._numbers = _grown(self._numbers, end, 0)
        self._live = _grown(self._live, end, fill=False)
        self._numbers[begin:end] = wanted
        self._live[begin:end] = True
        self._slots[wanted] = np.arange(begin, end)

    def remove(self, numbers: Sequence[int]) -> None:
        """Remove vectors; numbers that are not there are ignored."""
        wanted = np.unique(np.asarray(numbers, dtype=np.int64))
        wanted = wanted[wanted < len(self._slots)]
        slots = self._slots[wanted]
        slots = slots[slots >= 0]
        self._live[slots] = False
        self._slots[wanted] = -1
        self._dead += len(slots)
        if self._dead > max(_LEAST_DEAD, self._index.ntotal // _DEAD_SHARE):
            self._rebuild()

    def nearest(
        self, query: NDArray[np.float64], limit: int, allowed: Sequence[int] | None = None
    ) -> Nearest:
        """The `limit` nearest vectors.

        Args:
            query: `(dimension,)`, of unit length.
            limit: Most vectors, 1 or more.
            allowed: Only these numbers; None for all.
        """
        total = int(self._index.ntotal)
        if allowed is not None:
            wanted = np.asarray(allowed, dtype=np.int64)
            wanted = wanted[wanted < len(self._slots)]
            slots = self._slots[wanted]
            slots = slots[slots >= 0]
            if len(slots) <= max(_FEW, limit):
                return Nearest(self._score(slots, query), -np.inf)
            chosen = np.zeros(total, dtype=bool)
            chosen[slots] = True
            available = len(slots)
        else:
            chosen, available = self._live[:total], len(self)
        if not available:
            return Nearest({}, -np.inf)
        slots, lowest = self._search(query, min(limit, available), chosen, available)
        if limit >= available:
            return Nearest(self._score(slots, query), -np.inf)
        return Nearest(self._score(slots, query), lowest + self._dimension * _FLOAT_ERROR)

    def _search(
        self, query: NDArray[np.float64], limit: int, chosen: NDArray[np.bool_], available: int
    ) -> tuple[NDArray[np.int64], float]:
        row = np.ascontiguousarray(query, dtype=np.float32)[np.newaxis]
        if available == self._index.ntotal:
            scores, slots = self._index.search(row, limit)
        else:
            bitmap = np.packbits(chosen, bitorder="little")
            selector = self._faiss.IDSelectorBitmap(bitmap)
            parameters = self._faiss.SearchParameters(sel=selector)
            scores, slots = self._index.search(row, limit, params=parameters)
        return slots[0], float(scores[0, -1])

    def _score(self, slots: NDArray[np.int64], query: NDArray[np.float64]) -> dict[int, float]:
        if not len(slots):
            return {}
        rows = self._index.reconstruct_batch(slots).astype(np.float64)
        # Not a matrix product: BLAS sums in an order that depends on where a row lies.
        scores = np.clip((rows * query).sum(axis=1), -1.0, 1.0)
        return dict(zip(self._numbers[slots].tolist(), scores.tolist(), strict=True))

    def _reach(self, number: int) -> None:
        self._slots = _grown(self._slots, number + 1, -1)

    def _rebuild(self) -> None:
        total = int(self._index.ntotal)
        slots = np.flatnonzero(self._live[:total])
        index: Any = self._faiss.IndexFlatIP(self._dimension)
        for begin in range(0, len(slots), 1 << 16):
            index.add(self._index.reconstruct_batch(slots[begin : begin + (1 << 16)]))
        self._index = index
        self._numbers = self._numbers[slots]
        self._live = np.ones(len(slots), dtype=bool)
        self._slots.fill(-1)
        self._slots[self._numbers] = np.arange(len(slots))
        self._dead = 0


def _grown(array: NDArray[Any], length: int, fill: Any) -> NDArray[Any]:
    """The array with room for `length` elements, doubled so that growing is cheap."""
    if length <= len(array):
        return array
    out: NDArray[Any] = np.full(max(length, 2 * len(array), 1024), fill, dtype=array.dtype)
    out[: len(array)] = array
    return out
