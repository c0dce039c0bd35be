"""The workshop's input, as it was written."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from durable_ingest.ids import file_uri
from durable_ingest.models import DocumentRef, MimeTypesEnum, PlannedDocument, SourceSpec, StageEnum
from durable_ingest.settings import WorkerSettings
from durable_ingest.sources.files import FileSource
from durable_ingest.sources.targets import read_targets

PAGE = "https://site.example/page"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder to start from."""
    for name in ("docs/a.md", "docs/b/c.html", "[x].md", "star*.md", "per%25.md", "note"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"text of {name}")
    return tmp_path


Write = Callable[[str, Any], Path]


@pytest.fixture
def write(home: Path) -> Write:
    def to_file(name: str, content: Any) -> Path:
        path = home / name
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content if isinstance(content, str) else json.dumps(content, indent=1))
        return path

    return to_file


WORKSHOP_YAML = """\
sources:
  - uri: https://site.example/one
    mime_type: text/html
    raw_file_path: docs/b/c.html
    current_stage: CONVERSION
    current_status: COMPLETED
    metadata:
      title: One
      tags: [a, b]
  - uri: https://site.example/two
    max_depth: 2
    mime_type: UNSUPPORTED_MIME_TYPE
    options: {crawling_url_startswith: ["https://site.example/"]}
  - uri: docs/a.md
    mime_type: TEXT_MARKDOWN
    converted_md_path: a.md
    chunking_file_path: a.yaml
    error: it failed
  - uri: ./docs/b
    mime_type: application/vnd.tock-ingestion.folder
indexing_config:
  collection_name: pages
  database_uri: postgresql+psycopg://bot:hunter2@db:5432/bot
  openai_embedding_model: text-embedding-3-small
recursive_chunking_config: {chunk_size: 700, chunk_overlap: 100, bulk_size: 10}
"""


def test_the_workshops_input_is_read_as_it_was_written(home: Path, write: Write) -> None:
    """parity: S0-01, S0-02, S0-03, S0-06, S0-08, S0-09, S0-10, S0-11."""
    targets = read_targets(write("part2.yml", WORKSHOP_YAML))
    here = file_uri(home)
    assert targets.specs == [
        SourceSpec(
            uri="https://site.example/one",
            media_type="text/html",
            metadata={"title": "One", "tags": ["a", "b"]},
            options={"path": f"{here}/docs/b/c.html"},
        ),
        SourceSpec(uri="https://site.example/two", kind="web"),
        SourceSpec(uri=f"{here}/docs/a.md", media_type="text/markdown"),
        SourceSpec(uri=f"{here}/docs/b"),
    ]
    workshop = targets.workshop
    assert workshop is not None
    assert workshop.sources[0].current_stage is StageEnum.CONVERTION
    assert workshop.sources[1].mime_type is MimeTypesEnum.UNSUPORTED_MIME_TYPE
    assert workshop.recursive_chunking_config is not None
    assert workshop.recursive_chunking_config.chunk_size == 700


def test_what_the_workshops_input_asks_for_in_vain_is_a_warning(write: Write) -> None:
    targets = read_targets(write("part2.yml", WORKSHOP_YAML))
    assert [text.partition(" ")[0] for text in targets.warnings] == [
        "sources[1]:",
        "sources[2]:",
        "sources[2]:",
        "sources[2]:",
        "indexing_config.database_uri",
    ]
    assert "max_depth 2" in targets.warnings[0]
    assert "'it failed'" in targets.warnings[3]


def test_a_pre_scraped_page_is_read_and_keeps_its_address(home: Path, write: Write) -> None:
    targets = read_targets(write("part2.yml", WORKSHOP_YAML))
    source = FileSource(WorkerSettings(allowed_roots=(home,)))
    [ref] = source.discover(targets.specs[0])
    assert isinstance(ref, DocumentRef)
    assert ref.uri == "https://site.example/one"
    fetched = source.fetch(PlannedDocument(ref=ref), max_bytes=1000)
    assert fetched.content == b"text of docs/b/c.html"


@dataclass(frozen=True)
class Secret:
    uri: str
    warned: bool = field(kw_only=True)


SECRETS = [
    Secret("postgresql://bot:hunter2@db/bot", warned=True),
    Secret("postgresql://db/bot?user=bot&Password=hunter2", warned=True),
    Secret("postgresql://[bad:hunter2@db/bot", warned=True),
    Secret("env:DATABASE_URI", warned=False),
    Secret("postgresql://bot@db/bot", warned=False),
    Secret("postgresql://db/bot?sslmode=require", warned=False),
]


@pytest.mark.parametrize("case", SECRETS, ids=lambda case: case.uri)
def test_s0_d05_a_password_in_clear_is_warned_about_and_not_shown(
    write: Write, case: Secret
) -> None:
    content = {
        "sources": [{"uri": PAGE}],
        "indexing_config": {
            "collection_name": "c",
            "database_uri": case.uri,
            "openai_embedding_model": "m",
        },
    }
    targets = read_targets(write("in.json", content))
    assert case.warned == any("env:NAME" in text for text in targets.warnings)
    assert "hunter2" not in str(targets.warnings)
    assert "hunter2" not in str(targets.specs)
