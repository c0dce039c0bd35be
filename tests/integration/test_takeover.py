"""Several workers on one queue; what a killed one leaves is taken over by the others."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client

from durable_ingest.devserver import EmbeddedServer, Executable
from durable_ingest.ids import file_uri
from durable_ingest.models import (
    ChunkerSpec,
    EmbedderSpec,
    IndexSpec,
    IngestRequest,
    Progress,
    SourceSpec,
)
from durable_ingest.pipeline.index import Index
from durable_ingest.plugin import DurableIngestPlugin
from durable_ingest.temporal.client import IngestHandle, connect, start_ingest
from durable_ingest.temporal.names import PROGRESS
from tests.support.sites import Site

pytestmark = [pytest.mark.server, pytest.mark.timeout(180)]

DOCUMENTS = 200


@pytest_asyncio.fixture
async def address(executable: Executable, tmp_path: Path) -> AsyncIterator[str]:
    """A server on which time passes as it does: heartbeats must really run out."""
    embedded = EmbeddedServer(tmp_path / "server", executable=executable)
    found = await asyncio.to_thread(embedded.start)
    try:
        yield found.target_host
    finally:
        await asyncio.to_thread(embedded.stop)


@pytest_asyncio.fixture
async def client(address: str) -> Client:
    """A client of that server."""
    return await connect(target_host=address, plugins=[DurableIngestPlugin()])


@contextmanager
def worker(address: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A worker process of all roles that has said `ready`."""
    command = [
        *(sys.executable, "-m", "durable_ingest", "worker", "--address", address),
        *("--index", str(folder / "index"), "--allow-root", str(folder)),
        *("--artifacts", str(folder / "artifacts")),
    ]
    environment = {
        **os.environ,
        "DURABLE_INGEST_ALLOW_PRIVATE_ADDRESSES": "true",
        "DURABLE_INGEST_HTTP_ATTEMPTS": "1",
    }
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stderr is not None
            assert process.stderr.readline().startswith("ready")
            yield process
        finally:
            process.kill()


def request_for(folder: Path, *sources: SourceSpec) -> IngestRequest:
    """A job of small batches."""
    return IngestRequest(
        sources=list(sources),
        index=IndexSpec(uri=file_uri(folder / "index")),
        embedder=EmbedderSpec(kind="hashing", model="hashing", dimension=64),
        chunker=ChunkerSpec(size=300, length="characters"),
        bulk_size=10,
        window=4,
    )


async def progress_of(handle: IngestHandle) -> Progress:
    """How far the job is."""
    progress: Progress = await handle.query(PROGRESS, result_type=Progress)
    return progress


async def workers_of(handle: IngestHandle) -> set[str]:
    """The processes that completed an activity."""
    history = await handle.fetch_history()
    return {
        event.activity_task_completed_event_attributes.identity.partition("@")[0]
        for event in history.events
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED
    }


async def test_two_workers_share_a_queue_and_one_finishes_what_the_other_began(
    address: str, client: Client, tmp_path: Path
) -> None:
    """Parity: S4-03, S4-10."""
    folder = tmp_path / "documents"
    folder.mkdir()
    for number in range(DOCUMENTS):
        (folder / f"{number:03}.md").write_text(f"# {number}\n\n" + "The tide is high. " * 40)
    request = request_for(tmp_path, SourceSpec(uri=file_uri(folder)))
    handle, _ = await start_ingest(client, request)
    with worker(address, tmp_path) as one, worker(address, tmp_path) as other:
        while (await progress_of(handle)).batches_done < 5 or len(await workers_of(handle)) < 2:
            await asyncio.sleep(0.05)
        one.kill()
        report = await asyncio.wait_for(handle.result(), 60)
        assert {str(one.pid), str(other.pid)} == await workers_of(handle)
    assert (DOCUMENTS, DOCUMENTS) == (report.counts.documents, report.counts.added)
    with Index.open(tmp_path / "index") as opened:
        assert (DOCUMENTS, DOCUMENTS // 10) == (opened.info().documents, opened.info().sequence)


async def test_a_timer_runs_out_while_no_worker_lives(
    address: str, client: Client, tmp_path: Path, site: Site
) -> None:
    """Parity: S4-12."""
    site.answer("/page", status=503, times=1)
    site.answer("/page", body=b"Back again.")
    request = request_for(tmp_path, SourceSpec(uri=site.url("/page"), kind="web"))
    handle, _ = await start_ingest(client, request)

    async def happened(event: EventType.ValueType) -> bool:
        history = await handle.fetch_history()
        return any(found.event_type == event for found in history.events)

    with worker(address, tmp_path) as first:
        while not await happened(EventType.EVENT_TYPE_TIMER_STARTED):
            await asyncio.sleep(0.05)
        first.kill()
        first.wait()
    assert not await happened(EventType.EVENT_TYPE_TIMER_FIRED)
    while not await happened(EventType.EVENT_TYPE_TIMER_FIRED):
        await asyncio.sleep(0.2)
    assert 1 == site.requests("/page")
    with worker(address, tmp_path):
        report = await asyncio.wait_for(handle.result(), 60)
    assert (1, 2) == (report.counts.added, site.requests("/page"))
