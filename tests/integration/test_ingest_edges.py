"""Sources at the edge of what is there, through the workflow on a real server."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ApplicationError

from durable_ingest.errors import InvalidInput
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
from durable_ingest.settings import WorkerSettings
from durable_ingest.temporal.client import start_ingest
from durable_ingest.temporal.names import PROGRESS
from durable_ingest.temporal.worker import build_worker
from tests.support.sites import Site


@pytest.fixture
def queue() -> str:
    """A base queue that no other test uses."""
    return f"queue-{uuid4().hex[:12]}"


def request_for(index: Path, *sources: SourceSpec, **fields: object) -> IngestRequest:
    """A job with the test embedder."""
    given: dict[str, object] = {
        "sources": list(sources),
        "index": IndexSpec(uri=file_uri(index)),
        "embedder": EmbedderSpec(kind="hashing", model="hashing", dimension=64),
        "chunker": ChunkerSpec(size=200, length="characters"),
        **fields,
    }
    return IngestRequest.model_validate(given)


@asynccontextmanager
async def working(
    client: Client, folder: Path, queue: str, request: IngestRequest
) -> AsyncIterator[None]:
    """Workers of all roles."""
    settings = WorkerSettings(
        allowed_roots=(folder,),
        allow_private_addresses=True,
        artifacts=folder / "artifacts",
        http_attempts=1,
    )
    async with build_worker(client, settings, indexes=[request.index.uri], task_queue=queue):
        yield


async def finished(client: Client, queue: str, request: IngestRequest) -> IngestReport:
    """Run a job to its end."""
    handle, _ = await start_ingest(client, request, task_queue=queue)
    return await asyncio.wait_for(handle.result(), 30)


def names(index: Path) -> list[str]:
    """Last parts of the ids of live documents."""
    with Index.open(index) as opened:
        return [state.document_id.rsplit("/", 1)[1] for state in opened.documents()]


@pytest.mark.skipif(os.name == "nt", reason="names are Unicode there")
async def test_a_folder_with_an_undecodable_name_does_not_stop_the_job(
    client: Client, documents: Path, tmp_path: Path, queue: str
) -> None:
    empty = tmp_path / os.fsdecode(b"caf\xe9")
    empty.mkdir()
    both = request_for(
        tmp_path / "index", SourceSpec(uri=file_uri(documents)), SourceSpec(uri=file_uri(empty))
    )
    alone = request_for(tmp_path / "index", SourceSpec(uri=file_uri(empty)))
    async with working(client, tmp_path, queue, both):
        report = await finished(client, queue, both)
        assert (5, 1) == (report.counts.added, report.counts.failed)
        with pytest.raises(WorkflowFailureError) as caught:
            await finished(client, queue, alone)
    cause = caught.value.cause.__cause__
    assert isinstance(cause, ApplicationError)
    assert "InvalidInput" == cause.type


async def test_a_page_that_answers_404_stays_if_vanished_documents_are_kept(
    client: Client, tmp_path: Path, queue: str, site: Site
) -> None:
    site.answer("/page", body=b"Here.", times=1)
    site.answer("/page", status=404)
    page = SourceSpec(uri=site.url("/page"), kind="web")
    keeping = request_for(tmp_path / "index", page, delete_vanished=False)
    removing = keeping.model_copy(update={"delete_vanished": True})
    async with working(client, tmp_path, queue, keeping):
        await finished(client, queue, keeping)
        kept = await finished(client, queue, keeping)
        assert (1, 0, ["page"]) == (
            kept.counts.failed,
            kept.counts.deleted,
            names(tmp_path / "index"),
        )
        removed = await finished(client, queue, removing)
    assert (1, 1, []) == (removed.counts.failed, removed.counts.deleted, names(tmp_path / "index"))


async def test_a_page_that_stays_away_keeps_what_the_index_holds_of_it(
    client: Client, tmp_path: Path, queue: str, site: Site
) -> None:
    site.answer("/page", body=b"Here.", times=1)
    site.answer("/page", status=503)
    page = SourceSpec(uri=site.url("/page"), kind="web")
    request = request_for(tmp_path / "index", page, retry_rounds=1)
    async with working(client, tmp_path, queue, request):
        await finished(client, queue, request)
        report = await finished(client, queue, request)
    assert (1, 1, 0) == (report.counts.documents, report.counts.failed, report.counts.deleted)
    assert ["page"] == names(tmp_path / "index")


@pytest.mark.parametrize("end", ["cancel", "terminate"])
async def test_a_job_that_the_server_ended_is_finished_by_the_next_one(
    client: Client, documents: Path, tmp_path: Path, queue: str, end: str
) -> None:
    request = request_for(
        tmp_path / "index", SourceSpec(uri=file_uri(documents)), bulk_size=1, window=2
    )
    async with working(client, tmp_path, queue, request):
        handle, _ = await start_ingest(client, request, task_queue=queue)
        while (await handle.query(PROGRESS, result_type=Progress)).batches_done < 1:
            await asyncio.sleep(0)
        await (handle.cancel() if end == "cancel" else handle.terminate())
        with pytest.raises(WorkflowFailureError):
            await handle.result()
        report = await finished(client, queue, request)
    assert report.counts.add_up()
    assert 5 == report.counts.documents == len(names(tmp_path / "index"))


async def test_a_request_that_is_too_long_for_a_payload_is_refused_at_once(
    client: Client, tmp_path: Path
) -> None:
    sources = [SourceSpec(uri=f"https://example.org/{number:050}") for number in range(5000)]
    with pytest.raises(InvalidInput, match="5000 sources as JSON lines"):
        await start_ingest(client, request_for(tmp_path / "index", *sources))


async def test_an_index_that_is_removed_during_a_run_fails_it(
    client: Client, documents: Path, tmp_path: Path, queue: str
) -> None:
    """A new index in its place would hold the rest of the documents only."""
    request = request_for(
        tmp_path / "index", SourceSpec(uri=file_uri(documents)), bulk_size=1, window=1
    )
    async with working(client, tmp_path, queue, request):
        handle, _ = await start_ingest(client, request, task_queue=queue)
        while (await handle.query(PROGRESS, result_type=Progress)).batches_done < 1:
            await asyncio.sleep(0)
        (tmp_path / "index").rename(tmp_path / "elsewhere")
        with pytest.raises(WorkflowFailureError):
            await asyncio.wait_for(handle.result(), 30)
        assert not (tmp_path / "index").exists()
        assert 5 == (await finished(client, queue, request)).counts.added
