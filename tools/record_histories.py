"""Record histories of every workflow type on a real server.

Usage: `python tools/record_histories.py [SCENARIO ...]`. Each scenario becomes
`histories/<WorkflowType>/v<N>/<scenario>.json` with a `.toml` beside it. A history is an input
from the past: a file that exists is never written again.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from temporalio.client import Client, WorkflowFailureError, WorkflowHistory
from temporalio.testing import WorkflowEnvironment

HERE = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(HERE))

from durable_ingest import DurableIngestPlugin, SourceSpec, __version__  # noqa: E402 - path above
from durable_ingest.devserver import PINNED_SERVER, find_executable  # noqa: E402 - path above
from durable_ingest.ids import file_uri  # noqa: E402 - path above
from durable_ingest.models import (  # noqa: E402 - path above
    ChunkerSpec,
    EmbedderSpec,
    IndexingStageConfiguration,
    IndexSpec,
    IngestionWorkflowInput,
    IngestRequest,
    Progress,
    Source,
)
from durable_ingest.settings import WorkerSettings  # noqa: E402 - path above
from durable_ingest.temporal import names  # noqa: E402 - path above
from durable_ingest.temporal.client import IngestHandle, start_ingest  # noqa: E402 - path above
from durable_ingest.temporal.worker import build_worker  # noqa: E402 - path above
from tests.support.embeddings import running_service  # noqa: E402 - path above
from tests.support.sites import running_site  # noqa: E402 - path above

HISTORIES = HERE / "histories"
VERSION = {names.INGEST_DOCUMENTS: 2, names.WORKSHOP_WORKFLOW: 2, names.WORKSHOP_WORKFLOW_CLASS: 2}
HASHING = EmbedderSpec(kind="hashing", model="hashing", dimension=64)


@dataclass
class Studio:
    """A server, a folder and workers."""

    client: Client
    folder: Path

    def request(self, **fields: Any) -> IngestRequest:
        """A job over five small documents."""
        sources = self.folder / "documents"
        if not sources.exists():
            sources.mkdir()
            for name in ("ash", "birch", "cedar", "date", "elm"):
                (sources / f"{name}.md").write_text(f"# {name.title()}\n\nThe {name} is a tree.\n")
        given = {
            "sources": [SourceSpec(uri=file_uri(sources))],
            "index": IndexSpec(uri=file_uri(self.folder / "index")),
            "embedder": HASHING,
            "chunker": ChunkerSpec(size=200, length="characters"),
            "bulk_size": 2,
            **fields,
        }
        return IngestRequest.model_validate(given)

    @asynccontextmanager
    async def working(self, *indexes: str) -> AsyncIterator[None]:
        """Workers of all roles."""
        settings = WorkerSettings(
            allowed_roots=(self.folder,),
            allow_private_addresses=True,
            artifacts=self.folder / "artifacts",
            index_root=self.folder / "collections",
            http_attempts=1,
        )
        async with build_worker(self.client, settings, indexes=indexes):
            yield

    async def run(self, request: IngestRequest) -> IngestHandle:
        """Run a job to its end."""
        async with self.working(request.index.uri):
            handle, _ = await start_ingest(self.client, request)
            await handle.result()
        return handle


Scenario = Callable[[Studio], Awaitable[list[WorkflowHistory]]]
SCENARIOS: dict[str, tuple[str, str, Scenario]] = {}


def scenario(name: str, workflow: str, why: str) -> Callable[[Scenario], Scenario]:
    """Register a scenario."""

    def register(function: Scenario) -> Scenario:
        SCENARIOS[f"{workflow}/{name}"] = (workflow, why, function)
        return function

    return register


@scenario("first-run", names.INGEST_DOCUMENTS, "three batches in a window, all new")
async def first_run(studio: Studio) -> list[WorkflowHistory]:
    """Five new documents."""
    return [await (await studio.run(studio.request())).fetch_history()]


@scenario("nothing-changed", names.INGEST_DOCUMENTS, "planning leaves no batch, finish follows")
async def nothing_changed(studio: Studio) -> list[WorkflowHistory]:
    """The same job twice, files old enough to be trusted by their times."""
    request = studio.request()
    for path in (studio.folder / "documents").iterdir():
        os.utime(path, (1_700_000_000, 1_700_000_000))
    await studio.run(request)
    return [await (await studio.run(request)).fetch_history()]


@scenario("failed-rows", names.INGEST_DOCUMENTS, "error rows chained through commits")
async def failed_rows(studio: Studio) -> list[WorkflowHistory]:
    """A binary file among texts, and a file outside the allowed roots."""
    request = studio.request()
    (studio.folder / "documents" / "noise.txt").write_bytes(bytes(range(256)) * 8)
    outside = SourceSpec(uri="file:///etc/hostname")
    request = request.model_copy(update={"sources": [*request.sources, outside]})
    return [await (await studio.run(request)).fetch_history()]


@scenario("deferred-source", names.INGEST_DOCUMENTS, "a durable timer, then a batch of its own")
async def deferred_source(studio: Studio) -> list[WorkflowHistory]:
    """A site that is away the first time."""
    with running_site() as site:
        site.answer("/page", status=503, times=1)
        site.answer("/page", body=b"Back again.")
        page = SourceSpec(uri=site.url("/page"), kind="web")
        return [await (await studio.run(studio.request(sources=[page]))).fetch_history()]


@scenario("paused-and-resumed", names.INGEST_DOCUMENTS, "signals and updates between batches")
async def paused_and_resumed(studio: Studio) -> list[WorkflowHistory]:
    """Paused by a signal, resumed by an update."""
    request = studio.request(window=1, bulk_size=1)
    handle, _ = await start_ingest(studio.client, request)
    await handle.signal(names.PAUSE)
    async with studio.working(request.index.uri):
        while (await _progress(handle)).status != "paused":
            await asyncio.sleep(0.05)
        await handle.execute_update(names.RESUME, result_type=Progress)
        await handle.result()
    return [await handle.fetch_history()]


@scenario("cancelled", names.INGEST_DOCUMENTS, "cancelled between commits, the rest is pending")
async def cancelled(studio: Studio) -> list[WorkflowHistory]:
    """Cancelled by an update after two batches."""
    request = studio.request(window=2, bulk_size=1)
    async with studio.working(request.index.uri):
        handle, _ = await start_ingest(studio.client, request)
        while (await _progress(handle)).batches_done < 2:
            await asyncio.sleep(0.02)
        await handle.execute_update(names.CANCEL, result_type=Progress)
        await handle.result()
    return [await handle.fetch_history()]


@scenario("index-mismatch", names.INGEST_DOCUMENTS, "a terminal error fails the workflow")
async def index_mismatch(studio: Studio) -> list[WorkflowHistory]:
    """Another model on the same index."""
    await studio.run(studio.request())
    other = studio.request(embedder=HASHING.model_copy(update={"dimension": 32}))
    async with studio.working(other.index.uri):
        handle, _ = await start_ingest(studio.client, other)
        try:
            await handle.result()
        except WorkflowFailureError:
            return [await handle.fetch_history()]
    raise AssertionError("the job should have failed")


@scenario("continued-as-new", names.INGEST_DOCUMENTS, "a cursor carries the run on")
async def continued_as_new(studio: Studio) -> list[WorkflowHistory]:
    """A server that suggests to continue as new after few events."""
    request = studio.request(bulk_size=1, window=1)
    async with studio.working(request.index.uri):
        handle, _ = await start_ingest(studio.client, request)
        await handle.result()
    runs = []
    async for run in studio.client.list_workflows(f"WorkflowId = '{handle.id}'"):
        one = studio.client.get_workflow_handle(run.id, run_id=run.run_id)
        runs.append((run.start_time, await one.fetch_history()))
    return [history for _, history in sorted(runs, key=lambda pair: pair[0])]


async def _workshop(studio: Studio, workflow: str) -> list[WorkflowHistory]:
    page = studio.folder / "page.html"
    page.write_text("<title>Tram</title><article><p>The tram runs every six minutes.</p></article>")
    job = IngestionWorkflowInput(
        sources=[
            Source(uri="https://example.org/tram", raw_file_path=file_uri(page)),
            Source(
                uri="https://example.org/bus", raw_file_path=file_uri(studio.folder / "no.html")
            ),
        ],
        indexing_config=IndexingStageConfiguration(
            collection_name="brest",
            database_uri="env:DATABASE_URI",
            openai_embedding_model="text-embedding-3-small",
        ),
    )
    with running_service() as address:
        os.environ["OPENAI_BASE_URL"] = address
        os.environ["OPENAI_API_KEY"] = "none"
        async with studio.working("collection:brest"):
            handle = await studio.client.start_workflow(
                workflow, job, id=f"workshop-{workflow}", task_queue=names.TASK_QUEUE
            )
            await handle.result()
    return [await handle.fetch_history()]


@scenario("stored-page", names.WORKSHOP_WORKFLOW, "the original input, one page missing")
async def workshop(studio: Studio) -> list[WorkflowHistory]:
    """The workshop's workflow by the name in its text."""
    return await _workshop(studio, names.WORKSHOP_WORKFLOW)


