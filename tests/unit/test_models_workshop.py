"""The workshop's input: what a source carries, and what becomes of each media type."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from durable_ingest.converters import converter_for
from durable_ingest.errors import UnsupportedMediaType
from durable_ingest.ids import file_uri
from durable_ingest.models import (
    ChunkerSpec,
    EmbedderSpec,
    IndexSpec,
    IngestionWorkflowInput,
    IngestReport,
    IngestRequest,
    MimeTypesEnum,
    Source,
    SourceStatusEnum,
    StageEnum,
)
from durable_ingest.models.translation import request_of
from durable_ingest.pipeline.resources import Resources
from durable_ingest.pipeline.run import run_request
from durable_ingest.settings import WorkerSettings

PAGE = "https://site.example/page"
HASHING = EmbedderSpec(kind="hashing", model="hashing", dimension=16)


@pytest.fixture
def resources(tmp_path: Path) -> Iterator[Resources]:
    """Adapters that may read the test's folder."""
    made = Resources(WorkerSettings(allowed_roots=(tmp_path,)))
    yield made
    made.close()


@pytest.fixture
def stored(tmp_path: Path) -> str:
    """The address of a stored page."""
    path = tmp_path / "stored"
    path.write_text("<p>The tram runs every six minutes.</p>")
    return file_uri(path)


def job_of(tmp_path: Path, *sources: dict[str, Any], **settings: Any) -> IngestRequest:
    """The request behind an input, with an embedder that needs no service."""
    job = IngestionWorkflowInput.model_validate({"sources": list(sources), **settings})
    request = request_of(job, IndexSpec(uri=file_uri(tmp_path / "index")))
    return request.model_copy(update={"embedder": HASHING})


def outcome(report: IngestReport) -> tuple[int, int, list[tuple[str, str]]]:
    """How many were added, how many failed, and which with what."""
    rows = [(row.uri, row.error_type) for row in report.errors]
    return report.counts.added, report.counts.failed, rows


FULL = {
    "uri": PAGE,
    "mime_type": "text/html",
    "max_depth": 2,
    "error": "it failed",
    "raw_file_path": "scraping/page.html",
    "converted_md_path": "conversion/page.md",
    "chunking_file_path": "chunking/page.yaml",
    "parent_uri": "https://site.example/",
    "current_stage": "SCRAPING",
    "current_status": "COMPLETED",
    "options": {"crawling_url_startswith": ["https://site.example/"]},
    "metadata": {"title": "Page"},
}


def test_a_source_carries_all_its_fields_through_json() -> None:
    """Parity: S0-01."""
    source = Source.model_validate_json(json.dumps(FULL))
    assert json.loads(source.model_dump_json()) == FULL
    bare = Source(uri="7 chars")
    assert bare.model_dump(exclude_none=True) == {"uri": "7 chars", "max_depth": 0, "metadata": {}}
    with pytest.raises(ValidationError, match="at least 7 characters"):
        Source(uri="6 char")


@pytest.mark.parametrize(
    "value", ["text", True, False, 0, 1, 2025, [], ["a", 1, True], [0, False]], ids=repr
)
def test_metadata_values_keep_their_kind(value: Any) -> None:
    """Parity: S0-02."""
    source = Source.model_validate({"uri": PAGE, "metadata": {"field": value}})
    found = json.loads(source.model_dump_json())["metadata"]["field"]
    assert repr(value) == repr(found)


@pytest.mark.parametrize("value", [1.5, None, {"a": 1}, [["a"]], [None]], ids=repr)
def test_other_metadata_values_are_refused(value: Any) -> None:
    """Parity: S0-02."""
    with pytest.raises(ValidationError, match=r"metadata\.field"):
        Source.model_validate({"uri": PAGE, "metadata": {"field": value}})


def test_stages_and_statuses_are_those_on_the_wire() -> None:
    """Parity: S0-03, S0-04."""
    stages = ["CRAWLING", "SCRAPING", "CONVERTION", "CHUNKING", "INDEXING"]
    statuses = ["DISCOVERED", "IN_PROGRESS", "COMPLETED", "ERROR"]
    assert stages == list(StageEnum)
    assert statuses == list(SourceStatusEnum)
    for field, names in (("current_stage", stages), ("current_status", statuses)):
        for name in names:
            source = Source.model_validate({"uri": PAGE, field: name})
            assert name == source.model_dump(mode="json")[field]
        with pytest.raises(ValidationError, match=field):
            Source.model_validate({"uri": PAGE, field: "NO_SUCH_NAME"})


MEDIA_TYPES = [str(member) for member in MimeTypesEnum if "/" in member]


def test_there_are_35_media_types() -> None:
    """Parity: S0-05."""
    assert 35 == len(set(MEDIA_TYPES))


@pytest.mark.parametrize("media_type", MEDIA_TYPES)
def test_a_media_type_is_read_or_ends_as_an_error_row(
    tmp_path: Path, resources: Resources, stored: str, media_type: str
) -> None:
    """Parity: S0-05."""
    try:
        converter_for(media_type)
        expected: tuple[int, int, list[tuple[str, str]]] = (1, 0, [])
    except UnsupportedMediaType:
        expected = (0, 1, [(PAGE, "UnsupportedMediaType")])
    source = {"uri": PAGE, "mime_type": media_type, "raw_file_path": stored}
    assert expected == outcome(run_request(job_of(tmp_path, source), resources))


def test_sizes_in_characters_reach_the_chunker(tmp_path: Path) -> None:
    """Parity: S0-10."""
    sizes = {"recursive_chunking_config": {"chunk_size": 700, "chunk_overlap": 100}}
    expected = ChunkerSpec(kind="recursive", size=700, overlap=100, length="characters")
    assert expected == job_of(tmp_path, {"uri": PAGE}, **sizes).chunker
    assert ChunkerSpec() == job_of(tmp_path, {"uri": PAGE}).chunker


@pytest.mark.parametrize("sizes", [{}, {"recursive_chunking_config": {}}], ids=["no part", "empty"])
def test_s0_d07_what_is_missing_is_an_error_and_absent_sizes_have_defaults(
    tmp_path: Path, resources: Resources, stored: str, sizes: dict[str, Any]
) -> None:
    gone = file_uri(tmp_path / "gone.html")
    request = job_of(
        tmp_path,
        {"uri": PAGE, "raw_file_path": stored, "current_stage": "CHUNKING"},
        {"uri": f"{PAGE}/2", "raw_file_path": gone, "current_status": "COMPLETED"},
        **sizes,
    )
    report = run_request(request, resources)
    assert (1, 1, [(f"{PAGE}/2", "SourceMissing")]) == outcome(report)
    assert 1 == report.counts.chunks
