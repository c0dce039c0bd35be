"""The public API as its users write it; checked by mypy, never run."""

from __future__ import annotations

from pathlib import Path
from typing import assert_type

from temporalio.client import Client
from temporalio.worker import Worker

from durable_ingest import (
    DurableIngestPlugin,
    Index,
    IngestReport,
    IngestRequest,
    SearchFilter,
    SearchHit,
    SourceSpec,
    aingest,
    ingest,
)
from durable_ingest.models import Counts, EmbedderSpec, IndexSpec, Progress
from durable_ingest.settings import WorkerSettings
from durable_ingest.temporal.client import connect, start_ingest
from durable_ingest.temporal.worker import build_worker


def in_process() -> None:
    """Scripts."""

    def watch(progress: Progress) -> None:
        print(progress.counts.documents)

    report = ingest(
        ["docs", Path("notes.md")],
        index="index",
        embedder=EmbedderSpec(kind="hashing"),
        metadata={"team": "search", "tags": ["a", 1, True]},
        on_progress=watch,
        bulk_size=64,
    )
    assert_type(report, IngestReport)
    assert_type(report.counts, Counts)
    assert_type(report.seconds, float)


async def in_a_service() -> None:
    """Services."""
    assert_type(await aingest("docs", index="index"), IngestReport)
    client = await connect("prod", plugins=[DurableIngestPlugin()])
    assert_type(client, Client)
    request = IngestRequest(
        sources=[SourceSpec(uri="https://example.org/", kind="web")],
        index=IndexSpec(uri="file:///srv/index"),
    )
    handle, attached = await start_ingest(client, request)
    assert_type(attached, bool)
    assert_type(await handle.result(), IngestReport)
    async with build_worker(client, WorkerSettings(), indexes=[request.index.uri]):
        pass
    Worker(client, task_queue="PY_WORKER_TASK_QUEUE")


async def searching() -> None:
    """Readers."""
    with Index.open("index") as index:
        hits = index.search("how do I resume a run", 5, metadata={"team": ["search", "infra"]})
        assert_type(hits, list[SearchHit])
        assert_type(hits[0].score, float)
        assert_type(hits[0].heading_path, tuple[str, ...])
        assert_type(await index.asearch("again", k=3), list[SearchHit])
    SearchFilter(metadata={"language": "en"}, per_document=1)


def misuse() -> None:
    """What the types refuse; an ignore that is not needed is itself an error."""
    ingest("docs")  # type: ignore[call-arg]
    IngestRequest(sources=["docs"])  # type: ignore[call-arg]
    Index.open(3)  # type: ignore[arg-type]