@scenario("stored-page", names.WORKSHOP_WORKFLOW_CLASS, "the original input, one page missing")
async def workshop_class(studio: Studio) -> list[WorkflowHistory]:
    """The workshop's workflow by the name in its code."""
    return await _workshop(studio, names.WORKSHOP_WORKFLOW_CLASS)


async def _progress(handle: IngestHandle) -> Progress:
    progress: Progress = await handle.query(names.PROGRESS, result_type=Progress)
    return progress


def write(workflow: str, name: str, why: str, history: WorkflowHistory) -> Path:
    """Write a history and its sidecar; never over an existing one."""
    folder = HISTORIES / workflow / f"v{VERSION[workflow]}"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    text = _without_stack_traces(history).to_json()
    with path.open("x", encoding="utf-8") as file:
        file.write(text)
    outcome = history.events[-1].WhichOneof("attributes") or ""
    flags = sorted(
        {
            flag
            for event in history.events
            for flag in event.workflow_task_completed_event_attributes.sdk_metadata.core_used_flags
        }
    )
    fields: dict[str, str | int | list[int]] = {
        "why": why,
        "scenario": name,
        "workflow_type": workflow,
        "workflow_id": history.workflow_id,
        "outcome": outcome.removeprefix("workflow_execution_").removesuffix("_event_attributes"),
        "events": len(history.events),
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
        "recorded_at": datetime.now(UTC).strftime("%Y-%m-%d"),
        "code_version": __version__,
        "sdk": version("temporalio"),
        "server": PINNED_SERVER,
        "core_flags": flags,
    }
    lines = [f"{key} = {_toml(value)}\n" for key, value in fields.items()]
    path.with_suffix(".toml").write_text("".join(lines), encoding="utf-8")
    return path


