"""The whole way of a document in one process, with no Temporal: for scripts and as a baseline."""

from __future__ import annotations

import asyncio
import itertools
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from durable_ingest.errors import InvalidInput
from durable_ingest.ids import file_uri
from durable_ingest.models import (
    ChunkerSpec,
    Counts,
    DocumentRef,
    EmbedderSpec,
    ErrorRow,
    IndexSpec,
    IngestReport,
    IngestRequest,
    Metadata,
    PlannedDocument,
    Progress,
)
from durable_ingest.pipeline.batches import FetchedBatch
from durable_ingest.pipeline.committing import commit, delete, without_rejected
from durable_ingest.pipeline.discovering import discover
from durable_ingest.pipeline.embedding import EmbeddingStage
from durable_ingest.pipeline.fetching import Fetcher
from durable_ingest.pipeline.planning import Planner, batches, vanished
from durable_ingest.pipeline.preparing import Preparer
from durable_ingest.pipeline.resources import Resources
from durable_ingest.settings import WorkerSettings
from durable_ingest.sources.targets import parse_target

PAGE = 1000
INLINE_ERRORS = 20
FIRST_RETRY = 10.0
"""Seconds before documents of an unavailable source are tried again; doubles each round."""

Observer = Callable[[Progress], None]


def ingest(
    targets: str | Path | Sequence[str | Path],
    *,
    index: str | Path,
    embedder: EmbedderSpec | None = None,
    chunker: ChunkerSpec | None = None,
    metadata: Metadata | None = None,
    settings: WorkerSettings | None = None,
    on_progress: Observer | None = None,
    **options: Any,
) -> IngestReport:
    """Ingest files, folders, patterns or web addresses into an index, in this process.

    Unchanged documents are skipped, vanished ones removed. What was committed before an
    interruption stays; the next call goes on from there.

    Args:
        targets: Paths, glob patterns or http(s) addresses.
        index: Folder of the index; made when it does not exist.
        embedder: Model; default all-MiniLM-L6-v2.
        chunker: How to cut; default by structure, up to the model's limit.
        metadata: Copied to every document, for filters when searching.
        settings: Limits and roots; default: exactly the given targets may be read.
        on_progress: Called after each batch.
        **options: Further fields of `IngestRequest`, such as `bulk_size`.

    Returns:
        The report; its counts add up to the number of documents found.

    Raises:
        InvalidInput: A target or option is wrong.
        IndexMismatch: The index was made with another model.
        TransientError: Disk full or embedding service unavailable; call again later.
    """
    names = [targets] if isinstance(targets, str | Path) else list(targets)
    specs = [parse_target(str(name), base=Path.cwd()) for name in names]
    request = _request_of(
        {
            "sources": [{**dict(spec), "metadata": metadata or {}} for spec in specs],
            "index": IndexSpec(uri=file_uri(Path(index))),
            "embedder": embedder or EmbedderSpec(),
            "chunker": chunker or ChunkerSpec(),
        },
        options,
    )
    given = settings or WorkerSettings(allowed_roots=tuple(roots_of(request)))
    resources = Resources(given)
    try:
        return run_request(request, resources, on_progress=on_progress)
    finally:
        resources.close()


def _request_of(given: dict[str, Any], options: dict[str, Any]) -> IngestRequest:
    """The request, checked: models alone would pass over names that they do not know."""
    known = IngestRequest.model_fields.keys() - given.keys() - {"source_list", "cursor"}
    for name in options:
        if name not in known:
            raise InvalidInput(f"unknown option {name!r}; there are: {', '.join(sorted(known))}")
    try:
        return IngestRequest.model_validate({**given, **options})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InvalidInput(f"{place} is {first['input']!r}: {first['msg']}") from error


async def aingest(
    targets: str | Path | Sequence[str | Path], *, index: str | Path, **options: Any
) -> IngestReport:
    """`ingest` for callers in an event loop; runs in a thread."""
    return await asyncio.to_thread(lambda: ingest(targets, index=index, **options))


def roots_of(request: IngestRequest) -> Iterator[Path]:
    """The folders that the request's own file targets name: what their user surely meant."""
    from durable_ingest.sources.files import root_of  # noqa: PLC0415 - only for file targets

    for spec in request.sources:
        if spec.kind == "files":
            yield root_of(spec)


