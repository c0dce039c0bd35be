"""Activities by themselves: no server, no worker, the SDK's activity environment only."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
import respx
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from durable_ingest.artifacts.local import LocalArtifacts
from durable_ingest.models import (
    ArtifactRef,
    EmbedderSpec,
    IndexSpec,
    IngestRequest,
    SourceSpec,
)
from durable_ingest.pipeline.resources import Resources
from durable_ingest.settings import WorkerSettings
from durable_ingest.temporal.activities.embedding import EmbeddingActivities
from durable_ingest.temporal.activities.files import put_references
from durable_ingest.temporal.activities.reading import ReadingActivities
from durable_ingest.temporal.contracts import DescribeInput, DiscoverInput, FetchInput

SERVICE = "https://embeddings.example/v1"
ASKED = DescribeInput(embedder=EmbedderSpec(kind="openai", model="unknown-to-the-table"))
ANSWER = httpx.Response(200, json={"data": [{"index": 0, "embedding": [0.6, 0.8]}]})
PATIENCE = 20.0


@pytest.fixture
def artifacts(tmp_path: Path) -> LocalArtifacts:
    return LocalArtifacts(tmp_path / "artifacts")


@pytest.fixture
def resources(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resources]:
    """Adapters of a worker that may read no file."""
    monkeypatch.setenv("OPENAI_BASE_URL", SERVICE)
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    made = Resources(WorkerSettings())
    yield made
    made.close()


@dataclass(frozen=True)
class Case:
    """What a service answers, and what Temporal is told."""

    name: str
    answer: httpx.Response
    type: str
    final: bool
    wait: timedelta | None = None


CASES = [
    Case(
        "busy for two minutes",
        httpx.Response(503, headers={"Retry-After": "120"}),
        "EmbedderUnavailable",
        final=False,
        wait=timedelta(minutes=2),
    ),
    Case("wrong key", httpx.Response(401), "EmbedderRejected", final=True),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_s0_d04_a_passing_failure_is_raised_for_temporal_to_retry(
    resources: Resources, artifacts: LocalArtifacts, case: Case
) -> None:
    embedding = EmbeddingActivities(resources, artifacts)
    with respx.mock:
        respx.post(f"{SERVICE}/embeddings").mock(return_value=case.answer)
        with pytest.raises(ApplicationError) as caught:
            await ActivityEnvironment().run(embedding.describe_embedder, ASKED)
    error = caught.value
    assert (case.type, case.final, case.wait) == (
        error.type,
        error.non_retryable,
        error.next_retry_delay,
    )


async def test_s0_d04_a_call_that_blocks_leaves_the_workers_loop_free(
    resources: Resources, artifacts: LocalArtifacts
) -> None:
    asked, answer = threading.Event(), threading.Event()

    def block(_: httpx.Request) -> httpx.Response:
        asked.set()
        # Only the loop can let this go on, so a call that ran on the loop would wait in vain.
        assert answer.wait(PATIENCE)
        return ANSWER

    environment = ActivityEnvironment()
    beats: list[object] = []
    environment.on_heartbeat = lambda *details: beats.append(details)
    embedding = EmbeddingActivities(resources, artifacts)
    with respx.mock:
        respx.post(f"{SERVICE}/embeddings").mock(side_effect=block)
        running = asyncio.ensure_future(environment.run(embedding.describe_embedder, ASKED))
        assert await asyncio.to_thread(asked.wait, PATIENCE)
        assert not running.done()
        assert beats
        answer.set()
        info = await running
    assert 2 == info.dimension


async def test_bad_input_of_an_activity_is_final_and_names_the_value(
    resources: Resources, artifacts: LocalArtifacts
) -> None:
    """Parity: S4-12."""
    reading = ReadingActivities(resources, artifacts)
    request = IngestRequest(
        sources=[SourceSpec(uri="no address")], index=IndexSpec(uri="file:///index")
    )
    with pytest.raises(ApplicationError, match="'no address'") as discovered:
        await ActivityEnvironment().run(reading.discover_documents, DiscoverInput(request=request))
    job = FetchInput(
        manifest=put_references(artifacts, [ArtifactRef(sha256="0" * 64, size=0)]),
        batch=7,
        fingerprint="f",
        max_document_bytes=1000,
    )
    with pytest.raises(ApplicationError, match="batch 7 of a manifest of 1 page") as fetched:
        await ActivityEnvironment().run(reading.fetch_batch, job)
    for caught in (discovered, fetched):
        assert ("InvalidInput", True) == (caught.value.type, caught.value.non_retryable)
