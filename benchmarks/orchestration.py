"""What durability costs: history events and bytes per document, and documents per second.

Both sides in one run: the same documents with the same hashing embedder in process, and through
the workflow on a real server. Usage: `python benchmarks/orchestration.py [--documents N]`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from durable_ingest import DurableIngestPlugin, IngestRequest, SourceSpec, ingest
from durable_ingest.devserver import EmbeddedServer, find_executable
from durable_ingest.ids import file_uri
from durable_ingest.models import ChunkerSpec, EmbedderSpec, IndexSpec
from durable_ingest.settings import WorkerSettings
from durable_ingest.temporal.client import connect, start_ingest
from durable_ingest.temporal.worker import build_worker

RESULTS = Path(__file__).parent / "results" / "orchestration.json"
EMBEDDER = EmbedderSpec(kind="hashing", model="hashing", dimension=64)
CHUNKER = ChunkerSpec(size=1000, length="characters")


def write_documents(folder: Path, count: int) -> None:
    """Documents of about 2 KB that all differ."""
    for number in range(count):
        part = folder / f"{number // 1000:03d}"
        part.mkdir(parents=True, exist_ok=True)
        lines = [f"Line {line} of document {number} says {line * number}." for line in range(48)]
        (part / f"{number:06d}.txt").write_text("\n".join(lines))


async def through_workflow(documents: Path, folder: Path) -> dict[str, Any]:
    """Run the workflow; return its time and the size of its history."""
    executable = find_executable()
    index = folder / "durable"
    with EmbeddedServer(index / "server", executable=executable) as server:
        address = server.start()
        client = await connect(target_host=address.target_host, plugins=[DurableIngestPlugin()])
        request = IngestRequest(
            sources=[SourceSpec(uri=file_uri(documents))],
            index=IndexSpec(uri=file_uri(index)),
            embedder=EMBEDDER,
            chunker=CHUNKER,
        )
        settings = WorkerSettings(allowed_roots=(documents,), artifacts=folder / "artifacts")
        started = time.perf_counter()
        async with build_worker(client, settings, indexes=[request.index.uri]):
            handle, _ = await start_ingest(client, request)
            report = await handle.result()
        seconds = time.perf_counter() - started
        history = await handle.fetch_history()
    size = sum(event.ByteSize() for event in history.events)
    return {
        "seconds": seconds,
        "documents": report.counts.documents,
        "chunks": report.counts.chunks,
        "events": len(history.events),
        "history_bytes": size,
    }


def in_process(documents: Path, folder: Path) -> dict[str, Any]:
    """Run the same stages without Temporal."""
    started = time.perf_counter()
    report = ingest(documents, index=folder / "plain", embedder=EMBEDDER, chunker=CHUNKER)
    return {
        "seconds": time.perf_counter() - started,
        "documents": report.counts.documents,
        "chunks": report.counts.chunks,
    }


def main() -> None:
    """Measure both sides, print a table, keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=10_000)
    parser.add_argument("--quick", action="store_true", help="few documents, nothing kept")
    arguments = parser.parse_args()
    count = 600 if arguments.quick else arguments.documents
    with tempfile.TemporaryDirectory(prefix="durable-ingest-bench-") as temporary:
        folder = Path(temporary)
        documents = folder / "documents"
        write_documents(documents, count)
        plain = in_process(documents, folder)
        durable = asyncio.run(through_workflow(documents, folder))
    for name, side in (("in process", plain), ("workflow", durable)):
        rate = side["documents"] / side["seconds"]
        print(f"{name:>12}: {side['documents']} documents, {side['chunks']} chunks, {rate:,.0f}/s")
    print(f"{'events':>12}: {durable['events'] / count:.3f} per document")
    print(f"{'history':>12}: {durable['history_bytes'] / count:.1f} bytes per document")
    print(f"{'ratio':>12}: {durable['seconds'] / plain['seconds']:.2f} times the plain run")
    if not arguments.quick:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(
            json.dumps(
                {
                    "measured": datetime.now(UTC).isoformat(timespec="seconds"),
                    "machine": f"{platform.machine()}, Python {platform.python_version()}",
                    "in_process": plain,
                    "workflow": durable,
                },
                indent=2,
            )
            + "\n"
        )


if __name__ == "__main__":
    main()
