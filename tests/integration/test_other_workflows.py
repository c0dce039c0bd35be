"""The stages in other hands: a workflow of one's own, and our workflow over fake stages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from temporalio import activity, workflow
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.worker import Worker

from durable_ingest.ids import file_uri
from durable_ingest.models import (
    ArtifactRef,
    ChunkerSpec,
    Counts,
    EmbedderInfo,
    EmbedderSpec,
    IndexSpec,
    IngestReport,
    IngestRequest,
    SourceSpec,
)
from durable_ingest.pipeline.index import Index
from durable_ingest.pipeline.run import ingest
from durable_ingest.settings import WorkerSettings
from durable_ingest.temporal import contracts, names
from durable_ingest.temporal.client import start_ingest
from durable_ingest.temporal.names import Role, queue_of
from durable_ingest.temporal.worker import build_worker

pytestmark = pytest.mark.server

HASHING = EmbedderSpec(kind="hashing", model="hashing", dimension=64)
CUT = ChunkerSpec(size=200, length="characters")
SOON = timedelta(seconds=30)


@pytest.fixture
def queue() -> str:
    """A base queue that no other test uses."""
    return f"queue-{uuid4().hex[:12]}"


def request_for(folder: Path, index: Path, **fields: Any) -> IngestRequest:
    """A job over a folder with the test embedder."""
    given = {
        "sources": [SourceSpec(uri=file_uri(folder))],
        "index": IndexSpec(uri=file_uri(index)),
        "embedder": HASHING,
        "chunker": CUT,
        "bulk_size": 2,
        **fields,
    }
    return IngestRequest.model_validate(given)


def contents(index: Path) -> dict[str, list[tuple[str, str]]]:
    """Every chunk by document."""
    with Index.open(index) as opened:
        return {
            state.document_id: [
                (row.chunk_id, row.text) for row in opened.chunks(state.document_id)
            ]
            for state in opened.documents()
        }


@workflow.defn(name="OneBatchAfterTheOther", sandboxed=False)
class OneBatchAfterTheOther:
    """A user's workflow over our stages, with timeouts and retries of its own."""

    @workflow.run
    async def run(self, request: IngestRequest) -> int:
        """Ingest; returns how many documents were added."""
        describing = workflow.start_activity(
            contracts.describe_embedder,
            contracts.DescribeInput(embedder=request.embedder),
            task_queue=self._queue(request, Role.GPU),
            start_to_close_timeout=SOON,
        )
        discovering = workflow.start_activity(
            contracts.discover_documents,
            contracts.DiscoverInput(request=request),
            task_queue=self._queue(request, Role.IO),
            start_to_close_timeout=SOON,
            retry_policy=RetryPolicy(maximum_attempts=2),
        )
        embedder, discovered = await describing, await discovering
        planned = await workflow.execute_activity(
            contracts.plan_batches,
            contracts.PlanInput(request=request, embedder=embedder, discovered=discovered),
            task_queue=self._queue(request, Role.INDEX),
            start_to_close_timeout=SOON,
        )
        added = 0
        for number in range(planned.batches):
            added += await self._batch(request, embedder, planned, number)
        return added

    async def _batch(
        self,
        request: IngestRequest,
        embedder: EmbedderInfo,
        planned: contracts.Planned,
        number: int,
    ) -> int:
        fetched = await workflow.execute_activity(
            contracts.fetch_batch,
            contracts.FetchInput(
                manifest=planned.manifest,
                batch=number,
                fingerprint=planned.fingerprint,
                max_document_bytes=request.max_document_bytes,
                final=True,
            ),
            task_queue=self._queue(request, Role.IO),
            start_to_close_timeout=SOON,
        )
        prepared = await workflow.execute_activity(
            contracts.prepare_batch,
            contracts.PrepareInput(
                batch=fetched.batch,
                recipe=planned.recipe,
            ),
            task_queue=self._queue(request, Role.CPU),
            start_to_close_timeout=SOON,
        )
        embedded = await workflow.execute_activity(
            contracts.embed_batch,
            contracts.EmbedInput(
                batch=prepared.batch, index=request.index, embedder=request.embedder
            ),
            task_queue=self._queue(request, Role.GPU),
            start_to_close_timeout=SOON,
        )
        committed = await workflow.execute_activity(
            contracts.commit_batch,
            contracts.CommitInput(
                index=request.index,
                embedder=embedder.fingerprint,
                prepared=prepared.batch,
                embedded=embedded.batch,
                first_run_id=workflow.info().first_execution_run_id,
                ordinal=number,
            ),
            task_queue=self._queue(request, Role.INDEX),
            start_to_close_timeout=SOON,
        )
        return committed.counts.added

    def _queue(self, request: IngestRequest, role: Role) -> str:
        return queue_of(workflow.info().task_queue, role, request.index.uri)


