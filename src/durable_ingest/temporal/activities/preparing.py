"""Activity of the `-cpu` queue: bytes to chunks."""

from __future__ import annotations

from temporalio import activity

from durable_ingest.pipeline.batches import JSON_LINES, dump_prepared, load_fetched
from durable_ingest.pipeline.preparing import Preparer
from durable_ingest.pipeline.recipe import Recipe
from durable_ingest.pipeline.resources import Resources
from durable_ingest.ports import ArtifactStore
from durable_ingest.temporal.activities.boundary import Pulse, at_boundary, in_thread
from durable_ingest.temporal.contracts import PreparedRef, PrepareInput, RecipeSpec
from durable_ingest.temporal.names import PREPARE


def recipe_of(resources: Resources, artifacts: ArtifactStore, spec: RecipeSpec) -> Recipe:
    """The recipe of a job, with the tokenizer that the embedding worker put into an artifact."""
    stored = spec.info.tokenizer
    tokenizer = None if stored is None else artifacts.get(stored)
    return resources.recipe(spec.chunker, spec.embedder, spec.info, tokenizer)


class PreparingActivities:
    """Converts and cuts documents."""

    def __init__(self, resources: Resources, artifacts: ArtifactStore) -> None:
        self._resources = resources
        self._artifacts = artifacts

    @activity.defn(name=PREPARE)
    @at_boundary
    async def prepare_batch(self, job: PrepareInput) -> PreparedRef:
        """Convert and cut a batch."""
        return await in_thread(self._prepare, job)

    def _prepare(self, job: PrepareInput, heart: Pulse) -> PreparedRef:
        spec = RecipeSpec.model_validate_json(self._artifacts.get(job.recipe))
        recipe = recipe_of(self._resources, self._artifacts, spec)
        fetched = load_fetched(self._artifacts.get(job.batch))
        prepared = Preparer(recipe).prepare(fetched, tick=heart.tick)
        return PreparedRef(
            batch=self._artifacts.put(dump_prepared(prepared), media_type=JSON_LINES),
            documents=len(prepared.records),
            chunks=sum(len(record.chunks) for record in prepared.records),
        )