def run_request(
    request: IngestRequest,
    resources: Resources,
    *,
    on_progress: Observer | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> IngestReport:
    """Run a request from discovery to report.

    Args:
        request: The job; `source_list` and `cursor` belong to workflows and are not read.
        resources: Adapters.
        on_progress: Called after each batch.
        sleep: Waits before documents of unavailable sources are tried again.
    """
    return _Run(request, resources, on_progress or (lambda _: None), sleep).run()


class _Run:
    def __init__(
        self,
        request: IngestRequest,
        resources: Resources,
        observe: Observer,
        sleep: Callable[[float], None],
    ) -> None:
        self.request = request
        self.resources = resources
        self.observe = observe
        self.sleep = sleep
        self.run_id = uuid.uuid4().hex
        self.ordinal = 0
        self.counts = Counts()
        self.errors: list[ErrorRow] = []
        self.unlisted: list[str] = []
        self.done = 0
        embedder = resources.embedder(request.embedder)
        self.info = embedder.describe()
        self.recipe = resources.recipe(
            request.chunker, request.embedder, self.info, embedder.tokenizer_json()
        )
        self.fetcher = Fetcher(
            resources.source,
            self.recipe.fingerprint,
            min(request.max_document_bytes, resources.settings.max_document_bytes),
            resources.settings.http_concurrency,
            request.delete_vanished,
        )
        self.preparer = Preparer(self.recipe)

    def run(self) -> IngestReport:
        started = datetime.now(UTC)
        found = discover(self.request.sources, self.resources.source)
        first = next(found, None)  # a request without any readable source changes nothing
        self.store = self.resources.store(
            self.request.index, create=(self.info, self.request.embedder)
        )
        self.store.check()
        self.stage = EmbeddingStage(
            self.resources.embedder(self.request.embedder),
            self.recipe.prompt,
            self.store.known_vectors,
            self.resources.vector_cache(),
        )
        seen: set[str] = set()
        deferred: list[PlannedDocument] = []
        wait = FIRST_RETRY
        items = found if first is None else itertools.chain([first], found)
        work = self._plan(items, seen)
        request = self.request
        for batch in batches(work, bulk_size=request.bulk_size, bulk_bytes=request.bulk_bytes):
            wait = max(wait, self._batch(batch, deferred, final=request.retry_rounds == 0))
        for remaining in reversed(range(request.retry_rounds)):
            if not deferred:
                break
            self.sleep(wait)
            wait *= 2
            again, deferred = deferred, []
            for batch in batches(again, bulk_size=request.bulk_size, bulk_bytes=request.bulk_bytes):
                wait = max(wait, self._batch(batch, deferred, final=remaining == 0))
        if request.delete_vanished:
            lost = list(
                vanished(self.store, request.sources, self.resources.source, seen, self.unlisted)
            )
            deleted, _ = delete(self.store, lost, first_run_id=self.run_id, ordinal=self.ordinal)
            self.counts = self.counts.plus(Counts(deleted=deleted))
        self.observe(Progress(status="done", counts=self.counts, planned=self.counts.documents))
        return IngestReport(
            counts=self.counts,
            errors=self.errors[:INLINE_ERRORS],
            head=self.store.info().sequence,
            embedder=self.info,
            started_at=started,
            finished_at=datetime.now(UTC),
        )

    def _plan(
        self, items: Iterator[DocumentRef | ErrorRow], seen: set[str]
    ) -> Iterator[PlannedDocument]:
        planner = Planner(self.store.states, self.recipe.fingerprint, self.request.verify_content)
        while page := list(itertools.islice(items, PAGE)):
            refs = [item for item in page if isinstance(item, DocumentRef)]
            rows = [item for item in page if isinstance(item, ErrorRow)]
            seen.update(ref.uri for ref in refs)
            self.unlisted += [row.uri for row in rows]
            work, unchanged = planner.plan(refs)
            self._count(
                Counts(documents=unchanged + len(rows), unchanged=unchanged, failed=len(rows)),
                rows,
            )
            yield from work

    def _batch(
        self, batch: list[PlannedDocument], deferred: list[PlannedDocument], *, final: bool
    ) -> float:
        fetched = self.fetcher.fetch(batch, final=final)
        deferred += fetched.deferred
        prepared = self.preparer.prepare(FetchedBatch(fetched.documents, fetched.remainder))
        embedded = self.stage.embed(prepared) if prepared.records else None
        prepared = without_rejected(prepared, embedded)
        counts, _ = commit(
            self.store, prepared, embedded, first_run_id=self.run_id, ordinal=self.ordinal
        )
        self.ordinal += 1
        self.done += 1
        self._count(counts, prepared.remainder.errors)
        self.observe(
            Progress(
                status="running",
                counts=self.counts,
                planned=self.counts.documents + len(deferred),
                batches_done=self.done,
                deferred=len(deferred),
            )
        )
        return fetched.retry_after

    def _count(self, counts: Counts, rows: Sequence[ErrorRow]) -> None:
        self.counts = self.counts.plus(counts)
        self.errors += rows