async def test_any_workflow_may_call_the_stages(
    client: Client, queue: str, documents: Path, tmp_path: Path
) -> None:
    """Parity: S0-17, S4-09."""
    request = request_for(documents, tmp_path / "index")
    settings = WorkerSettings(allowed_roots=(tmp_path,), artifacts=tmp_path / "artifacts")
    stages = tuple(role for role in Role if role is not Role.WORKFLOWS)
    async with (
        build_worker(client, settings, roles=stages, indexes=[request.index.uri], task_queue=queue),
        Worker(client, task_queue=queue, workflows=[OneBatchAfterTheOther]),
    ):
        added = await client.execute_workflow(
            OneBatchAfterTheOther.run, request, id=f"own-{queue}", task_queue=queue
        )
    assert 5 == added
    await asyncio.to_thread(
        ingest, documents, index=tmp_path / "plain", embedder=HASHING, chunker=CUT
    )
    assert contents(tmp_path / "plain") == contents(tmp_path / "index")


@workflow.defn(name="PatientDescription", sandboxed=False)
class PatientDescription:
    """A user's workflow that asks one stage, with the retry policy that it is given."""

    @workflow.run
    async def run(self, policy: RetryPolicy) -> float:
        """Describe an embedder; returns how many seconds that took."""
        began = workflow.now()
        await workflow.execute_activity(
            contracts.describe_embedder,
            contracts.DescribeInput(embedder=HASHING),
            start_to_close_timeout=timedelta(seconds=5),
            heartbeat_timeout=timedelta(seconds=1),
            retry_policy=policy,
        )
        return (workflow.now() - began).total_seconds()


async def test_a_retry_policy_of_ones_own_is_kept(client: Client, queue: str) -> None:
    """Parity: S4-10."""
    policy = RetryPolicy(
        initial_interval=timedelta(seconds=15),
        backoff_coefficient=2.0,
        maximum_interval=timedelta(seconds=160),
        maximum_attempts=100,
    )
    attempts: list[int] = []

    @activity.defn(name=names.DESCRIBE)
    async def describe(_: contracts.DescribeInput) -> EmbedderInfo:
        attempts.append(activity.info().attempt)
        if len(attempts) < 7:
            raise ApplicationError("not yet")
        return EmbedderInfo(fingerprint="f", model="hashing", dimension=64)

    async with Worker(
        client, task_queue=queue, workflows=[PatientDescription], activities=[describe]
    ):
        seconds = await client.execute_workflow(
            PatientDescription.run, policy, id=f"patient-{queue}", task_queue=queue
        )
    assert list(range(1, 8)) == attempts
    waits = 15 + 30 + 60 + 120 + 160 + 160
    assert waits <= seconds < waits + 60


# --- our workflow over fake stages --------------------------------------------------------------

REF = ArtifactRef(sha256="0" * 64, size=0)
ONE = Counts(documents=1, added=1, chunks=1, embedded=1)


