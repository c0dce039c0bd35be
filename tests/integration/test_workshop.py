"""The ingestion workshop's workflows on a real server, with the original input and result."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from temporalio import activity
from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
)
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Replayer, Worker

from durable_ingest.artifacts.local import LocalArtifacts
from durable_ingest.ids import workflow_id
from durable_ingest.models import Progress
from durable_ingest.pipeline.index import Index
from durable_ingest.pipeline.resources import Resources
from durable_ingest.plugin import DurableIngestPlugin
from durable_ingest.settings import WorkerSettings
from durable_ingest.temporal.activities.indexing import IndexingActivities
from durable_ingest.temporal.contracts import CommitInput, Committed
from durable_ingest.temporal.names import (
    COMMIT,
    PROGRESS,
    WORKSHOP_WORKFLOW,
    WORKSHOP_WORKFLOW_CLASS,
    Role,
    queue_of,
)
from durable_ingest.temporal.worker import build_worker
from tests.support.embeddings import running_service

pytestmark = pytest.mark.server

COLLECTION = "collection:brest"
TRAM, BUS, GONE = (f"https://example.org/{name}" for name in ("tram", "bus", "gone"))
SENTENCE = "2 sources handled, 1 sources in error"

Working = Callable[..., AbstractAsyncContextManager[None]]


@pytest.fixture
def queue() -> str:
    """A base queue that no other test uses."""
    return f"queue-{uuid4().hex[:12]}"


@pytest.fixture
def settings(tmp_path: Path) -> WorkerSettings:
    """Workers that may read the test's folder and keep collections in it."""
    return WorkerSettings(
        allowed_roots=(tmp_path,),
        artifacts=tmp_path / "artifacts",
        index_root=tmp_path / "collections",
    )


@pytest.fixture
def working(client: Client, settings: WorkerSettings, queue: str) -> Working:
    """Runs workers of all roles, or of some, for the collection."""

    @asynccontextmanager
    async def run(roles: tuple[Role, ...] = tuple(Role)) -> AsyncIterator[None]:
        async with build_worker(
            client, settings, roles=roles, indexes=[COLLECTION], task_queue=queue
        ):
            yield

    return run


