"""Activities of the `-gpu` queue: the model."""

from __future__ import annotations

from temporalio import activity

from durable_ingest.errors import IndexMissing, InvalidInput
from durable_ingest.models import EmbedderInfo
from durable_ingest.pipeline.batches import VECTORS, dump_embedded, load_prepared
from durable_ingest.pipeline.embedding import EmbeddingStage, KnownVectors
from durable_ingest.pipeline.resources import Resources
from durable_ingest.ports import ArtifactStore
from durable_ingest.temporal.activities.boundary import Pulse, at_boundary, in_thread
from durable_ingest.temporal.contracts import DescribeInput, EmbeddedRef, EmbedInput
from durable_ingest.temporal.names import DESCRIBE, EMBED


class EmbeddingActivities:
    """Describes embedders and computes vectors."""

    def __init__(self, resources: Resources, artifacts: ArtifactStore) -> None:
        self._resources = resources
        self._artifacts = artifacts

    @activity.defn(name=DESCRIBE)
    @at_boundary
    async def describe_embedder(self, job: DescribeInput) -> EmbedderInfo:
        """Say model, dimension and limits; put the tokenizer where other workers find it."""
        return await in_thread(self._describe, job)

    def _describe(self, job: DescribeInput, _: Pulse) -> EmbedderInfo:
        embedder = self._resources.embedder(job.embedder)
        info = embedder.describe()
        tokenizer = embedder.tokenizer_json()
        if tokenizer is None:
            return info
        ref = self._artifacts.put(tokenizer, media_type="application/json")
        return info.model_copy(update={"tokenizer": ref})

    @activity.defn(name=EMBED)
    @at_boundary
    async def embed_batch(self, job: EmbedInput) -> EmbeddedRef:
        """Compute the vectors of a batch."""
        return await in_thread(self._embed, job)

    def _embed(self, job: EmbedInput, heart: Pulse) -> EmbeddedRef:
        prepared = load_prepared(self._artifacts.get(job.batch))
        stage = EmbeddingStage(
            self._resources.embedder(job.embedder),
            job.embedder.prompt,
            self._known(job),
            self._resources.vector_cache(),
        )
        batch = stage.embed(prepared, tick=heart.tick)
        ref = self._artifacts.put(dump_embedded(batch), media_type=VECTORS)
        return EmbeddedRef(batch=ref, embedded=batch.embedded, reused=batch.reused)

    def _known(self, job: EmbedInput) -> KnownVectors:
        # An index that does not exist yet, or not on this machine, has nothing to reuse; a
        # collection has no place at all on a machine without an index root.
        try:
            return self._resources.store(job.index).known_vectors
        except (IndexMissing, InvalidInput):
            return lambda _: {}
