"""The workflow that takes documents to an index, batch by batch.

Longer than other modules on purpose: what a run may do next depends on all of its state, and is
read most safely in one place.
"""

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from durable_ingest.models.document import ArtifactRef
    from durable_ingest.models.ingestion import (
        Counts,
        Cursor,
        IngestReport,
        IngestRequest,
        Progress,
    )
    from durable_ingest.temporal.contracts import (
        CommitInput,
        DescribeInput,
        DiscoverInput,
        EmbedInput,
        FetchInput,
        FinishInput,
        PlanInput,
        PrepareInput,
        commit_batch,
        describe_embedder,
        discover_documents,
        embed_batch,
        fetch_batch,
        finish_run,
        plan_batches,
        prepare_batch,
    )
    from durable_ingest.temporal.names import (
        CANCEL,
        COMMIT,
        DESCRIBE,
        DISCOVER,
        EMBED,
        FETCH,
        FINISH,
        INGEST_DOCUMENTS,
        PAUSE,
        PLAN,
        PREPARE,
        PROGRESS,
        RESUME,
        Role,
        queue_of,
    )
    from durable_ingest.temporal.options import OPTIONS

FIRST_RETRY = 10.0
"""Seconds before documents of an unavailable source are tried again; doubles each round."""


@workflow.defn(name=INGEST_DOCUMENTS)
class IngestDocuments:
    """Plan, then per batch fetch, prepare, embed and commit, with a window of batches in flight.

    Batches commit in order, so that two runs over the same input write the same log. History
    holds references and counts only. A run that grows long continues as new between batches.
    """

    @workflow.init
    def __init__(self, request: IngestRequest) -> None:
        """Start from the request's cursor, if it has one."""
        self._request = request
        self._cursor = request.cursor
        self._paused = request.cursor.paused if request.cursor else False
        self._cancelled = request.cursor.cancelled if request.cursor else False
        self._counts = request.cursor.counts if request.cursor else Counts()
        self._errors = request.cursor.errors if request.cursor else None
        self._head = request.cursor.head if request.cursor else 0
        self._planned = request.cursor.planned if request.cursor else 0
        self._committed = request.cursor.ordinal if request.cursor else 0
        self._deferred: list[ArtifactRef] = list(request.cursor.deferred) if request.cursor else []
        self._retry_after = request.cursor.retry_after if request.cursor else 0.0
        self._waiting = 0
        self._in_flight: dict[int, asyncio.Task[None]] = {}
        self._committing: int | None = None
        self._failure: BaseException | None = None
        self._status = "planning"

    @workflow.run
    async def run(self, request: IngestRequest) -> IngestReport:
        """Run the job from where it stands."""
        cursor = self._cursor or await self._plan(request)
        self._cursor = cursor
        self._status = "running"
        cursor = await self._main_batches(cursor)
        cursor = await self._deferred_batches(cursor)
        self._status = "finishing"
        report = await workflow.execute_activity(
            finish_run,
            FinishInput(
                request=request.job(),
                embedder=cursor.embedder,
                listed=cursor.listed,
                planned=cursor.planned,
                first_run_id=cursor.first_run_id,
                ordinal=cursor.ordinal,
                counts=self._counts,
                errors=self._errors,
                started_at=cursor.started_at,
                cancelled=self._cancelled,
            ),
            task_queue=self._queue(Role.INDEX),
            **OPTIONS[FINISH],
        )
        # The workflow's clock began the run, so it ends it too: a worker's may differ.
        report = report.model_copy(update={"finished_at": workflow.now()})
        self._counts = report.counts
        self._head = report.head
        self._status = "done"
        await workflow.wait_condition(workflow.all_handlers_finished)
        return report

    # --- messages ---------------------------------------------------------------------------

    @workflow.query(name=PROGRESS)
    def progress(self) -> Progress:
        """How far the job is."""
        status = self._status
        if status == "running" and self._cancelled:
            status = "cancelling"
        elif status == "running" and self._paused:
            status = "paused"
        cursor = self._cursor
        return Progress.model_validate(
            {
                "status": status,
                "counts": self._counts,
                "planned": self._planned or self._counts.documents,
                "batches": cursor.batches if cursor else 0,
                "batches_done": min(self._committed, cursor.batches) if cursor else 0,
                "deferred": len(self._deferred) + self._waiting,
            }
        )

    @workflow.signal(name=PAUSE)
    def signal_pause(self) -> None:
        """Start no further batch; those in flight finish."""
        self._paused = True

    @workflow.signal(name=RESUME)
    def signal_resume(self) -> None:
        """Go on."""
        self._paused = False

    @workflow.signal(name=CANCEL)
    def signal_cancel(self) -> None:
        """Stop with what is committed; the rest is reported as pending."""
        self._stop()

    @workflow.update(name=PAUSE)
    def pause(self) -> Progress:
        """Start no further batch; those in flight finish."""
        self._paused = True
        return self.progress()

    @workflow.update(name=RESUME)
    def resume(self) -> Progress:
        """Go on."""
        self._paused = False
        return self.progress()

    @workflow.update(name=CANCEL)
    def cancel(self) -> Progress:
        """Stop with what is committed; the rest is reported as pending."""
        self._stop()
        return self.progress()

    def _stop(self) -> None:
        self._cancelled = True
        for ordinal, task in self._in_flight.items():
            # A commit under way is let through: it is short, and atomic anyway.
            if ordinal != self._committing:
                task.cancel()

    # --- the way of a batch -----------------------------------------------------------------

    async def _plan(self, request: IngestRequest) -> Cursor:
        started = workflow.now()
        embedder = await workflow.execute_activity(
            describe_embedder,
            DescribeInput(embedder=request.embedder),
            task_queue=self._queue(Role.GPU),
            **OPTIONS[DESCRIBE],
        )
        discovered = await workflow.execute_activity(
            discover_documents,
            DiscoverInput(request=request),
            task_queue=self._queue(Role.IO),
            **OPTIONS[DISCOVER],
        )
        planned = await workflow.execute_activity(
            plan_batches,
            PlanInput(request=request, embedder=embedder, discovered=discovered),
            task_queue=self._queue(Role.INDEX),
            **OPTIONS[PLAN],
        )
        self._planned = discovered.documents + discovered.failed
        self._counts = planned.counts
        self._errors = planned.errors
        self._head = planned.head
        return Cursor(
            first_run_id=workflow.info().first_execution_run_id,
            started_at=started,
            embedder=embedder,
            listed=discovered.pages,
            recipe=planned.recipe,
            fingerprint=planned.fingerprint,
            manifest=planned.manifest,
            batches=planned.batches,
            planned=self._planned,
        )

    async def _main_batches(self, cursor: Cursor) -> Cursor:
        number = cursor.next_batch
        ordinal = cursor.ordinal
        while number < cursor.batches:
            if not await self._slot():
                break
            if workflow.info().is_continue_as_new_suggested():
                await self._continue_as_new(cursor, next_batch=number, ordinal=ordinal)
            self._start(cursor, ordinal, batch=number, final=self._request.retry_rounds == 0)
            number += 1
            ordinal += 1
        await self._drain()
        return cursor.model_copy(update={"next_batch": number, "ordinal": ordinal})

    async def _deferred_batches(self, cursor: Cursor) -> Cursor:
        ordinal = cursor.ordinal
        for round_ in range(cursor.retry_round, self._request.retry_rounds):
            if not self._deferred or self._cancelled:
                break
            waiting, self._deferred = self._deferred, []
            self._waiting = len(waiting)
            pause = max(self._retry_after, FIRST_RETRY * 2**round_)
            self._retry_after = 0.0
            await self._sleep(pause)
            final = round_ == self._request.retry_rounds - 1
            for position, documents in enumerate(waiting):
                if not await self._slot():
                    self._deferred += waiting[position:]
                    break
                self._waiting -= 1
                self._start(cursor, ordinal, documents=documents, final=final)
                ordinal += 1
            await self._drain()
            cursor = cursor.model_copy(update={"retry_round": round_ + 1, "ordinal": ordinal})
            if workflow.info().is_continue_as_new_suggested():
                await self._continue_as_new(
                    cursor, next_batch=cursor.next_batch, ordinal=cursor.ordinal
                )
        return cursor.model_copy(update={"ordinal": ordinal})

    async def _slot(self) -> bool:
        """Wait until a batch may start; False if the run is to stop."""
        await workflow.wait_condition(
            lambda: (
                self._cancelled
                or self._failure is not None
                or (not self._paused and len(self._in_flight) < self._request.window)
            )
        )
        if self._failure is not None:
            await self._drain()
        return not self._cancelled

    async def _sleep(self, seconds: float) -> None:
        """A durable pause that a cancellation ends early."""
        try:
            await workflow.wait_condition(
                lambda: self._cancelled, timeout=timedelta(seconds=seconds)
            )
        except TimeoutError:
            return

    def _start(
        self,
        cursor: Cursor,
        ordinal: int,
        *,
        batch: int = 0,
        documents: ArtifactRef | None = None,
        final: bool,
    ) -> None:
        task = asyncio.create_task(self._guard(cursor, ordinal, batch, documents, final))
        self._in_flight[ordinal] = task
        # Not in the task itself: one that is cancelled before its first step runs no code at all.
        task.add_done_callback(lambda _: self._in_flight.pop(ordinal, None))

    async def _guard(
        self, cursor: Cursor, ordinal: int, batch: int, documents: ArtifactRef | None, final: bool
    ) -> None:
        try:
            await self._batch(cursor, ordinal, batch, documents, final=final)
        except asyncio.CancelledError:
            if not self._cancelled:
                raise
        except Exception as error:  # noqa: BLE001 - raised again by _drain; else it would vanish
            if self._cancelled and is_cancelled_exception(error):
                return
            self._failure = self._failure or error

    async def _batch(
        self,
        cursor: Cursor,
        ordinal: int,
        batch: int,
        documents: ArtifactRef | None,
        *,
        final: bool,
    ) -> None:
        request = self._request
        fetched = await workflow.execute_activity(
            fetch_batch,
            FetchInput(
                manifest=cursor.manifest,
                batch=batch,
                documents=documents,
                fingerprint=cursor.fingerprint,
                max_document_bytes=request.max_document_bytes,
                final=final,
                delete_missing=request.delete_vanished,
            ),
            task_queue=self._queue(Role.IO),
            **OPTIONS[FETCH],
        )
        prepared = await workflow.execute_activity(
            prepare_batch,
            PrepareInput(
                batch=fetched.batch,
                recipe=cursor.recipe,
            ),
            task_queue=self._queue(Role.CPU),
            **OPTIONS[PREPARE],
        )
        vectors: ArtifactRef | None = None
        if prepared.chunks:
            embedded = await workflow.execute_activity(
                embed_batch,
                EmbedInput(batch=prepared.batch, index=request.index, embedder=request.embedder),
                task_queue=self._queue(Role.GPU),
                **OPTIONS[EMBED],
            )
            vectors = embedded.batch
        await workflow.wait_condition(
            # An activity that was done already swallows the cancellation of its batch, whose
            # turn would never come: the one before it may have been cancelled.
            lambda: self._committed == ordinal or self._failure is not None or self._cancelled
        )
        if self._failure is not None or self._cancelled:
            return
        self._committing = ordinal
        try:
            committed = await workflow.execute_activity(
                commit_batch,
                CommitInput(
                    index=request.index,
                    embedder=cursor.embedder.fingerprint,
                    prepared=prepared.batch,
                    embedded=vectors,
                    first_run_id=cursor.first_run_id,
                    ordinal=ordinal,
                    errors=self._errors,
                ),
                task_queue=self._queue(Role.INDEX),
                **OPTIONS[COMMIT],
            )
        finally:
            self._committing = None
        self._counts = self._counts.plus(committed.counts)
        self._errors = committed.errors
        self._head = committed.head
        self._committed = ordinal + 1
        if fetched.deferred is not None:
            self._deferred.append(fetched.deferred)
            self._retry_after = max(self._retry_after, fetched.retry_after)

    async def _drain(self) -> None:
        """Wait for the batches in flight; raise the first failure, the others cancelled."""
        await workflow.wait_condition(lambda: not self._in_flight or self._failure is not None)
        if self._failure is None:
            return
        for task in list(self._in_flight.values()):
            task.cancel()
        await workflow.wait_condition(lambda: not self._in_flight)
        raise self._failure

    async def _continue_as_new(self, cursor: Cursor, *, next_batch: int, ordinal: int) -> None:
        await self._drain()
        await workflow.wait_condition(workflow.all_handlers_finished)
        workflow.continue_as_new(
            self._request.model_copy(
                update={
                    "cursor": cursor.model_copy(
                        update={
                            "next_batch": next_batch,
                            "ordinal": ordinal,
                            "deferred": self._deferred,
                            "retry_after": self._retry_after,
                            "counts": self._counts,
                            "errors": self._errors,
                            "head": self._head,
                            "paused": self._paused,
                            "cancelled": self._cancelled,
                        }
                    )
                }
            )
        )

    def _queue(self, role: Role) -> str:
        return queue_of(workflow.info().task_queue, role, self._request.index.uri)
