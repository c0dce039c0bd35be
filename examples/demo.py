"""The whole promise on real documents, each claim checked.

Writes the reference topics that every CPython ships and this project's own pages to a work folder,
ingests them on a real Temporal server, kills the worker with SIGKILL half way, lets a new one
finish, answers questions, ingests again, changes one file, ingests again, and replays the recorded
history. Exits with 1 when a claim does not hold.

Usage: `python examples/demo.py [--work DIR]`
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from pydoc_data.topics import topics
from typing import IO

from temporalio.client import Client, WorkflowHistory
from temporalio.worker import Replayer

from durable_ingest import DurableIngestPlugin, Index, IngestReport, IngestRequest, SourceSpec
from durable_ingest.devserver import EmbeddedServer, find_executable
from durable_ingest.ids import file_uri
from durable_ingest.models import IndexSpec, Progress
from durable_ingest.ports import SearchHit
from durable_ingest.temporal.client import IngestHandle, connect, start_ingest
from durable_ingest.temporal.names import PROGRESS

QUESTIONS = (
    # A question, and words of the passage that answers it.
    ("How are anonymous functions written?", "lambda"),
    ("What is the order in which operators are evaluated?", "precedence"),
    # Shares no content word with its answer: only the meaning leads there.
    ("leaving iteration early", "terminates the loop"),
)

STOP_WORDS = {
    *("a", "an", "and", "are", "as", "at", "be", "by", "do", "for", "from", "how", "if", "in"),
    *("is", "it", "of", "on", "or", "that", "the", "this", "to", "what", "when", "where", "with"),
}


class Checks:
    """Counts claims and says each one as it is checked."""

    def __init__(self) -> None:
        self.made = 0
        self.failed: list[str] = []

    def that(self, claim: str, holds: bool, seen: object = "") -> None:
        """Check one claim."""
        self.made += 1
        detail = f" ({seen})" if seen != "" else ""
        print(f"  [{'ok' if holds else 'FAILED'}] {claim}{detail}", flush=True)
        if not holds:
            self.failed.append(claim)


def write_documents(folder: Path) -> int:
    """Write real documents as real files; return how many."""
    reference = folder / "reference"
    reference.mkdir(parents=True)
    for name, text in sorted(topics.items()):
        (reference / f"{name}.txt").write_text(text, encoding="utf-8")
    project = folder / "project"
    project.mkdir()
    here = Path(__file__).resolve().parent.parent
    for page in [here / "README.md", *sorted((here / "docs").glob("*.md"))]:
        shutil.copyfile(page, project / page.name)
    return sum(1 for path in folder.rglob("*") if path.is_file())


@contextmanager
def worker(
    server: str, index: Path, sources: Path, log: IO[str]
) -> Iterator[subprocess.Popen[str]]:
    """A worker process of all roles, up and polling."""
    command = [
        *(sys.executable, "-m", "durable_ingest", "worker"),
        *("--address", server, "--index", str(index), "--allow-root", str(sources)),
        *("--artifacts", str(index / "artifacts")),
        *("--vector-cache", str(index / "cache" / "vectors.sqlite")),
    ]
    process = subprocess.Popen(
        command,
        stdout=log,
        stderr=log,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1", "TOKENIZERS_PARALLELISM": "false"},
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(60)


async def half_way(handle: IngestHandle) -> Progress:
    """Wait until about half of the batches are committed."""
    while True:
        progress = await handle.query(PROGRESS, result_type=Progress)
        if progress.batches and progress.batches_done * 2 >= progress.batches:
            return progress
        await asyncio.sleep(0.1)


async def run_again(client: Client, request: IngestRequest) -> IngestReport:
    """Run the same job anew, once the one before is finished."""
    handle, attached = await start_ingest(client, request)
    assert not attached
    return await handle.result()


def show(report: IngestReport) -> None:
    """Print the counts of a report."""
    counts = report.counts.model_dump(exclude_defaults=True)
    print("  " + ", ".join(f"{value} {name}" for name, value in counts.items()))
    print(f"  in {report.seconds:.1f} s, index at commit {report.head}", flush=True)


def content_words(text: str) -> set[str]:
    """Lower-case words of a text that are no stop words."""
    return set(re.findall(r"[a-z]+", text.lower())) - STOP_WORDS


def ask(index: Path, checks: Checks) -> None:
    """Answer the questions with passages."""
    with Index.open(index) as opened:
        for question, wanted in QUESTIONS:
            hits = opened.search(question, k=3)
            print(f"\n  Q: {question}")
            for hit in hits:
                show_hit(hit)
            answers = [hit for hit in hits if wanted in " ".join(hit.text.lower().split())]
            checks.that(f"a passage found says {wanted!r}", bool(answers))
        shared = [content_words(question) & content_words(hit.text) for hit in answers]
        checks.that("the last question shares no content word with its answer", set() in shared)


def show_hit(hit: SearchHit) -> None:
    """Print one passage in a line."""
    name = hit.document_id.rsplit("/", 1)[-1]
    text = " ".join(hit.text.split())[:88]
    print(f"     {hit.score:.3f}  {name} [{hit.start}:{hit.end}]  {text}")


async def replay(history: WorkflowHistory) -> None:
    """Run the recorded history on the code as it is now; raises if they differ."""
    replayer = Replayer(workflows=[], plugins=[DurableIngestPlugin()])
    await replayer.replay_workflow(history)


@asynccontextmanager
async def server(folder: Path) -> AsyncIterator[str]:
    """An embedded Temporal server beside the index; yields its address."""
    executable = await asyncio.to_thread(find_executable, say=lambda line: print("  " + line))
    print(f"  Temporal CLI {executable.version} ({executable.origin})", flush=True)
    embedded = EmbeddedServer(folder, executable=executable)
    address = await asyncio.to_thread(embedded.start)
    try:
        yield address.target_host
    finally:
        await asyncio.to_thread(embedded.stop)


async def demonstrate(work: Path, checks: Checks) -> None:
    """Run the whole story."""
    sources, index = work / "documents", work / "index"
    print("1. Real documents as files")
    written = write_documents(sources)
    print(f"  {written} files")
    print("2. A server of its own")
    with (work / "worker.log").open("w") as log:
        async with server(index / "server") as address:
            client = await connect(target_host=address, plugins=[DurableIngestPlugin()])
            request = IngestRequest(
                sources=[SourceSpec(uri=file_uri(sources))],
                index=IndexSpec(uri=file_uri(index)),
                bulk_size=12,
                window=3,
            )
            print("3. Ingest; the worker is killed half way")
            handle, _ = await start_ingest(client, request)
            with worker(address, index, sources, log) as first:
                progress = await half_way(handle)
                first.kill()
                first.wait()
            print(f"  SIGKILL after {progress.batches_done} of {progress.batches} batches")
            with worker(address, index, sources, log):
                report = await handle.result()
                show(report)
                counts = report.counts
                checks.that("the counts add up to the files", counts.documents == written)
                checks.that("every file is in the index", counts.added == written, counts.added)
                checks.that("no input was cut off", counts.truncated == 0, counts.truncated)
                print("4. Ask")
                await asyncio.to_thread(ask, index, checks)
                print("\n5. Ingest again: nothing changed")
                again = await run_again(client, request)
                show(again)
                checks.that("nothing was embedded", again.counts.embedded == 0)
                checks.that("every file was skipped", again.counts.unchanged == written)
                print("6. Change one file, ingest again")
                changed = sources / "reference" / "with.txt"
                text = changed.read_text(encoding="utf-8")
                changed.write_text("A new first paragraph, and nothing else.\n\n" + text)
                third = await run_again(client, request)
                show(third)
                checks.that("one file was updated", third.counts.updated == 1)
                checks.that(
                    "only changed chunks were embedded",
                    0 < third.counts.embedded < third.counts.chunks,
                    f"{third.counts.embedded} of {third.counts.chunks}",
                )
            print("7. Record the history of the first run and replay it")
            history = await handle.fetch_history()
            (work / "history.json").write_text(history.to_json())
            recorded = WorkflowHistory.from_json(
                handle.id, (work / "history.json").read_text(encoding="utf-8")
            )
            await replay(recorded)
            size = (work / "history.json").stat().st_size
            checks.that(f"{len(recorded.events)} events replay on this code", True, f"{size} bytes")


def main() -> int:
    """Run the demo in a folder of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, help="an empty folder, kept; default: a temporary one")
    arguments = parser.parse_args()
    started = time.monotonic()
    checks = Checks()
    if arguments.work is not None:
        arguments.work.mkdir(parents=True)
        asyncio.run(demonstrate(arguments.work.resolve(), checks))
    else:
        with tempfile.TemporaryDirectory(prefix="durable-ingest-demo-") as folder:
            asyncio.run(demonstrate(Path(folder).resolve(), checks))
    seconds = time.monotonic() - started
    if checks.failed:
        print(f"\n{len(checks.failed)} of {checks.made} claims failed: {checks.failed}")
        return 1
    print(f"\nAll {checks.made} claims hold; {seconds:.0f} s.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
