"""`IngestDocuments` on a real server with real workers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from durable_ingest.errors import RunConflict
from durable_ingest.ids import file_uri
from durable_ingest.models import (
    ChunkerSpec,
    EmbedderSpec,
    IndexSpec,
    IngestReport,
    IngestRequest,
    Progress,
    SourceSpec,
)
from durable_ingest.pipeline.index import Index
from durable_ingest.pipeline.run import ingest
from durable_ingest.settings import WorkerSettings
from durable_ingest.temporal.client import IngestHandle, start_ingest
from durable_ingest.temporal.names import CANCEL, PAUSE, PROGRESS, RESUME
from durable_ingest.temporal.worker import build_worker
from tests.support.embeddings import running_service
from tests.support.sites import Site

HASHING = EmbedderSpec(kind="hashing", model="hashing", dimension=64)
CUT = ChunkerSpec(size=200, length="characters")

RUNNING = WorkflowExecutionStatus.RUNNING

Working = Callable[[IngestRequest], AbstractAsyncContextManager[None]]


@pytest.fixture
def queue() -> str:
    """A base queue that no other test uses."""
    return f"queue-{uuid4().hex[:12]}"


@pytest.fixture
def working(client: Client, tmp_path: Path, queue: str) -> Working:
    """Runs workers of all roles for a request's index."""

    @asynccontextmanager
    async def run(request: IngestRequest) -> AsyncIterator[None]:
        settings = WorkerSettings(
            allowed_roots=(tmp_path,),
            allow_private_addresses=True,
            artifacts=tmp_path / "artifacts",
            http_attempts=1,
        )
        async with build_worker(client, settings, indexes=[request.index.uri], task_queue=queue):
            yield

    return run


def request_for(folder: Path, index: Path, **fields: object) -> IngestRequest:
    """A job over a folder with the test embedder."""
    given: dict[str, object] = {
        "sources": [SourceSpec(uri=file_uri(folder))],
        "index": IndexSpec(uri=file_uri(index)),
        "embedder": HASHING,
        "chunker": CUT,
        "bulk_size": 2,
        **fields,
    }
    return IngestRequest.model_validate(given)


async def progress_of(handle: IngestHandle) -> Progress:
    """What the job says of itself now."""
    progress: Progress = await handle.query(PROGRESS, result_type=Progress)
    return progress


def contents(index: Path) -> dict[str, tuple[str, list[str]]]:
    """Every live document with its digest and chunk texts."""
    with Index.open(index) as opened:
        return {
            state.document_id: (
                state.content_sha256,
                [row.text for row in opened.chunks(state.document_id)],
            )
            for state in opened.documents()
        }


async def test_a_run_ingests_every_document_and_its_counts_add_up(
    client: Client, working: Working, queue: str, documents: Path, tmp_path: Path
) -> None:
    request = request_for(documents, tmp_path / "index")
    async with working(request):
        handle, attached = await start_ingest(client, request, task_queue=queue)
        report = await handle.result()
    assert not attached
    assert "completed" == report.status
    assert 5 == report.counts.added == report.counts.documents
    assert report.counts.add_up()
    assert report.counts.chunks == report.counts.embedded + report.counts.reused
    assert (await progress_of_closed(client, handle, working, request)).status == "done"


async def progress_of_closed(
    client: Client, handle: IngestHandle, working: Working, request: IngestRequest
) -> Progress:
    """Progress of a closed job; a worker must be there to answer queries."""
    async with working(request):
        return await progress_of(client.get_workflow_handle(handle.id, result_type=IngestReport))


async def test_it_gives_the_same_index_as_the_in_process_runner(
    client: Client, working: Working, queue: str, documents: Path, tmp_path: Path
) -> None:
    request = request_for(documents, tmp_path / "index")
    async with working(request):
        handle, _ = await start_ingest(client, request, task_queue=queue)
        await handle.result()
    await asyncio.to_thread(
        ingest, documents, index=tmp_path / "plain", embedder=HASHING, chunker=CUT
    )
    assert contents(tmp_path / "plain") == contents(tmp_path / "index")