@pytest.fixture(autouse=True)
def _service(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with running_service() as address:
        monkeypatch.setenv("OPENAI_BASE_URL", address)
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        yield


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    """Two pages as a crawler stored them."""
    folder = tmp_path / "pages"
    folder.mkdir()
    for name in ("tram", "bus"):
        lines = [f"<p>The {name} number {n} leaves the station on time.</p>" for n in range(60)]
        (folder / f"{name}.html").write_text(
            f"<title>By {name}</title><nav>menu</nav><main><h1>{name}</h1>{''.join(lines)}</main>"
        )
    return folder


def original_input(pages: Path, *, stage: str = "CONVERTION", **configuration: Any) -> Any:
    """The workshop's input as JSON: three stored pages, one of which is not there."""
    sources = [
        {
            "uri": uri,
            "mime_type": "text/html",
            "raw_file_path": str(pages / f"{uri.rpartition('/')[2]}.html"),
            "current_stage": stage,
            "current_status": "DISCOVERED",
            "metadata": {"title": uri, "year": 2025, "public": True, "lines": ["A", 2]},
        }
        for uri in (TRAM, BUS, GONE)
    ]
    return {
        "sources": sources,
        "indexing_config": {
            "collection_name": "brest",
            "database_uri": "env:DATABASE_URI",
            "openai_embedding_model": "text-embedding-3-small",
            **configuration,
        },
        "recursive_chunking_config": {"chunk_size": 700, "chunk_overlap": 100},
    }


async def run_workshop(client: Client, queue: str, job: Any, name: str = WORKSHOP_WORKFLOW) -> str:
    """Run a workflow by its type name; returns its result."""
    result: str = await client.execute_workflow(
        name, job, id=f"workshop-{queue}", task_queue=queue, result_type=str
    )
    return result


def contents(index: Path) -> dict[str, list[tuple[str, str]]]:
    """Every chunk by document."""
    with Index.open(index) as opened:
        return {
            state.document_id: [
                (row.chunk_id, row.text) for row in opened.chunks(state.document_id)
            ]
            for state in opened.documents()
        }


@pytest.mark.parametrize("stage", ["CONVERTION", "CONVERSION"])
@pytest.mark.parametrize("name", [WORKSHOP_WORKFLOW, WORKSHOP_WORKFLOW_CLASS])
async def test_the_original_input_runs_under_both_names(
    client: Client, working: Working, queue: str, pages: Path, tmp_path: Path, name: str, stage: str
) -> None:
    """Parity: S0-02, S0-08, S0-09, S0-10, S0-13, S0-16, S0-18, S0-29."""
    async with working():
        assert SENTENCE == await run_workshop(
            client, queue, original_input(pages, stage=stage), name
        )
    found = contents(tmp_path / "collections" / "brest")
    assert {TRAM, BUS} == found.keys()
    sizes = [len(text) for rows in found.values() for _, text in rows]
    assert 350 < max(sizes) <= 700
    assert not any("menu" in text or "<" in text for rows in found.values() for _, text in rows)
    with Index.open(tmp_path / "collections" / "brest") as opened:
        assert "text-embedding-3-small" == opened.info().settings.model
        [hit] = opened.search("when does it leave", 1, documents=[TRAM])
    assert "By tram" == hit.title
    assert {"title": TRAM, "year": 2025, "public": True, "lines": ["A", 2]}.items() <= (
        hit.metadata.items()
    )


@pytest.mark.parametrize(("bulk_size", "batches"), [(1, 2), (2, 1), (None, 1)])
async def test_bulk_size_is_the_number_of_sources_of_a_batch(
    client: Client, working: Working, queue: str, pages: Path, bulk_size: int, batches: int
) -> None:
    """Parity: S0-08."""
    job = original_input(pages, bulk_size=bulk_size)
    async with working():
        await run_workshop(client, queue, job)
        child = client.get_workflow_handle(workflow_id(COLLECTION))
        progress: Progress = await child.query(PROGRESS, result_type=Progress)
    assert batches == progress.batches == progress.batches_done


@pytest.mark.parametrize("left_out", ["recursive_chunking_config", "its sizes"])
async def test_chunk_sizes_may_be_left_out(
    client: Client, working: Working, queue: str, pages: Path, tmp_path: Path, left_out: str
) -> None:
    """Parity: S0-10."""
    job = original_input(pages)
    if left_out == "its sizes":
        job["recursive_chunking_config"] = {}
    else:
        del job["recursive_chunking_config"]
    async with working():
        assert SENTENCE == await run_workshop(client, queue, job)
    found = contents(tmp_path / "collections" / "brest")
    assert all(0 < len(text) <= 1000 for rows in found.values() for _, text in rows)


async def test_s0_d03_a_commit_that_runs_twice_leaves_the_rows_of_one(
    client: Client,
    working: Working,
    settings: WorkerSettings,
    queue: str,
    pages: Path,
    tmp_path: Path,
) -> None:
    others = tuple(role for role in Role if role is not Role.INDEX)
    resources = Resources(settings)
    real = IndexingActivities(resources, LocalArtifacts(tmp_path / "artifacts"))
    attempts: list[int] = []

    @activity.defn(name=COMMIT)
    async def commit_and_die(job: CommitInput) -> Committed:
        committed = await real.commit_batch(job)
        attempts.append(activity.info().attempt)
        if attempts[-1] == 1:
            raise RuntimeError("the worker died before it could answer")
        return committed

    async with AsyncExitStack() as stack:
        stack.callback(resources.close)
        await stack.enter_async_context(working(others))
        await stack.enter_async_context(
            Worker(
                client,
                task_queue=queue_of(queue, Role.INDEX, COLLECTION),
                activities=[real.plan_batches, commit_and_die, real.finish_run],
            )
        )
        assert SENTENCE == await run_workshop(client, queue, original_input(pages))
    assert [1, 2] == attempts
    index = tmp_path / "collections" / "brest"
    retried = contents(index)
    assert {TRAM, BUS} == retried.keys()
    with Index.open(index) as opened:
        assert 1 == opened.info().sequence
    await asyncio.to_thread(index.rename, tmp_path / "retried")
    async with working():
        assert SENTENCE == await run_workshop(client, queue, original_input(pages))
    assert contents(index) == retried


async def test_histories_replay_from_the_servers_list(
    client: Client, working: Working, queue: str, pages: Path
) -> None:
    """Parity: S4-13."""
    async with working():
        await run_workshop(client, queue, original_input(pages))
    query = f"TaskQueue = '{queue}'"
    while (await client.count_workflows(query)).count < 2:  # the list follows a little later
        await asyncio.sleep(0.02)
    replayer = Replayer(workflows=[], plugins=[DurableIngestPlugin()])
    histories = client.list_workflows(query).map_histories()
    async with replayer.workflow_replay_iterator(histories) as results:
        replayed = {result.history.workflow_id: result.replay_failure async for result in results}
    assert {f"workshop-{queue}": None, workflow_id(COLLECTION): None} == replayed


async def test_two_jobs_on_one_collection_do_not_write_at_once(
    client: Client, queue: str, pages: Path, working: Working
) -> None:
    """The second is refused while the first one runs, whoever started it."""
    job = original_input(pages)
    async with working((Role.WORKFLOWS,)):
        first = await client.start_workflow(
            WORKSHOP_WORKFLOW, job, id=f"first-{queue}", task_queue=queue, result_type=str
        )
        child = client.get_workflow_handle(workflow_id(COLLECTION))
        while not await is_running(child):
            await asyncio.sleep(0.02)
        with pytest.raises(WorkflowFailureError) as caught:
            await client.execute_workflow(
                WORKSHOP_WORKFLOW_CLASS, job, id=f"second-{queue}", task_queue=queue
            )
    assert "already started" in str(caught.value.cause)
    async with working():
        assert SENTENCE == await first.result()


async def is_running(handle: WorkflowHandle[Any, Any]) -> bool:
    """Whether the job is there and under way."""
    try:
        return (await handle.describe()).status is WorkflowExecutionStatus.RUNNING
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return False
