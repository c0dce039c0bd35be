"""From options to a request."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_ingest.artifacts.local import LocalArtifacts
from durable_ingest.cli.commands.search import filters_of
from durable_ingest.cli.folders import IndexFolder, index_uri
from durable_ingest.cli.jobs import JobOptions, build_job, parse_pairs, settings_for
from durable_ingest.cli.payloads import INLINE_BYTES, fit
from durable_ingest.errors import InvalidInput, SourceMissing
from durable_ingest.ids import file_uri
from durable_ingest.models import (
    ChunkerSpec,
    EmbedderSpec,
    IndexSpec,
    IngestRequest,
    MetadataValue,
    SourceSpec,
)
from durable_ingest.pipeline.batches import load_lines


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one document, which is the working directory."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "one.md").write_text("# One\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@dataclass(frozen=True)
class Pairs:
    given: tuple[str, ...]
    expected: dict[str, MetadataValue]


PAIRS = [
    Pairs(("team=sea",), {"team": "sea"}),
    Pairs(("year=2024", "ratio=0.5", "open=true"), {"year": 2024, "ratio": 0.5, "open": True}),
    Pairs(('year="2024"',), {"year": "2024"}),
    Pairs(("tag=a", "tag=b", "tag=3"), {"tag": ["a", "b", 3]}),
    Pairs(("formula=a=b",), {"formula": "a=b"}),
    Pairs(("empty=",), {"empty": ""}),
    Pairs(
        ("odd=NaN", "list=[1]", "nothing=null"), {"odd": "NaN", "list": "[1]", "nothing": "null"}
    ),
]


@pytest.mark.parametrize("case", PAIRS, ids=lambda case: " ".join(case.given))
def test_pairs_are_read_as_what_they_look_like(case: Pairs) -> None:
    assert case.expected == parse_pairs(case.given)


@pytest.mark.parametrize("pair", ["team", "=sea", " =sea"])
def test_a_pair_without_key_or_equals_sign_is_refused_by_name(pair: str) -> None:
    with pytest.raises(InvalidInput, match=f"{pair!r} must be written as key=value"):
        parse_pairs([pair])


@given(st.text(), st.text())
def test_any_text_can_be_a_value(key: str, text: str) -> None:
    name = "k" + key.replace("=", "")
    read = parse_pairs([f"{name}={json.dumps(text)}"])
    assert {name: text} == read


def test_a_filter_matches_a_number_and_its_text() -> None:
    assert {"year": [2024, "2024"], "team": ["sea", "sky"]} == filters_of(
        ["year=2024", "team=sea", "team=sky"]
    )


def test_without_options_a_job_is_the_default_request(folder: Path) -> None:
    job = build_job(JobOptions(["docs"], None, "index"))
    expected = IngestRequest(
        sources=[SourceSpec(uri=file_uri(folder / "docs"))],
        index=IndexSpec(uri=file_uri(folder / "index")),
    )
    assert (expected, ["docs"], [folder / "docs"], False) == (
        job.request,
        job.named,
        job.roots,
        job.listed,
    )


def test_each_option_reaches_its_field(folder: Path) -> None:
    job = build_job(
        JobOptions(
            ["docs"],
            None,
            "index",
            embedder="openai",
            model="text-embedding-3-small",
            chunker="recursive",
            chunk_size=900,
            chunk_overlap=90,
            chunk_unit="characters",
            metadata=["team=sea"],
            bulk_size=10,
            window=2,
            verify_content=True,
            keep_vanished=True,
        )
    )
    expected = IngestRequest(
        sources=[SourceSpec(uri=file_uri(folder / "docs"), metadata={"team": "sea"})],
        index=IndexSpec(uri=file_uri(folder / "index")),
        embedder=EmbedderSpec(kind="openai", model="text-embedding-3-small"),
        chunker=ChunkerSpec(kind="recursive", size=900, overlap=90, length="characters"),
        bulk_size=10,
        window=2,
        verify_content=True,
        delete_vanished=False,
    )
    assert expected == job.request


@dataclass(frozen=True)
class Wrong:
    name: str
    options: JobOptions
    message: str


WRONG = [
    Wrong("nothing to ingest", JobOptions([], None, "i"), "name what to ingest"),
    Wrong("both", JobOptions(["docs"], Path("list.yaml"), "i"), "name what to ingest"),
    Wrong(
        "no model",
        JobOptions(["docs"], None, "i", embedder="openai"),
        "the embedder 'openai' needs a model",
    ),
]


@pytest.mark.parametrize("case", WRONG, ids=lambda case: case.name)
@pytest.mark.usefixtures("folder")
def test_options_that_make_no_job_are_refused(case: Wrong) -> None:
    with pytest.raises(InvalidInput, match=case.message):
        build_job(case.options)


@pytest.mark.usefixtures("folder")
def test_a_target_that_does_not_exist_is_refused_by_name() -> None:
    with pytest.raises(SourceMissing, match="nowhere"):
        build_job(JobOptions(["nowhere"], None, "index"))


def test_a_workshop_input_keeps_its_settings_and_options_override_them(folder: Path) -> None:
    listed = folder / "input.json"
    listed.write_text(
        json.dumps(
            {
                "sources": [{"uri": "docs/one.md", "mime_type": "text/markdown"}],
                "indexing_config": {
                    "collection_name": "pages",
                    "database_uri": "env:DATABASE",
                    "openai_embedding_model": "text-embedding-3-small",
                },
                "recursive_chunking_config": {"chunk_size": 400, "chunk_overlap": 40},
            }
        )
    )
    plain = build_job(JobOptions([], listed, "index")).request
    assert EmbedderSpec(kind="openai", model="text-embedding-3-small") == plain.embedder
    assert ChunkerSpec(kind="recursive", size=400, overlap=40, length="characters") == plain.chunker
    assert [file_uri(folder / "docs" / "one.md")] == [spec.uri for spec in plain.sources]
    assert IndexSpec(uri=file_uri(folder / "index")) == plain.index
    changed = build_job(JobOptions([], listed, "index", embedder="hashing", chunk_size=300)).request
    assert EmbedderSpec(kind="hashing", model="hashing") == changed.embedder
    assert 300 == changed.chunker.size


def test_metadata_of_a_list_wins_over_that_of_the_command(folder: Path) -> None:
    listed = folder / "list.yaml"
    listed.write_text("- uri: docs/one.md\n  metadata: {team: sky}\n- docs\n")
    job = build_job(JobOptions([], listed, "index", metadata=["team=sea", "year=2024"]))
    assert [{"team": "sky", "year": 2024}, {"team": "sea", "year": 2024}] == [
        spec.metadata for spec in job.request.sources
    ]


def test_a_worker_may_read_the_targets_and_what_was_allowed_and_nothing_else(
    folder: Path,
) -> None:
    job = build_job(JobOptions(["docs/*.md"], None, "index"))
    settings = settings_for(job, allow_root=[Path("more")], allow_private=True)
    assert ((folder / "docs", folder / "more"), True) == (
        settings.allowed_roots,
        settings.allow_private_addresses,
    )


def test_a_long_list_travels_as_an_artifact_and_a_short_one_in_the_request(
    tmp_path: Path,
) -> None:
    index = IndexSpec(uri="file:///index")
    short = IngestRequest(sources=[SourceSpec(uri="file:///a")], index=index)
    store = LocalArtifacts(tmp_path / "artifacts")
    assert short == fit(short, store)
    count = INLINE_BYTES // 10
    specs = [SourceSpec(uri=f"file:///{number}") for number in range(count)]
    long = IngestRequest(sources=specs, index=index)
    sent = fit(long, store)
    assert sent.source_list is not None
    assert [] == sent.sources
    assert specs == list(load_lines(SourceSpec, store.get(sent.source_list)))
    with pytest.raises(InvalidInput, match="DURABLE_INGEST_ARTIFACTS"):
        fit(long, None)


def test_an_index_is_named_by_path_or_address(folder: Path) -> None:
    assert file_uri(folder / "index") == index_uri("index")
    assert "collection:pages" == index_uri("collection:pages")
    assert folder / "index" == IndexFolder.at(file_uri(folder / "index")).path
    with pytest.raises(InvalidInput, match="no folder of this machine"):
        IndexFolder.at("collection:pages")


def test_a_folder_remembers_its_unfinished_job(tmp_path: Path) -> None:
    folder = IndexFolder(tmp_path)
    assert folder.job() is None
    folder.server.mkdir()
    folder.remember(["docs"])
    note = folder.job()
    assert note is not None
    assert (folder.workflow, ["docs"]) == (note.workflow, note.targets)
    folder.forget()
    assert folder.job() is None


@pytest.mark.usefixtures("folder")
def test_the_limit_of_a_document_is_the_user_s_to_raise() -> None:
    plain = build_job(JobOptions(["docs"], None, "index"))
    job = build_job(JobOptions(["docs"], None, "index", max_document_bytes=1 << 30))
    assert 1 << 30 == job.request.max_document_bytes == settings_for(job).max_document_bytes
    assert 1 << 25 == plain.request.max_document_bytes == settings_for(plain).max_document_bytes
