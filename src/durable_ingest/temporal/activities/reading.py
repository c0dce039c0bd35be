"""Activities of the `-io` queue: listing sources and reading documents."""

from __future__ import annotations

import itertools

from temporalio import activity

from durable_ingest.errors import InvalidInput
from durable_ingest.models import (
    ArtifactRef,
    DocumentRef,
    ErrorRow,
    IngestRequest,
    PlannedDocument,
    SourceSpec,
)
from durable_ingest.pipeline.batches import (
    JSON_LINES,
    ZIP,
    FetchedBatch,
    dump_fetched,
    dump_lines,
    load_lines,
)
from durable_ingest.pipeline.discovering import discover
from durable_ingest.pipeline.fetching import Fetcher
from durable_ingest.pipeline.resources import Resources
from durable_ingest.ports import ArtifactStore
from durable_ingest.temporal.activities.boundary import Pulse, at_boundary, in_thread
from durable_ingest.temporal.activities.files import chain_errors, get_references, put_references
from durable_ingest.temporal.contracts import Discovered, DiscoverInput, FetchedRef, FetchInput
from durable_ingest.temporal.names import DISCOVER, FETCH

PAGE = 5000
"""Documents per page of a listing."""


def sources_of(request: IngestRequest, artifacts: ArtifactStore) -> list[SourceSpec]:
    """The sources of a request, those in its artifact included."""
    listed: list[SourceSpec] = []
    if request.source_list is not None:
        listed = list(load_lines(SourceSpec, artifacts.get(request.source_list)))
    return [*request.sources, *listed]


class ReadingActivities:
    """Lists and reads documents."""

    def __init__(self, resources: Resources, artifacts: ArtifactStore) -> None:
        self._resources = resources
        self._artifacts = artifacts

    @activity.defn(name=DISCOVER)
    @at_boundary
    async def discover_documents(self, job: DiscoverInput) -> Discovered:
        """List all documents of the sources."""
        return await in_thread(self._discover, job)

    def _discover(self, job: DiscoverInput, heart: Pulse) -> Discovered:
        found = discover(sources_of(job.request, self._artifacts), self._resources.source)
        pages: list[ArtifactRef] = []
        documents = failed = 0
        errors: ArtifactRef | None = None
        while page := list(itertools.islice(found, PAGE)):
            refs = [item for item in page if isinstance(item, DocumentRef)]
            rows = [item for item in page if isinstance(item, ErrorRow)]
            documents += len(refs)
            failed += len(rows)
            heart.tick(documents + failed)
            pages.append(self._artifacts.put(dump_lines(refs), media_type=JSON_LINES))
            errors = chain_errors(self._artifacts, rows, errors)
        return Discovered(
            pages=put_references(self._artifacts, pages),
            documents=documents,
            failed=failed,
            errors=errors,
        )

    @activity.defn(name=FETCH)
    @at_boundary
    async def fetch_batch(self, job: FetchInput) -> FetchedRef:
        """Read the bytes of a batch."""
        return await in_thread(self._fetch, job)

    def _fetch(self, job: FetchInput, heart: Pulse) -> FetchedRef:
        settings = self._resources.settings
        fetcher = Fetcher(
            self._resources.source,
            job.fingerprint,
            min(job.max_document_bytes, settings.max_document_bytes),
            settings.http_concurrency,
            job.delete_missing,
        )
        batch = fetcher.fetch(self._documents(job), final=job.final, tick=heart.tick)
        deferred = None
        if batch.deferred:
            deferred = self._artifacts.put(dump_lines(batch.deferred), media_type=JSON_LINES)
        fetched = FetchedBatch(batch.documents, batch.remainder)
        return FetchedRef(
            batch=self._artifacts.put(dump_fetched(fetched), media_type=ZIP),
            documents=len(batch.documents),
            deferred=deferred,
            deferred_documents=len(batch.deferred),
            retry_after=batch.retry_after,
        )

    def _documents(self, job: FetchInput) -> list[PlannedDocument]:
        page = job.documents
        if page is None:
            pages = get_references(self._artifacts, job.manifest)
            if not 0 <= job.batch < len(pages):
                raise InvalidInput(f"batch {job.batch!r} of a manifest of {len(pages)} pages")
            page = pages[job.batch]
        return list(load_lines(PlannedDocument, self._artifacts.get(page)))
