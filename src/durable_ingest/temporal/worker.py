"""Workers: one per queue, one object to run them all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

from temporalio.client import Client
from temporalio.worker import Worker

from durable_ingest.artifacts.local import LocalArtifacts
from durable_ingest.errors import InvalidInput
from durable_ingest.pipeline.resources import Resources
from durable_ingest.ports import ArtifactStore
from durable_ingest.settings import WorkerSettings
from durable_ingest.temporal.activities.embedding import EmbeddingActivities
from durable_ingest.temporal.activities.indexing import IndexingActivities
from durable_ingest.temporal.activities.preparing import PreparingActivities
from durable_ingest.temporal.activities.reading import ReadingActivities
from durable_ingest.temporal.definitions import WORKFLOWS, with_passthrough
from durable_ingest.temporal.names import TASK_QUEUE, Role, queue_of

GRACE = timedelta(seconds=20)
"""How long running activities may finish when a worker is told to stop."""

SLOTS: dict[Role, int] = {
    Role.IO: 8,
    Role.CPU: 2,
    # One model, one batch: more would share the same cores or device.
    Role.GPU: 1,
    # One writer per index.
    Role.INDEX: 1,
}
"""Activities of a role that one worker runs at once."""


class IngestWorker:
    """The workers of one process; run it, or use it as an asynchronous context manager."""

    def __init__(self, workers: Sequence[Worker], resources: Resources) -> None:
        self._workers = workers
        self._resources = resources

    async def run(self) -> None:
        """Work until `shutdown`; a worker that fails stops the others and raises."""
        tasks = [asyncio.create_task(worker.run()) for worker in self._workers]
        try:
            await asyncio.gather(*tasks)
        finally:
            await self.shutdown()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.to_thread(self._resources.close)

    async def shutdown(self) -> None:
        """Take no more work; let running activities finish, or cancel them after the grace time."""
        await asyncio.gather(
            *(worker.shutdown() for worker in self._workers if worker.is_running),
        )

    async def __aenter__(self) -> Self:
        for worker in self._workers:
            await worker.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await asyncio.gather(*(worker.__aexit__(kind, error, trace) for worker in self._workers))
        await asyncio.to_thread(self._resources.close)


def activities_of(
    role: Role, resources: Resources, artifacts: ArtifactStore
) -> list[Callable[..., Any]]:
    """The activity methods of a role, bound to their resources."""
    if role is Role.IO:
        reading = ReadingActivities(resources, artifacts)
        return [reading.discover_documents, reading.fetch_batch]
    if role is Role.CPU:
        return [PreparingActivities(resources, artifacts).prepare_batch]
    if role is Role.GPU:
        embedding = EmbeddingActivities(resources, artifacts)
        return [embedding.describe_embedder, embedding.embed_batch]
    if role is Role.INDEX:
        indexing = IndexingActivities(resources, artifacts)
        return [indexing.plan_batches, indexing.commit_batch, indexing.finish_run]
    return []


def default_activities(role: Role, settings: WorkerSettings) -> list[Callable[..., Any]]:
    """The activities of a role with resources of their own, for `DurableIngestPlugin`."""
    return activities_of(role, Resources(settings), artifacts_of(settings))


def artifacts_of(settings: WorkerSettings) -> ArtifactStore:
    """The artifact store that the settings name.

    Raises:
        InvalidInput: They name none.
    """
    if settings.artifacts is None:
        raise InvalidInput(
            "the worker has no place for artifacts: set DURABLE_INGEST_ARTIFACTS to a folder "
            "that all workers of a job share"
        )
    return LocalArtifacts(settings.artifacts)


def build_worker(
    client: Client,
    settings: WorkerSettings,
    *,
    roles: Sequence[Role] = tuple(Role),
    indexes: Sequence[str] = (),
    task_queue: str = TASK_QUEUE,
    artifacts: ArtifactStore | None = None,
) -> IngestWorker:
    """Build the workers of some roles.

    Args:
        client: Connected with `DurableIngestPlugin`, which adds the workflows.
        settings: Roots, limits and places.
        roles: What this process does; all by default.
        indexes: Addresses of the indexes it writes to, for the role `index`.
        task_queue: Base name of the queues.
        artifacts: Where artifacts are; default: the folder `settings.artifacts`.

    Raises:
        InvalidInput: A role lacks what it needs.
    """
    if artifacts is None:
        artifacts = artifacts_of(settings)
    if Role.INDEX in roles and not indexes:
        raise InvalidInput("the role 'index' needs at least one index to write to")
    resources = Resources(settings)
    workers: list[Worker] = []
    for role in roles:
        if role is Role.WORKFLOWS:
            workers.append(
                Worker(
                    client,
                    task_queue=queue_of(task_queue, role),
                    # The client's plugin adds them too if its base queue is this one.
                    workflows=WORKFLOWS,
                    workflow_runner=with_passthrough(None),
                    graceful_shutdown_timeout=GRACE,
                )
            )
            continue
        queues = (
            [queue_of(task_queue, role, uri) for uri in indexes]
            if role is Role.INDEX
            else [queue_of(task_queue, role)]
        )
        workers += [
            Worker(
                client,
                task_queue=queue,
                activities=activities_of(role, resources, artifacts),
                max_concurrent_activities=SLOTS.get(role),
                graceful_shutdown_timeout=GRACE,
            )
            for queue in queues
        ]
    return IngestWorker(workers, resources)
