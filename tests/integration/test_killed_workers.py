"""Workers that are killed with SIGKILL at any moment leave the same index as undisturbed ones."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

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
from durable_ingest.pipeline.run import ingest
from durable_ingest.plugin import DurableIngestPlugin
from durable_ingest.temporal.client import IngestHandle, connect, start_ingest
from durable_ingest.temporal.names import PROGRESS

HASHING = EmbedderSpec(kind="hashing", model="hashing", dimension=64)
CUT = ChunkerSpec(size=300, length="characters")
DOCUMENTS = 400
KILLS = 3


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """Four hundred documents of several chunks each."""
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(DOCUMENTS):
        paragraphs = [f"Paragraph {part} of {number}. " * 9 for part in range(4)]
        (folder / f"{number:04d}.md").write_text(f"# {number}\n\n" + "\n\n".join(paragraphs))
    return folder


@contextmanager
def worker(address: str, index: Path, sources: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A worker process of all roles."""
    command = [
        *(sys.executable, "-m", "durable_ingest", "worker", "--address", address),
        *("--index", str(index), "--allow-root", str(sources)),
        *("--artifacts", str(index / "artifacts")),
        *("--vector-cache", str(index / "cache" / "vectors.sqlite")),
    ]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


@asynccontextmanager
async def server(executable: Executable, folder: Path) -> AsyncIterator[str]:
    """A server without time skipping: heartbeats must really run out."""
    embedded = EmbeddedServer(folder, executable=executable)
    address = await asyncio.to_thread(embedded.start)
    try:
        yield address.target_host
    finally:
        await asyncio.to_thread(embedded.stop)


def contents(index: Path) -> dict[str, tuple[str, list[tuple[str, str, int, int]]]]:
    """Every live document with its digest and chunks."""
    with Index.open(index) as opened:
        found = {}
        after = ""
        while page := opened.documents(after=after):
            for state in page:
                rows = opened.chunks(state.document_id)
                found[state.document_id] = (
                    state.content_sha256,
                    [(row.chunk_id, row.text, row.start, row.end) for row in rows],
                )
            after = page[-1].document_id
        return found


async def committed(handle: IngestHandle, batches: int) -> int:
    """Wait until a job has committed some batches."""
    while True:
        progress: Progress = await handle.query(PROGRESS, result_type=Progress)
        if progress.batches_done >= batches:
            return progress.batches_done
        await asyncio.sleep(0.02)


@pytest.mark.timeout(240)
async def test_killing_the_worker_again_and_again_changes_nothing(
    executable: Executable, many: Path, tmp_path: Path
) -> None:
    index = tmp_path / "index"
    request = IngestRequest(
        sources=[SourceSpec(uri=file_uri(many))],
        index=IndexSpec(uri=file_uri(index)),
        embedder=HASHING,
        chunker=CUT,
        bulk_size=20,
        window=3,
    )
    chance = random.Random(20)
    async with server(executable, index / "server") as address:
        client = await connect(target_host=address, plugins=[DurableIngestPlugin()])
        handle, _ = await start_ingest(client, request)
        done = 0
        for _ in range(KILLS):
            with worker(address, index, many):
                done = await committed(handle, done + chance.randint(1, 4))
                await asyncio.sleep(chance.random() / 10)
        with worker(address, index, many):
            report = await handle.result()
    await asyncio.to_thread(ingest, many, index=tmp_path / "plain", embedder=HASHING, chunker=CUT)
    assert report.counts.add_up()
    assert DOCUMENTS == report.counts.documents
    assert contents(tmp_path / "plain") == contents(index)
    with Index.open(index) as one, Index.open(tmp_path / "plain") as other:
        question = "paragraph 2 of 17"
        expected = [(hit.chunk_id, hit.score) for hit in other.search(question, 20)]
        assert expected == [(hit.chunk_id, hit.score) for hit in one.search(question, 20)]
        assert 20 == one.info().sequence
