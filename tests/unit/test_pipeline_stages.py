"""The stages before the index: discovery, planning, fetching, and what travels between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_ingest.errors import (
    InvalidInput,
    SourceMissing,
    SourceUnavailable,
    SourceUnreadable,
    TerminalError,
)
from durable_ingest.ids import sha256
from durable_ingest.models import (
    DocumentRef,
    DocumentState,
    EmbedderInfo,
    ErrorRow,
    PlannedDocument,
    SourceSpec,
)
from durable_ingest.pipeline.batches import (
    EmbeddedBatch,
    FetchedBatch,
    PreparedBatch,
    Remainder,
    dump_embedded,
    dump_fetched,
    dump_prepared,
    load_embedded,
    load_fetched,
    load_prepared,
)
from durable_ingest.pipeline.discovering import discover
from durable_ingest.pipeline.fetching import Fetcher
from durable_ingest.pipeline.planning import RACY_NS, Planner, batches
from durable_ingest.pipeline.preparing import Preparer
from durable_ingest.pipeline.recipe import Recipe, document_fingerprint
from durable_ingest.ports import Chunk, DocumentSource, Fetched, Unchanged

RECIPE = "recipe"
SECOND = 1_000_000_000


@dataclass
class Shelf:
    """A source kept in memory: what it lists, and what it answers per document."""

    listed: dict[str, list[DocumentRef | ErrorRow] | TerminalError] = field(default_factory=dict)
    answers: dict[str, Fetched | Unchanged | Exception] = field(default_factory=dict)

    def discover(self, spec: SourceSpec) -> Iterator[DocumentRef | ErrorRow]:
        items = self.listed[spec.uri]
        if isinstance(items, TerminalError):
            raise items
        yield from items

    def fetch(self, planned: PlannedDocument, *, max_bytes: int) -> Fetched | Unchanged:
        answer = self.answers[planned.ref.uri]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, Unchanged) and planned.known is None:
            return Fetched(b"whole", "text/plain", size=5)
        return answer

    def covers(self, spec: SourceSpec, uri: str) -> bool:
        return uri.startswith(spec.uri)


def of(shelf: Shelf) -> DocumentSource:
    return shelf


def ref(uri: str, **fields: object) -> DocumentRef:
    return DocumentRef.model_validate({"uri": uri, **fields})


# --- discovery -------------------------------------------------------------------------------


def test_a_document_of_two_sources_belongs_to_the_first() -> None:
    shelf = Shelf({"a": [ref("x"), ref("y")], "b": [ref("y"), ref("z")]})
    specs = [SourceSpec(uri="a", metadata={"from": "a"}), SourceSpec(uri="b")]
    found = list(discover(specs, lambda _: of(shelf)))
    assert ["x", "y", "z"] == [item.uri for item in found]
    assert [0, 0, 1] == [item.source for item in found if isinstance(item, DocumentRef)]
    assert {"from": "a"} == found[1].metadata if isinstance(found[1], DocumentRef) else None


def test_a_source_that_cannot_be_read_is_a_row_and_the_others_go_on() -> None:
    shelf = Shelf({"gone": SourceMissing("no such folder"), "a": [ref("x")]})
    found = list(discover([SourceSpec(uri="gone"), SourceSpec(uri="a")], lambda _: of(shelf)))
    assert isinstance(found[1], ErrorRow)
    assert ("gone", "discover", "SourceMissing") == (
        found[1].uri,
        found[1].stage,
        found[1].error_type,
    )


def test_no_readable_source_at_all_is_the_first_ones_error() -> None:
    shelf = Shelf({"gone": SourceMissing("no such folder"), "empty": []})
    with pytest.raises(SourceMissing, match="no such folder"):
        list(discover([SourceSpec(uri="gone"), SourceSpec(uri="empty")], lambda _: of(shelf)))
    with pytest.raises(InvalidInput, match="empty holds nothing that can be read"):
        list(discover([SourceSpec(uri="empty")], lambda _: of(shelf)))
    with pytest.raises(InvalidInput, match="no sources given"):
        list(discover([], lambda _: of(shelf)))


# --- planning --------------------------------------------------------------------------------


def state_of(document: DocumentRef, **fields: object) -> DocumentState:
    given: dict[str, object] = {
        "document_id": document.uri,
        "content_sha256": sha256(b"text"),
        "fingerprint": document_fingerprint(RECIPE, document),
        "size": document.size,
        "modified_ns": document.modified_ns,
        "scanned_ns": (document.modified_ns or 0) + RACY_NS + 1,
        **fields,
    }
    return DocumentState.model_validate(given)


FILE = ref("file:///a", size=4, modified_ns=5 * SECOND)


@dataclass(frozen=True)
class Rung:
    """What the index knows, and whether the document may be skipped without reading it."""

    name: str
    document: DocumentRef
    known: DocumentState | None
    skipped: bool


RUNGS = [
    Rung("equal-stat", FILE, state_of(FILE), skipped=True),
    Rung("unknown", FILE, None, skipped=False),
    Rung("other-size", FILE, state_of(FILE, size=5), skipped=False),
    Rung("other-time", FILE, state_of(FILE, modified_ns=6 * SECOND), skipped=False),
    Rung("other-recipe", FILE, state_of(FILE, fingerprint="other"), skipped=False),
    Rung("racy-time", FILE, state_of(FILE, scanned_ns=5 * SECOND + RACY_NS), skipped=False),
    Rung("never-scanned", FILE, state_of(FILE, scanned_ns=None), skipped=False),
    Rung("no-times", ref("file:///a"), state_of(ref("file:///a")), skipped=False),
    Rung(
        "other-metadata",
        FILE.model_copy(update={"metadata": {"a": 1}}),
        state_of(FILE),
        skipped=False,
    ),
]


@pytest.mark.parametrize("rung", RUNGS, ids=lambda rung: rung.name)
def test_a_document_is_skipped_only_where_that_is_sure(rung: Rung) -> None:
    known = {} if rung.known is None else {rung.document.uri: rung.known}
    work, unchanged = Planner(lambda _: known, RECIPE).plan([rung.document])
    assert (0 if rung.skipped else 1, 1 if rung.skipped else 0) == (len(work), unchanged)


def test_verify_content_reads_everything() -> None:
    planner = Planner(lambda _: {FILE.uri: state_of(FILE)}, RECIPE, verify_content=True)
    assert 0 == planner.plan([FILE])[1]


@given(
    st.lists(st.none() | st.integers(0, 300), max_size=40), st.integers(1, 5), st.integers(1, 500)
)
def test_batches_keep_order_and_limits(
    sizes: list[int | None], bulk_size: int, bulk_bytes: int
) -> None:
    work = [PlannedDocument(ref=ref(f"u{n}", size=size)) for n, size in enumerate(sizes)]
    made = list(batches(work, bulk_size=bulk_size, bulk_bytes=bulk_bytes))
    assert work == [item for batch in made for item in batch]
    for batch in made:
        assert 1 <= len(batch) <= bulk_size
        known = [item.ref.size for item in batch if item.ref.size is not None]
        assert len(batch) == 1 or sum(known) <= bulk_bytes


# --- fetching --------------------------------------------------------------------------------


def fetched(text: bytes, **fields: object) -> Fetched:
    return replace(Fetched(text, "text/plain", size=len(text)), **fields)  # type: ignore[arg-type]


def fetch(shelf: Shelf, planned: Sequence[PlannedDocument], *, final: bool = False) -> FetchedBatch:
    return Fetcher(lambda _: of(shelf), RECIPE, 1000).fetch(planned, final=final)


def test_every_document_has_one_outcome_and_order_is_kept() -> None:
    shelf = Shelf(
        answers={
            "new": fetched(b"new text"),
            "same": fetched(b"text"),
            "gone": SourceMissing("404"),
            "bad": SourceUnreadable("no permission"),
            "away": SourceUnavailable("503", retry_after=7.0),
            "newer": fetched(b"more text"),
        }
    )
    known = {uri: state_of(ref(uri), size=4) for uri in ("same", "gone")}
    planned = [PlannedDocument(ref=ref(uri), known=known.get(uri)) for uri in shelf.answers]
    batch = fetch(shelf, planned)
    assert ["new", "newer"] == [item.planned.ref.uri for item in batch.documents]
    assert 1 == batch.remainder.unchanged
    assert ["gone"] == batch.remainder.gone
    assert ["SourceMissing", "SourceUnreadable"] == [r.error_type for r in batch.remainder.errors]
    assert ["away"] == [item.ref.uri for item in batch.deferred]
    assert 7.0 == batch.retry_after


def test_the_last_round_turns_unavailable_sources_into_rows() -> None:
    shelf = Shelf(answers={"away": SourceUnavailable("503")})
    batch = fetch(shelf, [PlannedDocument(ref=ref("away"))], final=True)
    assert [] == batch.deferred
    assert ["SourceUnavailable"] == [row.error_type for row in batch.remainder.errors]


def test_a_touched_file_gets_its_new_times_without_new_chunks() -> None:
    shelf = Shelf(answers={"a": fetched(b"text", modified_ns=9, scanned_ns=9 + RACY_NS + 1)})
    known = state_of(ref("a", size=4, modified_ns=1))
    batch = fetch(shelf, [PlannedDocument(ref=ref("a"), known=known)])
    assert [9] == [state.modified_ns for state in batch.remainder.touched]
    assert [] == batch.documents


def test_not_modified_is_believed_only_for_the_same_recipe() -> None:
    shelf = Shelf(answers={"a": Unchanged(etag="e")})
    same = fetch(shelf, [PlannedDocument(ref=ref("a"), known=state_of(ref("a")))])
    assert (1, 0) == (same.remainder.unchanged, len(same.documents))
    other = state_of(ref("a"), fingerprint="other")
    anew = fetch(shelf, [PlannedDocument(ref=ref("a"), known=other)])
    assert [b"whole"] == [item.content for item in anew.documents]


# --- preparing -------------------------------------------------------------------------------


@dataclass
class Stumbling:
    """A chunker with a bug that one document meets."""

    fingerprint: str = "stumbling"

    def chunk(self, text: str, *, media_type: str, title: str | None = None) -> list[Chunk]:
        return [Chunk(text, 0, len(text))] if 1 // text.count("a") else []


def test_a_document_that_meets_a_bug_is_a_row_and_the_others_go_on() -> None:
    shelf = Shelf(answers={"good": fetched(b"a"), "odd": fetched(b"b"), "fine": fetched(b"a")})
    batch = fetch(shelf, [PlannedDocument(ref=ref(uri)) for uri in shelf.answers])
    info = EmbedderInfo(fingerprint="f", model="m", dimension=1)
    prepared = Preparer(Recipe(Stumbling(), None, info, "", RECIPE)).prepare(batch)
    assert ["good", "fine"] == [record.state.document_id for record in prepared.records]
    (row,) = prepared.remainder.errors
    assert ("odd", "chunk", "ConversionFailed") == (row.uri, row.stage, row.error_type)
    assert "unexpected ZeroDivisionError" in row.message


# --- between stages --------------------------------------------------------------------------


def test_a_fetched_batch_survives_its_artifact_and_has_one_spelling() -> None:
    shelf = Shelf(answers={"a": fetched(b"\x00\xff"), "b": fetched(b"")})
    batch = fetch(shelf, [PlannedDocument(ref=ref(uri)) for uri in ("a", "b")])
    data = dump_fetched(batch)
    assert batch == load_fetched(data)
    assert [b"\x00\xff", b""] == [item.content for item in load_fetched(data).documents]
    assert data == dump_fetched(load_fetched(data))


def test_a_prepared_batch_survives_its_artifact() -> None:
    row = ErrorRow(uri="a", stage="convert", error_type="E", message="line\u2028break\n")
    batch = PreparedBatch([], Remainder(errors=[row], unchanged=3, gone=["b"]), truncated=2)
    assert batch == load_prepared(dump_prepared(batch))


def test_vectors_survive_their_artifact_bit_by_bit() -> None:
    vectors = np.random.default_rng(1).random((3, 5), dtype=np.float32)
    back = load_embedded(dump_embedded(EmbeddedBatch(["a", "b", "c"], vectors, 2, 1)))
    assert (["a", "b", "c"], 2, 1) == (back.keys, back.embedded, back.reused)
    assert np.array_equal(vectors, back.vectors)
    assert back.vectors.flags.c_contiguous
