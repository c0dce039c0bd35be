"""Stage 3: read the bytes of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from durable_ingest.errors import SourceMissing, TerminalError, TransientError
from durable_ingest.ids import sha256
from durable_ingest.models import DocumentState, ErrorRow, PlannedDocument
from durable_ingest.pipeline.batches import FetchedBatch, FetchedDocument, Remainder
from durable_ingest.pipeline.discovering import Sources, error_row
from durable_ingest.pipeline.planning import RACY_NS
from durable_ingest.pipeline.recipe import document_fingerprint
from durable_ingest.ports import Fetched, Tick, Unchanged


@dataclass(frozen=True, slots=True)
class _Deferred:
    planned: PlannedDocument
    error: TransientError


@dataclass(frozen=True, slots=True)
class _Same:
    state: DocumentState
    touched: bool
    size: int = 0


@dataclass(frozen=True, slots=True)
class _Failed:
    row: ErrorRow
    gone: str | None = None


_Outcome = FetchedDocument | _Deferred | _Same | _Failed


@dataclass(frozen=True, slots=True)
class Fetcher:
    """Reads batches of documents.

    Attributes:
        sources: The adapter of a registry name.
        fingerprint: Of the recipe.
        max_bytes: Size limit per document.
        concurrency: Documents read at once.
        delete_missing: Remove indexed documents whose source answers that they are gone.
    """

    sources: Sources
    fingerprint: str
    max_bytes: int
    concurrency: int = 8
    delete_missing: bool = True

    def fetch(
        self, batch: Sequence[PlannedDocument], *, final: bool = False, tick: Tick | None = None
    ) -> FetchedBatch:
        """Read every document of the batch; order is kept.

        Documents whose source is unavailable come back as deferred, to be tried later; when
        `final`, they become error rows.
        """
        done = 0
        outcomes: list[_Outcome] = []
        pool = ThreadPoolExecutor(min(self.concurrency, max(1, len(batch))))
        try:
            for outcome in pool.map(self._one, batch):
                done += 1
                if tick is not None:
                    tick(done)
                outcomes.append(outcome)
        finally:
            pool.shutdown(cancel_futures=True)
        return _collect(outcomes, final=final)

    def _one(self, planned: PlannedDocument) -> _Outcome:
        ref, known = planned.ref, planned.known
        try:
            result = self.sources(ref.kind).fetch(planned, max_bytes=self.max_bytes)
        except TransientError as error:
            return _Deferred(planned, error)
        except SourceMissing as error:
            # What discovery saw a moment ago (it has a modification time) is being replaced, or
            # its disk unmounted: the next listing says whether it is gone for good.
            gone = self.delete_missing and known is not None and ref.modified_ns is None
            return _Failed(error_row(ref.uri, "fetch", error), gone=ref.uri if gone else None)
        except TerminalError as error:
            return _Failed(error_row(ref.uri, "fetch", error))
        current = document_fingerprint(self.fingerprint, ref)
        if isinstance(result, Unchanged):
            return self._confirmed(planned, current)
        content_sha256 = sha256(result.content)
        media_type = ref.media_type or result.media_type
        if (
            known is not None
            and known.content_sha256 == content_sha256
            and known.media_type in {"", media_type}
            and known.fingerprint == current
        ):
            state = known.model_copy(update=_signature(result))
            return _Same(state, touched=_stat(state) != _stat(known), size=len(result.content))
        return FetchedDocument(
            planned=planned,
            content_sha256=content_sha256,
            media_type=media_type,
            charset=result.charset,
            content=result.content,
            **_signature(result),
        )

    def _confirmed(self, planned: PlannedDocument, current: str) -> _Outcome:
        known = planned.known
        if known is not None and known.fingerprint == current:
            return _Same(known, touched=False)
        # Unchanged at the source, but to be processed anew: read it without conditions.
        return self._one(PlannedDocument(ref=planned.ref))


def _signature(result: Fetched) -> dict[str, object]:
    return {
        "size": result.size,
        "modified_ns": result.modified_ns,
        "scanned_ns": result.scanned_ns,
        "etag": result.etag,
        "last_modified": result.last_modified,
    }


def _stat(state: DocumentState) -> tuple[object, ...]:
    # The time of the scan matters only where it makes a file's times trustworthy.
    return (state.size, state.modified_ns, state.etag, state.last_modified, _racy(state))


def _racy(state: DocumentState) -> bool:
    if state.scanned_ns is None or state.modified_ns is None:
        return False
    return state.scanned_ns - state.modified_ns <= RACY_NS


def _collect(outcomes: Sequence[_Outcome], *, final: bool) -> FetchedBatch:
    documents = [item for item in outcomes if isinstance(item, FetchedDocument)]
    same = [item for item in outcomes if isinstance(item, _Same)]
    failed = [item for item in outcomes if isinstance(item, _Failed)]
    deferred = [item for item in outcomes if isinstance(item, _Deferred)]
    errors = [item.row for item in failed]
    if final:
        errors += [error_row(item.planned.ref.uri, "fetch", item.error) for item in deferred]
        deferred = []
    remainder = Remainder(
        touched=[item.state for item in same if item.touched],
        unchanged=len(same),
        gone=[item.gone for item in failed if item.gone is not None],
        errors=errors,
        bytes_read=sum(len(item.content) for item in documents) + sum(item.size for item in same),
    )
    waits = [item.error.retry_after for item in deferred if item.error.retry_after is not None]
    return FetchedBatch(
        documents,
        remainder,
        deferred=[item.planned for item in deferred],
        retry_after=max(waits, default=0.0),
    )
