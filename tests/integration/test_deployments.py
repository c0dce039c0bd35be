"""Ways to run it other than `build_worker` on one queue: own workers, long histories, profiles."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from durable_ingest.devserver import Executable
from durable_ingest.errors import InvalidInput, ServerUnavailable
from durable_ingest.ids import file_uri
from durable_ingest.models import (
    ChunkerSpec,
    EmbedderSpec,
    IndexSpec,
    IngestRequest,
    Progress,
    SourceSpec,
)
from durable_ingest.plugin import DurableIngestPlugin
from durable_ingest.settings import WorkerSettings
from durable_ingest.temporal.client import connect, start_ingest
from durable_ingest.temporal.names import PAUSE, PROGRESS, RESUME, Role, queue_of
from durable_ingest.temporal.worker import build_worker


def request_for(folder: Path, index: Path, **fields: object) -> IngestRequest:
    """A job over a folder with the test embedder."""
    given: dict[str, object] = {
        "sources": [SourceSpec(uri=file_uri(folder))],
        "index": IndexSpec(uri=file_uri(index)),
        "embedder": EmbedderSpec(kind="hashing", model="hashing", dimension=64),
        "chunker": ChunkerSpec(size=200, length="characters"),
        "bulk_size": 1,
        **fields,
    }
    return IngestRequest.model_validate(given)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def impatient(executable: Executable) -> AsyncIterator[Client]:
    """A server that suggests to continue as new after 40 events."""
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(executable.path),
        dev_server_extra_args=[
            "--dynamic-config-value",
            "limit.historyCount.suggestContinueAsNew=40",
        ],
        plugins=[DurableIngestPlugin()],
    ) as environment:
        yield environment.client


async def test_a_long_run_continues_as_new_and_loses_nothing(
    impatient: Client, documents: Path, tmp_path: Path
) -> None:
    request = request_for(documents, tmp_path / "index", window=1)
    settings = WorkerSettings(allowed_roots=(tmp_path,), artifacts=tmp_path / "artifacts")
    async with build_worker(impatient, settings, indexes=[request.index.uri]):
        handle, _ = await start_ingest(impatient, request)
        # A pause must survive the change of runs, and so must what was counted before it.
        while (await handle.query(PROGRESS, result_type=Progress)).batches_done < 1:
            await asyncio.sleep(0.01)
        await handle.signal(PAUSE)
        await asyncio.sleep(0.3)
        held = await handle.query(PROGRESS, result_type=Progress)
        await handle.execute_update(RESUME, result_type=Progress)
        report = await handle.result()
        runs = [run async for run in impatient.list_workflows(f"WorkflowId = '{handle.id}'")]
    assert "paused" == held.status
    assert len(runs) > 1
    assert 5 == report.counts.added == report.counts.documents
    assert report.counts.add_up()
    assert 5 == report.head


async def test_workers_made_by_hand_get_their_part_from_the_queue(
    environment: WorkflowEnvironment, documents: Path, tmp_path: Path
) -> None:
    queue = f"queue-{uuid4().hex[:12]}"
    settings = WorkerSettings(allowed_roots=(tmp_path,), artifacts=tmp_path / "artifacts")
    host = environment.client.service_client.config.target_host
    client = await connect(
        target_host=host, plugins=[DurableIngestPlugin(task_queue=queue, settings=settings)]
    )
    request = request_for(documents, tmp_path / "index")
    async with AsyncExitStack() as running:
        for role in Role:
            name = queue_of(queue, role, request.index.uri)
            await running.enter_async_context(Worker(client, task_queue=name))
        handle, _ = await start_ingest(client, request, task_queue=queue)
        report = await handle.result()
    assert 5 == report.counts.added


async def test_an_unreachable_server_is_said_in_seconds(unused_tcp_port: int) -> None:
    began = asyncio.get_running_loop().time()
    with pytest.raises(ServerUnavailable, match="cannot connect to Temporal at"):
        await connect(target_host=f"127.0.0.1:{unused_tcp_port}", plugins=[DurableIngestPlugin()])
    assert asyncio.get_running_loop().time() - began < 10


async def test_a_worker_without_a_place_for_artifacts_says_so(client: Client) -> None:
    with pytest.raises(InvalidInput, match="DURABLE_INGEST_ARTIFACTS"):
        build_worker(client, WorkerSettings(), indexes=["file:///i"])
    with pytest.raises(InvalidInput, match="at least one index"):
        build_worker(client, WorkerSettings(artifacts=Path("/nowhere")))
