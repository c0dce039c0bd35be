"""What a run does to documents that fail, vanish or change their kind, also when done twice."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from durable_ingest.errors import (
    IndexMismatch,
    IndexMissing,
    InvalidInput,
    SourceMissing,
    SourceUnavailable,
)
from durable_ingest.ids import file_uri, sha256
from durable_ingest.models import (
    ChunkerSpec,
    DocumentRecord,
    DocumentRef,
    DocumentState,
    EmbedderSpec,
    ErrorRow,
    IndexSpec,
    PlannedDocument,
    SourceSpec,
)
from durable_ingest.pipeline import committing
from durable_ingest.pipeline.discovering import discover
from durable_ingest.pipeline.fetching import Fetcher
from durable_ingest.pipeline.index import Index
from durable_ingest.pipeline.recipe import document_fingerprint
from durable_ingest.pipeline.resources import Resources
from durable_ingest.pipeline.run import ingest
from durable_ingest.ports import CommitBatch, Fetched, IndexSettings, Unchanged
from durable_ingest.settings import WorkerSettings
from durable_ingest.sources.files import FileSource
from durable_ingest.stores.faiss import FaissStore

HASHING = EmbedderSpec(kind="hashing", model="hashing", dimension=32)
CUT = ChunkerSpec(size=200, length="characters")


@dataclass
class Answering:
    """A source that gives one answer to whatever is asked for."""

    answer: Fetched | Exception

    def discover(self, spec: SourceSpec) -> Iterator[DocumentRef | ErrorRow]:
        yield DocumentRef(uri=spec.uri)

    def fetch(self, planned: PlannedDocument, *, max_bytes: int) -> Fetched | Unchanged:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def covers(self, spec: SourceSpec, uri: str) -> bool:
        return spec.uri == uri


def indexed(ref: DocumentRef, **fields: object) -> PlannedDocument:
    """A document that the index holds with the text `text`."""
    state = DocumentState.model_validate(
        {
            "document_id": ref.uri,
            "content_sha256": sha256(b"text"),
            "fingerprint": document_fingerprint("recipe", ref),
            **fields,
        }
    )
    return PlannedDocument(ref=ref, known=state)


# --- documents that are gone -----------------------------------------------------------------


@dataclass(frozen=True)
class Gone:
    """A document that is missing when it is read."""

    why: str
    ref: DocumentRef
    delete_missing: bool
    removed: list[str]


GONE = [
    Gone("address", DocumentRef(uri="http://a/"), delete_missing=True, removed=["http://a/"]),
    Gone("kept", DocumentRef(uri="http://a/"), delete_missing=False, removed=[]),
    # Discovery saw it, so its disk may just have been unmounted.
    Gone("listed", DocumentRef(uri="file:///a", modified_ns=1), delete_missing=True, removed=[]),
]


@pytest.mark.parametrize("case", GONE, ids=lambda case: case.why)
def test_a_missing_document_fails_and_is_removed_only_if_the_source_itself_said_so(
    case: Gone,
) -> None:
    source = Answering(SourceMissing("gone"))
    fetcher = Fetcher(lambda _: source, "recipe", 100, delete_missing=case.delete_missing)
    batch = fetcher.fetch([indexed(case.ref)])
    assert 1 == len(batch.remainder.errors)
    assert case.removed == batch.remainder.gone


def test_equal_bytes_of_another_media_type_are_read_anew() -> None:
    ref = DocumentRef(uri="http://a/")
    fetcher = Fetcher(lambda _: Answering(Fetched(b"text", "text/html")), "recipe", 100)
    assert 1 == len(fetcher.fetch([indexed(ref, media_type="text/plain")]).documents)
    assert [] == fetcher.fetch([indexed(ref, media_type="text/html")]).documents


def test_a_folder_that_is_replaced_while_it_is_listed_is_listed_again(tmp_path: Path) -> None:
    """An unmounted disk must not look like one whose files were deleted."""
    disk = tmp_path / "disk"
    for number in range(3):
        (disk / f"{number}").mkdir(parents=True)
        (disk / f"{number}" / "a.txt").write_text("text")
    found = FileSource(WorkerSettings(allowed_roots=(tmp_path,))).discover(
        SourceSpec(uri=file_uri(disk))
    )
    next(found)
    disk.rename(tmp_path / "away")
    disk.mkdir()
    with pytest.raises(SourceUnavailable, match="was replaced while it was listed"):
        list(found)


@pytest.mark.skipif(os.name == "nt", reason="names are Unicode there")
def test_the_row_of_an_empty_folder_with_an_undecodable_name_can_be_stored(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    (tmp_path / "a.txt").write_text("text")
    source = FileSource(WorkerSettings(allowed_roots=(tmp_path,)))
    specs = [SourceSpec(uri=file_uri(folder)), SourceSpec(uri=file_uri(tmp_path / "a.txt"))]
    rows = [item for item in discover(specs, lambda _: source) if isinstance(item, ErrorRow)]
    assert [rows[0]] == [ErrorRow.model_validate_json(row.model_dump_json()) for row in rows]
    with pytest.raises(InvalidInput, match="holds nothing") as caught:
        list(discover(specs[:1], lambda _: source))
    assert str(caught.value).encode()


# --- deleting twice --------------------------------------------------------------------------


def filled(folder: Path, ids: list[str]) -> FaissStore:
    """An index of documents without chunks."""
    store = FaissStore.create(folder, IndexSettings(4, "embedder", "model"))
    states = [
        DocumentState(document_id=name, content_sha256=sha256(b""), fingerprint="f") for name in ids
    ]
    store.commit(CommitBatch("fill", documents=[DocumentRecord(state=state) for state in states]))
    return store


@pytest.mark.parametrize("done", [0, 1, 2, 3], ids=lambda done: f"after-{done}-commits")
def test_deleting_again_after_a_crash_counts_what_the_first_try_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, done: int
) -> None:
    monkeypatch.setattr(committing, "DELETE_GROUP", 2)
    ids = [f"d{number}" for number in range(5)]
    with filled(tmp_path / "index", ids) as store:
        first = ids[: done * 2]
        committing.delete(store, first, first_run_id="run", ordinal=7)
        left = [state.document_id for state in store.documents()]
        assert (5, done + 1 + math.ceil(len(left) / 2)) == committing.delete(
            store, left, first_run_id="run", ordinal=7
        )
        assert [] == store.documents()
        assert (0, 4) == committing.delete(store, [], first_run_id="another run", ordinal=7)


# --- open indexes ----------------------------------------------------------------------------


@pytest.fixture
def resources() -> Iterator[Resources]:
    """Adapters of one worker."""
    opened = Resources(WorkerSettings())
    yield opened
    opened.close()


def making(resources: Resources, dimension: int = 32) -> Any:
    """What to make an index with."""
    spec = HASHING.model_copy(update={"dimension": dimension})
    return resources.embedder(spec).describe(), spec


def test_a_job_with_another_model_leaves_the_open_index_to_those_who_use_it(
    resources: Resources, tmp_path: Path
) -> None:
    index = IndexSpec(uri=file_uri(tmp_path / "index"))
    store = resources.store(index, create=making(resources))
    with pytest.raises(IndexMismatch):
        resources.store(index, create=making(resources, 16))
    assert 0 == store.info().sequence
    assert store is resources.store(index)


def test_an_index_that_was_removed_is_made_anew_only_where_that_is_asked_for(
    resources: Resources, tmp_path: Path
) -> None:
    index = IndexSpec(uri=file_uri(tmp_path / "index"))
    store = resources.store(index, create=making(resources))
    shutil.rmtree(tmp_path / "index")
    with pytest.raises(IndexMissing, match="was removed while it was open"):
        store.commit(CommitBatch("c", deleted=["a"]))
    with pytest.raises(IndexMissing, match="there is no index"):
        resources.store(index)
    assert 0 == resources.store(index, create=making(resources)).info().sequence


# --- options of `ingest` ---------------------------------------------------------------------


@dataclass(frozen=True)
class Wrong:
    """Arguments of `ingest` that are refused."""

    given: dict[str, Any]
    message: str


WRONG = [
    Wrong({"bulksize": 3}, "unknown option 'bulksize'"),
    Wrong({"cursor": None}, "unknown option 'cursor'"),
    Wrong({"bulk_size": 0}, "bulk_size is 0"),
    Wrong({"metadata": {"score": math.nan}}, "numbers must be finite"),
    Wrong({"metadata": {"scores": [1.0, math.inf]}}, "numbers must be finite"),
    Wrong({"metadata": {"author": None}}, "metadata.author"),
    Wrong({"metadata": {"author": {"name": "x"}}}, "metadata.author"),
    Wrong({"metadata": {"author": "\ud800"}}, "text must be valid Unicode"),
]


@pytest.mark.parametrize("case", WRONG, ids=lambda case: ascii(case.given))
def test_a_wrong_option_is_refused_before_anything_is_written(tmp_path: Path, case: Wrong) -> None:
    (tmp_path / "a.txt").write_text("text")
    with pytest.raises(InvalidInput, match=case.message):
        ingest(
            tmp_path / "a.txt",
            index=tmp_path / "index",
            embedder=HASHING,
            chunker=CUT,
            **case.given,
        )
    assert not (tmp_path / "index").exists()


def test_a_document_that_fails_now_keeps_what_the_index_holds_of_it(tmp_path: Path) -> None:
    documents = tmp_path / "documents"
    documents.mkdir()
    (documents / "a.txt").write_text("text")
    options: dict[str, Any] = {"index": tmp_path / "index", "embedder": HASHING, "chunker": CUT}
    ingest(documents, **options)
    (documents / "a.txt").write_bytes(bytes(range(32)) * 100)
    report = ingest(documents, **options)
    assert (1, 1, 0) == (report.counts.documents, report.counts.failed, report.counts.deleted)
    with Index.open(tmp_path / "index") as index:
        assert ["text"] == [hit.text for hit in index.search("text")]
