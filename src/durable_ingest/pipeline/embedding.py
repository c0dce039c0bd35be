"""Stage 5: chunks to vectors, computing only those that nobody has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from durable_ingest.errors import EmbedderRejected, TransientError
from durable_ingest.models import ChunkRow
from durable_ingest.pipeline.batches import EmbeddedBatch, PreparedBatch, distinct
from durable_ingest.pipeline.recipe import embedding_input
from durable_ingest.pipeline.vector_cache import VectorCache
from durable_ingest.ports import Embedder, Tick

if TYPE_CHECKING:
    from numpy.typing import NDArray

Vector: TypeAlias = "NDArray[np.float32]"

KnownVectors = Callable[[Sequence[str]], Mapping[str, Vector]]
"""Looks up vectors by key; keys that are not known are left out."""

HARMLESS = "a"
"""A text that no service refuses for what it says."""

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

        Texts that the embedder refuses for good are left out and named. Each group of computed
        vectors goes to the cache at once, so that a retry after a crash computes at most one
        group again.
        """
        rows = [row for record in batch.records for row in record.chunks]
        first: dict[str, ChunkRow] = {}
        for row in rows:
            first.setdefault(row.vector_key, row)
        keys = distinct([row.vector_key for row in rows])
        rejected: dict[str, str] = {}
        have: dict[str, Vector] = dict(self.known(keys))
        missing = [key for key in keys if key not in have]
        if self.cache is not None:
            have.update(self.cache.get(missing))
            missing = [key for key in missing if key not in have]
        # Longest first within the batch: groups then hold texts of like length, little padding.
        order = sorted(missing, key=lambda key: -len(first[key].text))
        for begin in range(0, len(order), GROUP):
            group = order[begin : begin + GROUP]
            texts = {
                key: embedding_input(self.prompt, first[key].context, first[key].text)
                for key in group
            }
            shifted = None if tick is None else _shifted(tick, begin)
            try:
                fresh = self._group(texts, shifted)
            except EmbedderRejected as error:
                fresh, refused = self._one_by_one(texts, error, shifted)
                rejected.update(refused)
            if self.cache is not None:
                self.cache.put(fresh)
            have.update(fresh)
        keys = [key for key in keys if key not in rejected]
        dimension = self.embedder.describe().dimension
        matrix = np.empty((len(keys), dimension), dtype=np.float32)
        for position, key in enumerate(keys):
            matrix[position] = have[key]
        reused = sum(row.vector_key not in rejected for row in rows) - len(order) + len(rejected)
        return EmbeddedBatch(keys, matrix, len(order) - len(rejected), reused, rejected)

    def _group(self, texts: Mapping[str, str], tick: Tick | None) -> dict[str, Vector]:
        vectors = self.embedder.embed(list(texts.values()), tick=tick)
        if len(vectors) != len(texts):
            raise TransientError(
                f"the embedder returned {len(vectors)} vectors for {len(texts)} texts"
            )
        return dict(zip(texts, vectors, strict=True))

    def _one_by_one(
        self, texts: Mapping[str, str], refusal: EmbedderRejected, tick: Tick | None
    ) -> tuple[dict[str, Vector], dict[str, str]]:
        """Find out which texts a service refuses; one bad text must not stop all documents.

        Raises:
            EmbedderRejected: It refuses even a harmless text: the key or the model is wrong.
        """
        try:
            self.embedder.embed([HARMLESS])
        except EmbedderRejected:
            raise refusal from None
        fresh: dict[str, Vector] = {}
        refused: dict[str, str] = {}
        for done, (key, text) in enumerate(texts.items(), start=1):
            try:
                fresh |= self._group({key: text}, None)
            except EmbedderRejected as error:
                refused[key] = str(error)
            if tick is not None:
                tick(done)
        return fresh, refused


def _shifted(tick: Tick, offset: int) -> Tick:
    return lambda done: tick(offset + done)