class FakeStages:
    """Two batches of one document each; commits fail as told."""

    def __init__(self, *failures: Exception) -> None:
        self._failures = list(failures)
        self.committed: list[int] = []

    @activity.defn(name=names.DESCRIBE)
    async def describe(self, _: contracts.DescribeInput) -> EmbedderInfo:
        return EmbedderInfo(fingerprint="f", model="hashing", dimension=64)

    @activity.defn(name=names.DISCOVER)
    async def discover(self, _: contracts.DiscoverInput) -> contracts.Discovered:
        return contracts.Discovered(pages=REF, documents=2)

    @activity.defn(name=names.PLAN)
    async def plan(self, _: contracts.PlanInput) -> contracts.Planned:
        return contracts.Planned(manifest=REF, recipe=REF, fingerprint="f", batches=2)

    @activity.defn(name=names.FETCH)
    async def fetch(self, _: contracts.FetchInput) -> contracts.FetchedRef:
        return contracts.FetchedRef(batch=REF, documents=1)

    @activity.defn(name=names.PREPARE)
    async def prepare(self, _: contracts.PrepareInput) -> contracts.PreparedRef:
        return contracts.PreparedRef(batch=REF, documents=1, chunks=1)

    @activity.defn(name=names.EMBED)
    async def embed(self, _: contracts.EmbedInput) -> contracts.EmbeddedRef:
        return contracts.EmbeddedRef(batch=REF, embedded=1)

    @activity.defn(name=names.COMMIT)
    async def commit(self, job: contracts.CommitInput) -> contracts.Committed:
        if self._failures:
            raise self._failures.pop(0)
        self.committed.append(job.ordinal)
        return contracts.Committed(counts=ONE, head=len(self.committed))

    @activity.defn(name=names.FINISH)
    async def finish(self, job: contracts.FinishInput) -> IngestReport:
        return IngestReport(counts=job.counts, started_at=job.started_at)


async def run_over(
    client: Client, queue: str, stages: FakeStages, request: IngestRequest
) -> IngestReport:
    """Run `IngestDocuments` with fake stages on every queue."""
    registered: list[Callable[..., Any]] = [
        *(stages.describe, stages.discover, stages.plan, stages.fetch),
        *(stages.prepare, stages.embed, stages.commit, stages.finish),
    ]
    settings = WorkerSettings(artifacts=Path("unused"))
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(
            build_worker(client, settings, roles=[Role.WORKFLOWS], task_queue=queue)
        )
        for role in (Role.IO, Role.CPU, Role.GPU, Role.INDEX):
            name = queue_of(queue, role, request.index.uri)
            await stack.enter_async_context(Worker(client, task_queue=name, activities=registered))
        handle, _ = await start_ingest(client, request, task_queue=queue)
        return await asyncio.wait_for(handle.result(), 60)


async def test_the_workflow_alone_waits_hours_for_a_stage_in_no_time(
    client: Client, queue: str, tmp_path: Path
) -> None:
    """Parity: S4-12."""
    hours = [
        ApplicationError("the disk is full", next_retry_delay=timedelta(hours=hour))
        for hour in (1, 2, 3)
    ]
    stages = FakeStages(*hours)
    report = await run_over(client, queue, stages, request_for(tmp_path, tmp_path / "index"))
    assert [0, 1] == stages.committed
    assert 2 == report.counts.added
    assert report.seconds >= 6 * 3600


async def test_the_workflow_alone_ends_at_bad_input(
    client: Client, queue: str, tmp_path: Path
) -> None:
    """Parity: S4-12."""
    refusal = ApplicationError("no such model", type="InvalidInput", non_retryable=True)
    stages = FakeStages(refusal)
    with pytest.raises(WorkflowFailureError) as caught:
        await run_over(client, queue, stages, request_for(tmp_path, tmp_path / "index"))
    assert isinstance(caught.value.cause, ActivityError)
    assert isinstance(caught.value.cause.cause, ApplicationError)
    assert "InvalidInput" == caught.value.cause.cause.type
    assert [] == stages.committed
