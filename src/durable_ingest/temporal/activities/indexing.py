"""Activities of an index's own queue: planning against it, committing to it, finishing."""

from __future__ import annotations

from collections.abc import Iterator

from temporalio import activity

from durable_ingest.errors import IndexMismatch
from durable_ingest.models import (
    Counts,
    DocumentRef,
    IndexSpec,
    IngestReport,
    PlannedDocument,
)
from durable_ingest.pipeline.batches import (
    JSON_LINES,
    dump_lines,
    load_embedded,
    load_lines,
    load_prepared,
)
from durable_ingest.pipeline.committing import commit, delete, without_rejected
from durable_ingest.pipeline.planning import Planner, batches, vanished
from durable_ingest.pipeline.resources import Resources
from durable_ingest.ports import ArtifactStore, Store
from durable_ingest.temporal.activities.boundary import Pulse, at_boundary, in_thread
from durable_ingest.temporal.activities.files import (
    JSON,
    chain_errors,
    get_references,
    put_references,
    put_rows,
    read_errors,
)
from durable_ingest.temporal.activities.preparing import recipe_of
from durable_ingest.temporal.activities.reading import sources_of
from durable_ingest.temporal.contracts import (
    CommitInput,
    Committed,
    FinishInput,
    PlanInput,
    Planned,
    RecipeSpec,
)
from durable_ingest.temporal.names import COMMIT, FINISH, PLAN

INLINE_ERRORS = 20
"""Error rows that a report carries itself; all of them are in its artifact."""


class IndexingActivities:
    """Plans against an index and writes to it."""

    def __init__(self, resources: Resources, artifacts: ArtifactStore) -> None:
        self._resources = resources
        self._artifacts = artifacts

    def _existing(self, index: IndexSpec, embedder: str) -> Store:
        """The index that the run was planned against.

        Raises:
            IndexMissing: It was removed since; a new one would lack what is committed already.
            IndexMismatch: Another one has taken its place.
        """
        store = self._resources.store(index)
        found = store.info().settings
        if found.embedder != embedder:
            raise IndexMismatch(
                f"the index {index.uri!r} was replaced while the job ran: it is of {found.model!r} "
                f"(fingerprint {found.embedder[:12]}) now, and the job embeds with {embedder[:12]}"
            )
        return store

    # --- plan -------------------------------------------------------------------------------

    @activity.defn(name=PLAN)
    @at_boundary
    async def plan_batches(self, job: PlanInput) -> Planned:
        """Leave out what is unchanged and group the rest into batches."""
        return await in_thread(self._plan, job)

    def _plan(self, job: PlanInput, heart: Pulse) -> Planned:
        request = job.request
        store = self._resources.store(request.index, create=(job.embedder, request.embedder))
        store.check()
        spec = RecipeSpec(chunker=request.chunker, embedder=request.embedder, info=job.embedder)
        recipe = recipe_of(self._resources, self._artifacts, spec)
        planner = Planner(store.states, recipe.fingerprint, request.verify_content)
        unchanged = 0
        seen: set[str] = set()

        def work() -> Iterator[PlannedDocument]:
            nonlocal unchanged
            for page in get_references(self._artifacts, job.discovered.pages):
                refs = list(load_lines(DocumentRef, self._artifacts.get(page)))
                seen.update(ref.uri for ref in refs)
                heart.tick(len(seen))
                found, same = planner.plan(refs)
                unchanged += same
                yield from found

        pages = [
            self._artifacts.put(dump_lines(batch), media_type=JSON_LINES)
            for batch in batches(work(), bulk_size=request.bulk_size, bulk_bytes=request.bulk_bytes)
        ]
        failed = job.discovered.failed
        return Planned(
            manifest=put_references(self._artifacts, pages),
            recipe=self._artifacts.put(spec.model_dump_json().encode(), media_type=JSON),
            fingerprint=recipe.fingerprint,
            batches=len(pages),
            counts=Counts(documents=unchanged + failed, unchanged=unchanged, failed=failed),
            errors=job.discovered.errors,
            head=store.info().sequence,
        )

    # --- commit -----------------------------------------------------------------------------

    @activity.defn(name=COMMIT)
    @at_boundary
    async def commit_batch(self, job: CommitInput) -> Committed:
        """Make a batch visible, whole or not at all."""
        return await in_thread(self._commit, job)

    def _commit(self, job: CommitInput, _: Pulse) -> Committed:
        store = self._existing(job.index, job.embedder)
        prepared = load_prepared(self._artifacts.get(job.prepared))
        embedded = (
            None if job.embedded is None else load_embedded(self._artifacts.get(job.embedded))
        )
        prepared = without_rejected(prepared, embedded)
        counts, head = commit(
            store, prepared, embedded, first_run_id=job.first_run_id, ordinal=job.ordinal
        )
        errors = chain_errors(self._artifacts, prepared.remainder.errors, job.errors)
        return Committed(counts=counts, errors=errors, head=head)

    # --- finish -----------------------------------------------------------------------------

    @activity.defn(name=FINISH)
    @at_boundary
    async def finish_run(self, job: FinishInput) -> IngestReport:
        """Remove vanished documents and write the report."""
        return await in_thread(self._finish, job)

    def _finish(self, job: FinishInput, heart: Pulse) -> IngestReport:
        request = job.request
        store = self._existing(request.index, job.embedder.fingerprint)
        rows = [row for link in read_errors(self._artifacts, job.errors) for row in link]
        counts = job.counts
        if request.delete_vanished and not job.cancelled and job.listed is not None:
            specs = sources_of(request, self._artifacts)
            pages = get_references(self._artifacts, job.listed)
            seen = {
                ref.uri
                for page in pages
                for ref in load_lines(DocumentRef, self._artifacts.get(page))
            }
            unlisted = [row.uri for row in rows if row.stage == "discover"]
            lost = list(vanished(store, specs, self._resources.source, seen, unlisted))
            heart.tick(len(lost))
            deleted, _ = delete(store, lost, first_run_id=job.first_run_id, ordinal=job.ordinal)
            counts = counts.plus(Counts(deleted=deleted))
        pending = job.planned - counts.documents
        counts = counts.plus(Counts(documents=pending, pending=pending))
        return IngestReport(
            status="cancelled" if job.cancelled else "completed",
            counts=counts,
            errors=rows[:INLINE_ERRORS],
            error_report=put_rows(self._artifacts, rows) if rows else None,
            head=store.info().sequence,
            embedder=job.embedder,
            started_at=job.started_at,
        )
