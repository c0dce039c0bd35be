"""Stage 5: chunks to vectors, computing only those that nobody has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from durable_ingest.errors import TransientError
from durable_ingest.models import ChunkRow
from durable_ingest.pipeline.batches import EmbeddedBatch, PreparedBatch, distinct
from durable_ingest.pipeline.recipe import embedding_input
from durable_ingest.pipeline.vector_cache import VectorCache
from durable_ingest.ports import Embedder, Tick

if TYPE_CHECKING:
    from numpy.typing import NDArray

KnownVectors = Callable[[Sequence[str]], Mapping[str, "NDArray[np.float32]"]]
"""Looks up vectors by key; keys that are not known are left out."""

GROUP = 128
"""Texts per call of the embedder: what is lost at most when a worker is killed."""


@dataclass(frozen=True, slots=True)
class EmbeddingStage:
    """Embeds batches of chunks.

    Attributes:
        embedder: Computes vectors.
        prompt: Put before each passage.
        known: Vectors that the index holds already.
        cache: Keeps computed vectors across retries and runs, None for no cache.
    """

    embedder: Embedder
    prompt: str
    known: KnownVectors
    cache: VectorCache | None = None

    def embed(self, batch: PreparedBatch, *, tick: Tick | None = None) -> EmbeddedBatch:
        """Return one vector per distinct key of the batch.

        Each group of computed vectors goes to the cache at once, so that a retry after a crash
        computes at most one group again.
        """
        rows = [row for record in batch.records for row in record.chunks]
        first: dict[str, ChunkRow] = {}
        for row in rows:
            first.setdefault(row.vector_key, row)
        keys = distinct([row.vector_key for row in rows])
        have: dict[str, NDArray[np.float32]] = dict(self.known(keys))
        missing = [key for key in keys if key not in have]
        if self.cache is not None:
            have.update(self.cache.get(missing))
            missing = [key for key in missing if key not in have]
        # Longest first within the batch: groups then hold texts of like length, little padding.
        order = sorted(missing, key=lambda key: -len(first[key].text))
        for begin in range(0, len(order), GROUP):
            group = order[begin : begin + GROUP]
            vectors = self.embedder.embed(
                [embedding_input(self.prompt, first[k].context, first[k].text) for k in group],
                tick=None if tick is None else _shifted(tick, begin),
            )
            if len(vectors) != len(group):
                raise TransientError(
                    f"the embedder returned {len(vectors)} vectors for {len(group)} texts"
                )
            fresh = dict(zip(group, vectors, strict=True))
            if self.cache is not None:
                self.cache.put(fresh)
            have.update(fresh)
        dimension = self.embedder.describe().dimension
        matrix = np.empty((len(keys), dimension), dtype=np.float32)
        for position, key in enumerate(keys):
            matrix[position] = have[key]
        return EmbeddedBatch(keys, matrix, embedded=len(order), reused=len(rows) - len(order))


def _shifted(tick: Tick, offset: int) -> Tick:
    return lambda done: tick(offset + done)
