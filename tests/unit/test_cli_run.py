"""`run --in-process`, `search` and `status` on real folders, and what they refuse."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from durable_ingest.cli import main
from durable_ingest.cli.folders import IndexFolder
from durable_ingest.cli.guard import DEBUG
from durable_ingest.cli.logs import route_logs
from durable_ingest.ids import file_uri

HASHING = ("--embedder", "hashing", "--in-process")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with three documents in `docs`."""
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "tides.md").write_text("# Tides\n\nThe moon pulls the sea twice a day.\n")
    (docs / "bread.md").write_text("# Bread\n\nFlour, water, salt and time make a loaf.\n")
    (docs / "bees.txt").write_text("Bees dance to tell where the flowers are.\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def said(capsys: pytest.CaptureFixture[str]) -> Any:
    """The one JSON document on stdout."""
    return json.loads(capsys.readouterr().out)


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, with its bytes."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_documents_go_in_and_passages_come_out(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert 0 == main(["run", "docs", "--index", "i", *HASHING, "--metadata", "team=sea", "--json"])
    report = said(capsys)
    assert (3, 3, 0) == (
        report["counts"]["documents"],
        report["counts"]["added"],
        report["counts"]["failed"],
    )
    assert file_uri(folder / "i") == report["index"]
    assert report == json.loads(Path(report["report"]).read_text())
    assert 0 == main(["search", "moon sea", "--index", "i", "--json", "-k", "1"])
    (hit,) = said(capsys)
    assert {
        "score": hit["score"],
        "text": "# Tides\n\nThe moon pulls the sea twice a day.",
        "document_id": file_uri(folder / "docs" / "tides.md"),
        "chunk_id": hit["chunk_id"],
        "start": 0,
        "end": 44,
        "heading_path": ["Tides"],
        "title": "Tides",
        "metadata": {"team": "sea"},
        "ordinal": 0,
    } == hit
    assert 0 == main(["search", "moon sea", "--index", "i", "-k", "1"])
    lines = capsys.readouterr().out.splitlines()
    assert [
        f"1. {hit['score']:.3f}  Tides",
        f"   {hit['document_id']} [0:44]",
        "   # Tides The moon pulls the sea twice a day.",
        "",
    ] == lines


def test_a_search_is_narrowed_by_metadata_and_document(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["run", "docs", "--index", "i", *HASHING, "--metadata", "year=2024"])
    capsys.readouterr()
    for narrowing, expected in (
        (["--filter", "year=2024"], 3),
        (["--filter", "year=2023"], 0),
        (["--filter", "year=2023", "--filter", "year=2024"], 3),
        (["--document", "docs/bread.md"], 1),
        (["--document", file_uri(folder / "docs" / "bread.md")], 1),
        (["--document", "docs/bread.md", "--document", "docs/bees.txt"], 2),
    ):
        assert 0 == main(["search", "time", "--index", "i", "--json", *narrowing])
        assert expected == len(said(capsys)), narrowing


def test_a_second_run_embeds_nothing_and_the_cache_is_emptied(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["run", "docs", "--index", "i", *HASHING])
    capsys.readouterr()
    (folder / "docs" / "bees.txt").unlink()
    assert 0 == main(["run", "docs", "--index", "i", *HASHING, "--json"])
    counts = said(capsys)["counts"]
    assert (2, 2, 0, 1) == (
        counts["documents"],
        counts["unchanged"],
        counts["embedded"],
        counts["deleted"],
    )
    assert not (folder / "i" / "cache").exists()
    assert 2 == len(list((folder / "i" / "reports").glob("*.json")))


def test_status_describes_an_index(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["run", "docs", "--index", "i", *HASHING])
    capsys.readouterr()
    assert 0 == main(["status", "--index", "i", "--json"])
    document = said(capsys)
    assert {
        "index": file_uri(folder / "i"),
        "model": "hashing/1",
        "dimension": 256,
        "documents": 3,
        "chunks": 3,
        "vectors": 3,
        "sequence": 1,
        "head": document["head"],
        "server": None,
        "job": None,
    } == document
    assert 0 == main(["status", "--index", "i"])
    assert "job        none is running" in capsys.readouterr().out


@pytest.mark.usefixtures("folder")
def test_some_failed_documents_end_with_three_and_are_named(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outside = folder / "outside.txt"
    outside.write_text("not for you\n")
    (folder / "docs" / "link.txt").symlink_to(outside)
    assert 3 == main(["run", "docs", "--index", "i", *HASHING])
    text = capsys.readouterr().out
    assert "SourceRefused, rule allowed_roots" in text
    assert 0 == main(["run", "docs", "--index", "j", *HASHING, "--allow-root", "."])


@dataclass(frozen=True)
class Refusal:
    """A command, what it ends with, and what its one sentence names."""

    name: str
    arguments: tuple[str, ...]
    code: int
    kind: str
    names: str


REFUSALS = [
    Refusal("missing path", ("nowhere", *HASHING), 2, "SourceMissing", "nowhere"),
    Refusal("one of two missing", ("docs", "nowhere", *HASHING), 2, "SourceMissing", "nowhere"),
    Refusal("nothing readable", ("empty", *HASHING), 2, "InvalidInput", "empty"),
    Refusal("no such pattern", ("docs/*.pdf", *HASHING), 2, "InvalidInput", "*.pdf"),
    Refusal("unknown scheme", ("ftp://host/x", *HASHING), 2, "InvalidInput", "ftp"),
    Refusal("no target", HASHING, 2, "InvalidInput", "--input"),
    Refusal(
        "broken list", ("--input", "broken.yaml", *HASHING), 2, "InvalidInput", "broken.yaml:3"
    ),
    Refusal("unknown field", ("--input", "field.yaml", *HASHING), 2, "InvalidInput", "colour"),
    Refusal("no such list", ("--input", "none.yaml", *HASHING), 2, "SourceMissing", "none.yaml"),
    Refusal(
        "unknown embedder",
        ("docs", "--embedder", "magic", "--model", "m", "--in-process"),
        2,
        "InvalidInput",
        "magic",
    ),
    Refusal(
        "overlap as large as a chunk",
        ("docs", "--chunk-size=5", "--chunk-overlap=5", "--chunk-unit=characters", *HASHING),
        *(2, "InvalidInput", "overlap 5"),
    ),
    Refusal(
        "metadata that is no Unicode",
        ("docs", "--metadata", "team=\udcff", *HASHING),
        *(2, "InvalidInput", r"'team=\udcff' is not valid Unicode"),
    ),
    Refusal("unknown chunker", ("docs", "--chunker", "axe", *HASHING), 2, "InvalidInput", "axe"),
    Refusal(
        "unknown unit", ("docs", "--chunk-unit", "pages", *HASHING), 2, "InvalidInput", "length"
    ),
    Refusal(
        "two ways at once", ("docs", "--profile", "x", *HASHING), 2, "InvalidInput", "--profile"
    ),
]


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: case.name)
def test_what_cannot_be_run_is_refused_in_one_sentence_and_nothing_is_written(
    folder: Path, capsys: pytest.CaptureFixture[str], case: Refusal
) -> None:
    (folder / "empty").mkdir()
    (folder / "broken.yaml").write_text("- a\n- [b\n")
    (folder / "field.yaml").write_text("- uri: docs\n  colour: red\n")
    assert case.code == main(["run", *case.arguments, "--index", "i", "--json"])
    out, err = capsys.readouterr()
    error = json.loads(out)["error"]
    assert (case.kind, case.code) == (error["type"], error["exit_code"])
    assert case.names in error["message"]
    assert f"durable-ingest: {error['message']}\n" == err
    assert not (folder / "i").exists()


def test_a_folder_that_holds_other_things_is_no_index(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = snapshot(folder)
    assert 2 == main(["run", "docs", "--index", "docs", *HASHING])
    assert "is no index and holds other files" in capsys.readouterr().err
    assert before == snapshot(folder)


def test_an_index_made_with_another_model_is_refused_and_unchanged(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    main(["run", "docs", "--index", "i", *HASHING])
    monkeypatch.setenv("OPENAI_API_KEY", "a-key")
    capsys.readouterr()
    before = snapshot(folder / "i" / "commits")
    other = ("--embedder", "openai", "--model", "text-embedding-3-small", "--in-process")
    assert 5 == main(["run", "docs", "--index", "i", *other])
    err = capsys.readouterr().err
    assert "model is 'hashing/1', asked for is 'text-embedding-3-small'" in err
    assert "Traceback" not in err
    assert before == snapshot(folder / "i" / "commits")


@pytest.mark.parametrize("verb", [["search", "moon"], ["status"], ["run", "docs", *HASHING]])
def test_a_damaged_index_ends_with_five_and_is_left_as_it_is(
    folder: Path, capsys: pytest.CaptureFixture[str], verb: list[str]
) -> None:
    main(["run", "docs", "--index", "i", *HASHING])
    (commit,) = (folder / "i" / "commits").glob("*.json")
    data = bytearray(commit.read_bytes())
    data[len(data) // 2] ^= 1
    commit.write_bytes(data)
    capsys.readouterr()
    before = snapshot(folder / "i" / "commits")
    assert 5 == main([*verb, "--index", "i"])
    err = capsys.readouterr().err
    assert commit.name in err
    assert before == snapshot(folder / "i" / "commits")


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("verb", [["search", "moon"], ["status"]], ids=lambda verb: str(verb[0]))
def test_without_an_index_there_is_nothing_to_look_at(
    capsys: pytest.CaptureFixture[str], verb: list[str]
) -> None:
    assert 5 == main([*verb, "--index", "i", "--json"])
    assert "IndexMissing" == said(capsys)["error"]["type"]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("verb", ["pause", "resume", "cancel"])
def test_without_a_job_there_is_nothing_to_stop(
    capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    assert 2 == main([verb, "--index", "i"])
    assert "no job is unfinished" in capsys.readouterr().err


def test_a_run_in_process_does_not_write_past_an_unfinished_durable_job(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = IndexFolder(folder / "i")
    place.server.mkdir(parents=True)
    place.remember(["docs"])
    assert 1 == main(["run", "docs", "--index", "i", *HASHING])
    err = capsys.readouterr().err
    assert "a job is unfinished on this index (docs, begun " in err
    assert 0 == main(["status", "--index", "i"])
    out = capsys.readouterr().out
    assert "nothing is committed yet" in out
    assert "goes on" in out


def test_an_unforeseen_error_is_a_sentence_and_a_traceback_only_when_asked_for(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DURABLE_INGEST_HTTP_TIMEOUT", "soon")
    assert 2 == main(["run", "docs", "--index", "i", *HASHING])
    err = capsys.readouterr().err
    assert "http_timeout" in err
    assert "'soon'" in err
    assert "Traceback" not in err
    assert 2 == main(["--debug", "run", "docs", "--index", "i", *HASHING])
    assert "Traceback" in capsys.readouterr().err
    assert not (folder / "i").exists()


def test_a_log_that_cannot_be_written_is_passed_over_in_silence(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = list(logging.root.handlers), logging.root.level, logging.raiseExceptions
    try:
        route_logs(folder / "no such folder" / "worker.log")
        logging.getLogger("temporalio").warning("the disk is full")
    finally:
        logging.basicConfig(handlers=before[0], level=before[1], force=True)
        logging.raiseExceptions = before[2]
    assert ("", "") == capsys.readouterr()


def test_a_call_from_a_program_leaves_no_debug_behind(folder: Path) -> None:
    assert main(["--debug", "search", "moon", "--index", str(folder / "none")]) != 0
    assert not DEBUG.get()


def test_every_spelling_of_an_index_folder_is_the_same_index(folder: Path) -> None:
    (folder / "real").mkdir()
    (folder / "link").symlink_to("real")
    names = ("real", "./real", "link", str(folder / "link"), file_uri(folder / "link"))
    assert {file_uri(folder / "real")} == {IndexFolder.at(name).uri for name in names}


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("place", ["", " ", "http://host/i"])
@pytest.mark.parametrize("verb", [["run", "docs", *HASHING], ["search", "moon"], ["status"]])
def test_an_index_that_is_no_folder_is_refused(
    capsys: pytest.CaptureFixture[str], verb: list[str], place: str
) -> None:
    assert 2 == main([*verb, "--index", place])
    assert "index" in capsys.readouterr().err


@pytest.mark.usefixtures("folder")
def test_an_address_that_is_none_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert 2 == main(["worker", "--address", "bad address", "--role", "workflows"])
    assert "'bad address' is no address of a Temporal server" in capsys.readouterr().err


@pytest.mark.usefixtures("folder")
def test_a_worker_that_lacks_something_says_what(capsys: pytest.CaptureFixture[str]) -> None:
    assert 2 == main(["worker", "--role", "cook"])
    assert "no role is called 'cook'" in capsys.readouterr().err
    assert 2 == main(["worker"])
    assert "--index" in capsys.readouterr().err


def test_a_list_that_warns_is_run_all_the_same(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "input.json").write_text(
        json.dumps({"sources": [{"uri": "docs/bread.md", "max_depth": 2}]})
    )
    assert 0 == main(["run", "--input", "input.json", "--index", "i", *HASHING, "--json"])
    out, err = capsys.readouterr()
    assert 1 == json.loads(out)["counts"]["added"]
    assert "warning: " in err
    assert "max_depth 2" in err


@pytest.mark.parametrize("suffix", ["vectors", "rows"])
def test_doctor_reads_every_file_of_an_index(
    folder: Path, capsys: pytest.CaptureFixture[str], suffix: str
) -> None:
    main(["run", "docs", "--index", "i", *HASHING])
    capsys.readouterr()
    main(["doctor", "--index", "i", "--json"])
    assert said(capsys)["findings"][-1]["ok"]
    (segment,) = (folder / "i" / "segments").glob(f"*.{suffix}")
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.write_bytes(data)
    assert 1 == main(["doctor", "--index", "i", "--json"])
    finding = said(capsys)["findings"][-1]
    assert (False, True) == (finding["ok"], segment.name in finding["detail"])
