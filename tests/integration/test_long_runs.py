"""Runs that continue as new: every document once, and references only in every history."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from temporalio.client import Client, WorkflowHistory
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Replayer

from durable_ingest.devserver import Executable
from durable_ingest.ids import file_uri
from durable_ingest.models import (
    ChunkerSpec,
    EmbedderSpec,
    IndexSpec,
    IngestRequest,
    SourceSpec,
)
from durable_ingest.pipeline.index import Index
from durable_ingest.plugin import DurableIngestPlugin
from durable_ingest.settings import WorkerSettings
from durable_ingest.temporal.client import IngestHandle, start_ingest
from durable_ingest.temporal.worker import build_worker

pytestmark = pytest.mark.server

DOCUMENTS = 15
EVENTS = 60
"""Events after which the server suggests to continue as new."""


@pytest_asyncio.fixture
async def client(executable: Executable) -> AsyncIterator[Client]:
    """A client of a server that soon finds histories long."""
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(executable.path),
        dev_server_extra_args=[
            "--dynamic-config-value",
            f"limit.historyCount.suggestContinueAsNew={EVENTS}",
        ],
        plugins=[DurableIngestPlugin()],
    ) as environment:
        yield environment.client


@pytest.fixture
def request_(tmp_path: Path) -> IngestRequest:
    """A job of one document per batch, two batches in flight."""
    folder = tmp_path / "documents"
    folder.mkdir()
    for number in range(DOCUMENTS):
        (folder / f"{number:02}.md").write_text(f"# {number}\n\n" + "Marzipan is sweet. " * 400)
    return IngestRequest(
        sources=[SourceSpec(uri=file_uri(folder))],
        index=IndexSpec(uri=file_uri(tmp_path / "index")),
        embedder=EmbedderSpec(kind="hashing", model="hashing", dimension=64),
        chunker=ChunkerSpec(size=300, length="characters"),
        bulk_size=1,
        window=2,
    )


async def histories_of(client: Client, handle: IngestHandle) -> list[WorkflowHistory]:
    """The history of each run, first one first."""
    [run_id, found] = [handle.first_execution_run_id, []]
    while run_id:
        history = await client.get_workflow_handle(handle.id, run_id=run_id).fetch_history()
        found.append(history)
        last = history.events[-1].workflow_execution_continued_as_new_event_attributes
        run_id = last.new_execution_run_id
    return found


def payloads_in(node: Any) -> Iterator[bytes]:
    """The bytes of every payload of a history as JSON."""
    if isinstance(node, dict):
        if isinstance(node.get("data"), str):
            yield base64.b64decode(node["data"])
        for value in node.values():
            yield from payloads_in(value)
    elif isinstance(node, list):
        for value in node:
            yield from payloads_in(value)


async def test_a_window_over_many_batches_continues_as_new_and_takes_each_document_once(
    client: Client, request_: IngestRequest, tmp_path: Path
) -> None:
    """Parity: S4-15, S0-30."""
    settings = WorkerSettings(allowed_roots=(tmp_path,), artifacts=tmp_path / "artifacts")
    async with build_worker(client, settings, indexes=[request_.index.uri]):
        handle, _ = await start_ingest(client, request_)
        report = await handle.result()
    assert (DOCUMENTS, DOCUMENTS) == (report.counts.documents, report.counts.added)
    with Index.open(tmp_path / "index") as opened:
        assert (DOCUMENTS, DOCUMENTS) == (opened.info().documents, opened.info().sequence)
    histories = await histories_of(client, handle)
    assert len(histories) >= 3
    fetched = [
        event
        for history in histories
        for event in history.events
        if event.activity_task_scheduled_event_attributes.activity_type.name == "fetch_batch"
    ]
    assert DOCUMENTS == len(fetched)
    replayer = Replayer(workflows=[], plugins=[DurableIngestPlugin()])
    for history in histories:
        # Two batches may be under way when the server first suggests it.
        assert len(history.events) < 3 * EVENTS
        payloads = list(payloads_in(json.loads(history.to_json())))
        assert payloads
        assert not any(b"Marzipan" in payload for payload in payloads)
        assert max(map(len, payloads)) < 4096
        await replayer.replay_workflow(history)
