"""`ingest` and `Index` in process: the whole way without Temporal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from durable_ingest import Index, aingest, ingest
from durable_ingest.errors import (
    IndexDamaged,
    IndexMismatch,
    IndexMissing,
    InvalidInput,
    SourceMissing,
)
from durable_ingest.ids import file_uri
from durable_ingest.models import (
    ChunkerSpec,
    EmbedderSpec,
    IndexSpec,
    IngestReport,
    IngestRequest,
    Progress,
    SourceSpec,
)
from durable_ingest.pipeline.resources import Resources
from durable_ingest.pipeline.run import run_request
from durable_ingest.settings import WorkerSettings
from tests.support.sites import running_site

HASHING = EmbedderSpec(kind="hashing", model="hashing", dimension=64)
CUT = ChunkerSpec(size=200, length="characters")


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    """Three short documents."""
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "a.md").write_text("# Alder\n\nAlders like wet feet.\n")
    (folder / "b.md").write_text("# Birch\n\nBirches are white.\n")
    (folder / "c.txt").write_text("Cedars smell good.\n")
    return folder


def run(docs: Path, index: Path, **options: Any) -> IngestReport:
    return ingest(docs, index=index, embedder=HASHING, chunker=CUT, **options)


def test_documents_go_in_and_passages_come_out(docs: Path, tmp_path: Path) -> None:
    seen: list[Progress] = []
    report = run(docs, tmp_path / "index", on_progress=seen.append, bulk_size=1)
    assert (3, 3, 3) == (report.counts.documents, report.counts.added, report.head)
    assert report.counts.add_up()
    assert "done" == seen[-1].status
    assert [1, 2, 3, 3] == [progress.counts.added for progress in seen]
    with Index.open(tmp_path / "index") as index:
        (hit,) = index.search("wet feet", 1)
    assert (file_uri(docs / "a.md"), "Alder", ("Alder",)) == (
        hit.document_id,
        hit.title,
        hit.heading_path,
    )
    assert "Alders like wet feet." in hit.text


async def test_the_asynchronous_calls_do_the_same(docs: Path, tmp_path: Path) -> None:
    report = await aingest(docs, index=tmp_path / "index", embedder=HASHING, chunker=CUT)
    assert 3 == report.counts.added
    with Index.open(tmp_path / "index") as index:
        assert index.search("wet", 2) == await index.asearch("wet", 2)


def test_content_that_comes_back_is_committed_again(docs: Path, tmp_path: Path) -> None:
    """X, then Y, then X: three states, three commits, and the last one is what is found."""
    index, page = tmp_path / "index", docs / "a.md"
    first = page.read_text()
    run(docs, index)
    page.write_text("# Ash\n\nAshes keep well.\n")
    assert (1, 2) == (run(docs, index).counts.updated, 2)
    page.write_text(first)
    report = run(docs, index)
    assert (1, 0, 1) == (report.counts.updated, report.counts.embedded, report.counts.reused)
    assert 3 == report.head
    with Index.open(index) as opened:
        assert "wet feet" in opened.search("alders wet feet", 1)[0].text


def test_metadata_is_searched_by_and_its_change_costs_no_embedding(
    docs: Path, tmp_path: Path
) -> None:
    index = tmp_path / "index"
    run(docs, index, metadata={"team": "trees", "tags": ["wood", 7]})
    with Index.open(index) as opened:
        assert 3 == len(opened.search("white", 9, metadata={"team": "trees", "tags": 7}))
        assert [] == opened.search("white", 9, metadata={"team": "stones"})
        assert 1 == len(opened.search("white", 9, documents=[file_uri(docs / "b.md")]))
    report = run(docs, index, metadata={"team": "forest"})
    assert (3, 0) == (report.counts.updated, report.counts.embedded)


def test_a_folder_that_became_empty_deletes_nothing(docs: Path, tmp_path: Path) -> None:
    index = tmp_path / "index"
    run(docs, index)
    for page in docs.iterdir():
        page.unlink()
    with pytest.raises(InvalidInput, match="holds nothing that can be read"):
        run(docs, index)
    with Index.open(index) as opened:
        assert 3 == opened.info().documents


def test_another_folders_documents_are_never_vanished(docs: Path, tmp_path: Path) -> None:
    index, other = tmp_path / "index", tmp_path / "other"
    other.mkdir()
    (other / "d.md").write_text("Elms are rare.\n")
    run(docs, index)
    assert 0 == run(other, index).counts.deleted
    (docs / "b.md").unlink()
    assert 0 == run(other, index).counts.deleted
    assert 1 == run(docs, index).counts.deleted
    with Index.open(index) as opened:
        assert 3 == opened.info().documents


def test_a_renamed_file_costs_no_embedding(docs: Path, tmp_path: Path) -> None:
    index = tmp_path / "index"
    run(docs, index)
    (docs / "a.md").rename(docs / "z.md")
    counts = run(docs, index).counts
    assert (1, 1, 0) == (counts.added, counts.deleted, counts.embedded)


def test_nothing_is_written_for_a_target_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises((SourceMissing, InvalidInput), match="nowhere"):
        run(tmp_path / "nowhere", tmp_path / "index")
    assert not (tmp_path / "index").exists()


def test_another_model_is_refused_and_named(docs: Path, tmp_path: Path) -> None:
    run(docs, tmp_path / "index")
    other = HASHING.model_copy(update={"dimension": 32})
    with pytest.raises(IndexMismatch, match="dimension is 64, asked for is 32"):
        ingest(docs, index=tmp_path / "index", embedder=other, chunker=CUT)
    with pytest.raises(IndexMismatch, match="fingerprint"):
        Index.open(tmp_path / "index", embedder=other)


def test_an_index_that_is_not_there_and_a_query_without_text_are_refused(
    docs: Path, tmp_path: Path
) -> None:
    with pytest.raises(IndexMissing):
        Index.open(tmp_path / "index")
    run(docs, tmp_path / "index")
    with Index.open(tmp_path / "index") as index, pytest.raises(InvalidInput, match="no text"):
        index.search("  ")


def test_a_site_that_is_away_is_tried_again_after_growing_waits(tmp_path: Path) -> None:
    waits: list[float] = []
    with running_site() as site:
        site.answer("/page", status=503, times=2)
        site.answer("/page", body=b"Back again.")
        request = IngestRequest(
            sources=[SourceSpec(uri=site.url("/page"), kind="web")],
            index=IndexSpec(uri=file_uri(tmp_path / "index")),
            embedder=HASHING,
            chunker=CUT,
        )
        resources = Resources(WorkerSettings(allow_private_addresses=True, http_attempts=1))
        report = run_request(request, resources, sleep=waits.append)
        resources.close()
    assert (1, [10.0, 20.0]) == (report.counts.added, waits)


def test_a_request_is_held_to_the_workers_own_size_limit(docs: Path, tmp_path: Path) -> None:
    settings = WorkerSettings(allowed_roots=(docs,), max_document_bytes=20)
    report = run(docs, tmp_path / "index", settings=settings)
    assert ["DocumentTooLarge"] * 2 == [row.error_type for row in report.errors]
    assert (1, 2) == (report.counts.added, report.counts.failed)


@pytest.mark.parametrize("kind", ["vectors", "rows"])
@pytest.mark.parametrize("how", ["flipped", "missing"])
def test_a_damaged_index_is_refused_and_stays_as_it_is(
    docs: Path, tmp_path: Path, kind: str, how: str
) -> None:
    index = tmp_path / "index"
    run(docs, index)
    (segment,) = (index / "segments").glob(f"*.{kind}")
    if how == "missing":
        segment.unlink()
    else:
        data = bytearray(segment.read_bytes())
        data[len(data) // 2] ^= 1
        segment.write_bytes(data)
    (docs / "d.md").write_text("Elms are rare.\n")
    commits = sorted((index / "commits").iterdir())
    with pytest.raises(IndexDamaged, match=segment.name):
        run(docs, index)
    assert commits == sorted((index / "commits").iterdir())