async def test_a_second_run_embeds_nothing_and_a_third_only_what_changed(
    client: Client, working: Working, queue: str, documents: Path, tmp_path: Path
) -> None:
    request = request_for(documents, tmp_path / "index")
    async with working(request):
        await (await start_ingest(client, request, task_queue=queue))[0].result()
        again = await (await start_ingest(client, request, task_queue=queue))[0].result()
        assert 5 == again.counts.unchanged == again.counts.documents
        assert 0 == again.counts.embedded
        (documents / "snow.txt").write_text("Every flake of snow melts.\n")
        (documents / "bees.txt").unlink()
        third = await (await start_ingest(client, request, task_queue=queue))[0].result()
    assert (1, 3, 1, 1) == (
        third.counts.updated,
        third.counts.unchanged,
        third.counts.deleted,
        third.counts.embedded,
    )
    assert file_uri(documents / "bees.txt") not in contents(tmp_path / "index")


async def test_a_paused_job_goes_on_after_a_week(
    environment: WorkflowEnvironment,
    client: Client,
    working: Working,
    queue: str,
    documents: Path,
    tmp_path: Path,
) -> None:
    request = request_for(documents, tmp_path / "index", window=1, bulk_size=1)
    handle, _ = await start_ingest(client, request, task_queue=queue)
    await handle.signal(PAUSE)
    async with working(request):
        paused = await progress_of(handle)
        while paused.status != "paused":
            paused = await progress_of(handle)
        began = await environment.get_current_time(handle)
        await environment.fast_forward(handle, timedelta(days=7))
        assert "paused" == (await progress_of(handle)).status
        assert (await environment.get_current_time(handle)) - began >= timedelta(days=7)
        resumed = await handle.execute_update(RESUME, result_type=Progress)
        assert resumed.status != "paused"
        report = await handle.result()
    assert 5 == report.counts.added


async def test_a_cancelled_job_leaves_a_consistent_index_and_says_what_is_pending(
    client: Client, working: Working, queue: str, documents: Path, tmp_path: Path
) -> None:
    request = request_for(documents, tmp_path / "index", window=1, bulk_size=1)
    async with working(request):
        handle, _ = await start_ingest(client, request, task_queue=queue)
        while (await progress_of(handle)).batches_done < 2:
            await asyncio.sleep(0.02)
        await handle.execute_update(CANCEL, result_type=Progress)
        report = await handle.result()
        assert "cancelled" == report.status
        assert report.counts.add_up()
        assert 5 == report.counts.documents
        assert 0 < report.counts.pending
        assert report.counts.added == len(contents(tmp_path / "index"))
        rest = await (await start_ingest(client, request, task_queue=queue))[0].result()
    assert report.counts.pending == rest.counts.added
    assert 5 == len(contents(tmp_path / "index"))


async def test_a_cancellation_at_any_moment_ends_the_job(
    client: Client, working: Working, queue: str, documents: Path, tmp_path: Path
) -> None:
    """A batch that is cancelled before its first step must not be waited for."""
    for moment in range(12):
        request = request_for(documents, tmp_path / f"index-{moment}", window=3, bulk_size=1)
        async with working(request):
            handle, _ = await start_ingest(client, request, task_queue=queue)
            while (await progress_of(handle)).batches_done < moment % 4:
                await asyncio.sleep(0)
            await handle.signal(CANCEL)
            report = await asyncio.wait_for(handle.result(), 20)
        assert report.counts.add_up()
        assert 5 == report.counts.documents


async def test_the_same_job_is_attached_to_and_another_one_refused(
    client: Client, working: Working, queue: str, documents: Path, tmp_path: Path
) -> None:
    request = request_for(documents, tmp_path / "index")
    first, _ = await start_ingest(client, request, task_queue=queue)
    second, attached = await start_ingest(client, request, task_queue=queue)
    assert attached
    assert first.id == second.id
    with pytest.raises(RunConflict, match="another job is unfinished"):
        await start_ingest(client, request.model_copy(update={"window": 2}), task_queue=queue)
    async with working(request):
        assert 5 == (await second.result()).counts.added


