"""Wire models: counts add up, names spelt twice are one, jobs are compared without their cursor."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from durable_ingest.models import (
    ArtifactRef,
    Counts,
    EmbedderInfo,
    IndexSpec,
    IngestionWorkflowInput,
    IngestReport,
    IngestRequest,
    MimeTypesEnum,
    RecursiveChunkingStageConfiguration,
    Source,
    SourceSpec,
    SourceStatusEnum,
    StageEnum,
)
from durable_ingest.models.ingestion import Cursor
from durable_ingest.models.translation import request_of, summary_of

counts = st.builds(Counts, **{name: st.integers(0, 9) for name in Counts.model_fields})


@given(counts, counts)
def test_counts_add_field_by_field(one: Counts, other: Counts) -> None:
    total = one.plus(other)
    for name in Counts.model_fields:
        assert getattr(one, name) + getattr(other, name) == getattr(total, name)


@given(counts)
def test_counts_add_up_exactly_if_documents_is_the_sum_of_outcomes(one: Counts) -> None:
    outcomes = one.added + one.updated + one.unchanged + one.failed + one.pending
    assert (one.documents == outcomes) == one.add_up()


def test_two_requests_that_differ_in_their_cursor_are_one_job() -> None:
    request = IngestRequest(sources=[SourceSpec(uri="file:///a")], index=IndexSpec(uri="file:///i"))
    ref = ArtifactRef(sha256="0" * 64, size=0)
    cursor = Cursor(
        first_run_id="r",
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
        embedder=EmbedderInfo(fingerprint="f", model="m", dimension=1),
        recipe=ref,
        fingerprint="f",
        manifest=ref,
        batches=1,
    )
    assert request == request.model_copy(update={"cursor": cursor}).job()


def test_a_report_knows_how_long_the_run_was() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    assert 0.0 == IngestReport().seconds
    assert (
        90.0
        == IngestReport(started_at=start, finished_at=start.replace(minute=1, second=30)).seconds
    )


# --- the workshop's input --------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """A spelling and the member it means."""

    name: str
    enum: type
    given: str
    expected: object


CASES = [
    Case("S0-03", StageEnum, "CONVERTION", StageEnum.CONVERTION),
    Case("S0-03-right-spelling", StageEnum, "CONVERSION", StageEnum.CONVERTION),
    Case("S0-04", SourceStatusEnum, "IN_PROGRESS", SourceStatusEnum.IN_PROGRESS),
    Case("S0-05", MimeTypesEnum, "text/html", MimeTypesEnum.TEXT_HTML),
    Case("S0-05-member-name", MimeTypesEnum, "TEXT_HTML", MimeTypesEnum.TEXT_HTML),
    Case(
        "S0-05-unsuported",
        MimeTypesEnum,
        "UNSUPPORTED_MIME_TYPE",
        MimeTypesEnum.UNSUPORTED_MIME_TYPE,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_both_spellings_are_accepted(case: Case) -> None:
    assert case.expected == case.enum(case.given)


def test_the_workshop_knows_35_media_types() -> None:
    assert 35 == sum("/" in member.value for member in MimeTypesEnum)


WORKSHOP = {
    "sources": [
        {
            "uri": "https://example.org/a",
            "mime_type": "text/html",
            "raw_file_path": "pages/a.html",
            "current_stage": "SCRAPING",
            "current_status": "COMPLETED",
            "max_depth": 1,
            "options": {"crawling_url_startswith": ["https://example.org/"]},
            "metadata": {"title": "A", "year": 2025, "public": True, "tags": ["x", 1]},
        },
        {"uri": "https://example.org/b"},
    ],
    "indexing_config": {
        "collection_name": "brest",
        "database_uri": "env:DATABASE_URI",
        "openai_embedding_model": "text-embedding-3-small",
        "bulk_size": 7,
    },
    "recursive_chunking_config": {"chunk_size": 700, "chunk_overlap": 100},
}


def test_the_original_input_becomes_a_request() -> None:
    request = request_of(IngestionWorkflowInput.model_validate(WORKSHOP))
    assert IndexSpec(uri="collection:brest") == request.index
    assert ("openai", "text-embedding-3-small") == (request.embedder.kind, request.embedder.model)
    assert ("recursive", 700, 100, "characters") == (
        request.chunker.kind,
        request.chunker.size,
        request.chunker.overlap,
        request.chunker.length,
    )
    assert 7 == request.bulk_size
    stored, live = request.sources
    assert ("files", {"path": "pages/a.html"}) == (stored.kind, stored.options)
    assert {"title": "A", "year": 2025, "public": True, "tags": ["x", 1]} == stored.metadata
    assert ("web", {}) == (live.kind, live.options)


def test_absolute_paths_of_stored_pages_become_addresses() -> None:
    page = {"uri": "https://example.org/a", "raw_file_path": "/srv/pages/a b.html"}
    request = request_of(IngestionWorkflowInput.model_validate({"sources": [page]}))
    assert {"path": "file:///srv/pages/a%20b.html"} == request.sources[0].options


def test_sizes_left_out_still_mean_recursive_chunking_in_characters() -> None:
    given = {"sources": [], "recursive_chunking_config": {"chunk_overlap": 20}}
    chunker = request_of(IngestionWorkflowInput.model_validate(given)).chunker
    assert ("recursive", None, 20, "characters") == (
        chunker.kind,
        chunker.size,
        chunker.overlap,
        chunker.length,
    )


def test_no_part_of_the_database_address_reaches_the_request() -> None:
    secret = json.loads(json.dumps(WORKSHOP))
    secret["indexing_config"]["database_uri"] = "postgresql://u:hunter2@db/x"
    request = request_of(IngestionWorkflowInput.model_validate(secret))
    assert "hunter2" not in request.model_dump_json()


def test_short_uris_and_overlaps_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValidationError, match="at least 7 characters"):
        Source(uri="short")
    with pytest.raises(ValidationError, match="must be less than chunk_size"):
        RecursiveChunkingStageConfiguration(chunk_size=100, chunk_overlap=100)


def test_the_result_counts_handled_and_failed_sources() -> None:
    report = IngestReport(counts=Counts(documents=5, added=3, unchanged=1, failed=1))
    assert "4 sources handled, 1 sources in error" == summary_of(report)