def _without_stack_traces(history: WorkflowHistory) -> WorkflowHistory:
    """Stack traces name the recording machine's folders, and replay never reads them."""

    def clear(node: object) -> None:
        if isinstance(node, dict):
            node.pop("stackTrace", None)
            for value in node.values():
                clear(value)
        elif isinstance(node, list):
            for value in node:
                clear(value)

    tree = json.loads(history.to_json())
    clear(tree)
    return WorkflowHistory.from_json(history.workflow_id, tree)


def _toml(value: str | int | list[int]) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(value)


async def record(keys: list[str]) -> None:
    """Run scenarios one after the other, each on a server and in a folder of its own."""
    executable = await asyncio.to_thread(find_executable)
    for key in keys:
        workflow, why, function = SCENARIOS[key]
        extra = ["--dynamic-config-value", "limit.historyCount.suggestContinueAsNew=60"]
        with tempfile.TemporaryDirectory(prefix="durable-ingest-") as folder:
            async with await WorkflowEnvironment.start_local(
                dev_server_existing_path=str(executable.path),
                dev_server_extra_args=extra if "continued" in key else [],
                plugins=[DurableIngestPlugin()],
                identity="recorder",
            ) as environment:
                histories = await function(Studio(environment.client, Path(folder)))
        name = key.partition("/")[2]
        for number, history in enumerate(histories, start=1):
            suffix = f".can{number}" if len(histories) > 1 else ""
            print(write(workflow, name + suffix, why, history), len(history.events), "events")


def recorded(key: str) -> bool:
    """Whether a scenario has its files."""
    workflow, _, name = key.partition("/")
    return any((HISTORIES / workflow).glob(f"v{VERSION[workflow]}/{name}*.json"))


if __name__ == "__main__":
    asyncio.run(record(sys.argv[1:] or [key for key in SCENARIOS if not recorded(key)]))