async def test_another_model_is_refused_and_the_index_stays(
    client: Client, working: Working, queue: str, documents: Path, tmp_path: Path
) -> None:
    request = request_for(documents, tmp_path / "index")
    other = request.model_copy(update={"embedder": HASHING.model_copy(update={"dimension": 32})})
    async with working(request):
        await (await start_ingest(client, request, task_queue=queue))[0].result()
        before = contents(tmp_path / "index")
        with pytest.raises(WorkflowFailureError) as caught:
            await (await start_ingest(client, other, task_queue=queue))[0].result()
    cause = caught.value.cause.__cause__
    assert isinstance(cause, ApplicationError)
    assert "IndexMismatch" == cause.type
    assert before == contents(tmp_path / "index")


async def test_a_refused_file_is_a_row_that_names_the_rule(
    client: Client, working: Working, queue: str, documents: Path, tmp_path: Path
) -> None:
    outside = SourceSpec(uri="file:///etc/hostname")
    request = request_for(
        documents,
        tmp_path / "index",
        sources=[outside, SourceSpec(uri=file_uri(documents))],
    )
    async with working(request):
        report = await (await start_ingest(client, request, task_queue=queue))[0].result()
    assert 1 == report.counts.failed
    assert report.counts.add_up()
    assert ["allowed_roots"] == [row.rule for row in report.errors]


async def test_hours_of_waiting_for_a_site_pass_in_no_time(
    client: Client, working: Working, queue: str, tmp_path: Path, site: Site
) -> None:
    site.answer("/page", status=503, headers={"Retry-After": "7200"}, times=3)
    site.answer("/page", body=b"<title>T</title><p>At last.</p>", media_type="text/html")
    site.answer("/other", body=b"Here at once.", media_type="text/plain")
    request = request_for(
        tmp_path,
        tmp_path / "index",
        sources=[
            SourceSpec(uri=site.url("/page"), kind="web"),
            SourceSpec(uri=site.url("/other"), kind="web"),
        ],
    )
    async with working(request):
        handle, _ = await start_ingest(client, request, task_queue=queue)
        waiting = 0
        while not waiting and (await handle.describe()).status is RUNNING:
            waiting = (await progress_of(handle)).deferred
        report = await asyncio.wait_for(handle.result(), 60)
    assert 1 == waiting
    assert 2 == report.counts.added
    assert 4 == site.requests("/page")
    assert timedelta(hours=6) <= report_length(report)


async def test_a_retry_hours_later_passes_in_no_time(
    client: Client,
    working: Working,
    queue: str,
    documents: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An embedding service that asks for three hours, twice: the activity's own retries wait."""
    spec = EmbedderSpec(kind="openai", model="text-embedding-3-small")
    request = request_for(documents, tmp_path / "index", embedder=spec, bulk_size=9)
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    with running_service(away=2, retry_after=3 * 3600) as address:
        monkeypatch.setenv("OPENAI_BASE_URL", address)
        async with working(request):
            handle, _ = await start_ingest(client, request, task_queue=queue)
            report = await asyncio.wait_for(handle.result(), 60)
    assert 5 == report.counts.added
    assert timedelta(hours=6) <= report_length(report)


def report_length(report: IngestReport) -> timedelta:
    """Length of a run by its workflow's clock."""
    assert report.started_at is not None
    assert report.finished_at is not None
    return report.finished_at - report.started_at


async def test_a_source_that_stays_away_becomes_a_row(
    client: Client, working: Working, queue: str, tmp_path: Path, site: Site
) -> None:
    site.answer("/gone", status=410)
    site.answer("/down", status=503)
    request = request_for(
        tmp_path,
        tmp_path / "index",
        sources=[
            SourceSpec(uri=site.url("/down"), kind="web"),
            SourceSpec(uri=site.url("/gone"), kind="web"),
        ],
        retry_rounds=2,
    )
    async with working(request):
        report = await (await start_ingest(client, request, task_queue=queue))[0].result()
    assert {"SourceUnavailable", "SourceMissing"} == {row.error_type for row in report.errors}
    assert 2 == report.counts.failed == report.counts.documents
