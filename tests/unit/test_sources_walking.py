"""Paths and folders that cannot be read: what is raised, what becomes a row."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from durable_ingest.errors import (
    SourceMissing,
    SourceUnavailable,
    SourceUnreadable,
    TerminalError,
)
from durable_ingest.ids import file_uri
from durable_ingest.models import DocumentRef, ErrorRow, PlannedDocument, SourceSpec
from durable_ingest.settings import WorkerSettings
from durable_ingest.sources.files import FileSource

MIB = 1024 * 1024
Scan = Any


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    """A folder with what folders hold."""
    folder = tmp_path / "docs"
    for name in (
        "a/b.md",
        "a-b.md",
        "a.txt",
        "a/c/d.html",
        "B.HTM",
        "empty/.keep",
        "image.png",
        "README",
        ".hidden.md",
        ".git/info.md",
        "CVS/notes.md",
        "with space.md",
        "café.md",
        "new\nline.md",
        "per%25cent.md",
        "star*.md",
        "[x].md",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"text of {name}", encoding="utf-8")
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff.md")).write_bytes(b"not UTF-8")
    return folder


@pytest.fixture
def source(tmp_path: Path) -> FileSource:
    return FileSource(WorkerSettings(allowed_roots=(tmp_path,)))


def spec_of(path: Path, **fields: Any) -> SourceSpec:
    return SourceSpec(uri=file_uri(path), **fields)


def names(source: FileSource, spec: SourceSpec, folder: Path) -> list[str]:
    return [item.uri.removeprefix(file_uri(folder) + "/") for item in source.discover(spec)]


def ref_of(path: Path, **fields: Any) -> PlannedDocument:
    return PlannedDocument(ref=DocumentRef(uri=file_uri(path), **fields))


def test_a_missing_path_is_named(source: FileSource, tmp_path: Path) -> None:
    missing = tmp_path / "no such folder"
    for uri in (file_uri(missing), file_uri(missing) + "/*.md", file_uri(missing / "x")):
        with pytest.raises(SourceMissing, match="no such folder"):
            next(source.discover(SourceSpec(uri=uri)))


def test_a_path_through_a_file_is_missing(source: FileSource, docs: Path) -> None:
    with pytest.raises(SourceMissing):
        next(source.discover(spec_of(docs / "a.txt/b.md")))
    with pytest.raises(SourceMissing, match="is a file"):
        next(source.discover(SourceSpec(uri=file_uri(docs / "a.txt") + "/*.md")))


def test_a_name_too_long_for_the_disk_is_terminal(source: FileSource, tmp_path: Path) -> None:
    with pytest.raises(TerminalError):
        next(source.discover(spec_of(tmp_path / ("x" * 5000))))


def deny(monkeypatch: pytest.MonkeyPatch, folder: Path, error: OSError) -> None:
    """Make listing one folder fail; root may list all, so modes do not do it."""
    scan: Scan = os.scandir

    def scandir(path: str) -> Scan:
        if path == str(folder):
            raise error
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)


def test_a_folder_without_permission_is_a_row_and_the_walk_goes_on(
    source: FileSource, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deny(monkeypatch, docs / "a", PermissionError(13, "Permission denied"))
    items = list(source.discover(spec_of(docs)))
    rows = [item for item in items if isinstance(item, ErrorRow)]
    assert [(row.uri, row.error_type) for row in rows] == [
        (file_uri(docs / "a"), "SourceUnreadable")
    ]
    assert f"no permission to read {str(docs / 'a')!r}" == rows[0].message
    assert len(items) == 11


def test_a_source_without_permission_is_raised(
    source: FileSource, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deny(monkeypatch, docs, PermissionError(13, "Permission denied"))
    with pytest.raises(SourceUnreadable, match="no permission"):
        next(source.discover(spec_of(docs)))


def test_a_folder_that_vanishes_during_the_walk_is_left_out(
    source: FileSource, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scandir(path: str) -> Scan:
        if path == str(docs / "a"):
            (docs / "a/b.md").unlink()
            (docs / "a/c/d.html").unlink()
            (docs / "a/c").rmdir()
            (docs / "a").rmdir()
        return scan(path)

    scan: Scan = os.scandir
    monkeypatch.setattr(os, "scandir", scandir)
    items = list(source.discover(spec_of(docs)))
    assert len(items) == 10
    assert not any("/a/" in item.uri for item in items)


def test_too_few_file_descriptors_are_no_reason_to_leave_documents_out(
    source: FileSource, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deny(monkeypatch, docs / "a", OSError(24, "Too many open files"))
    with pytest.raises(SourceUnavailable, match="Too many open files"):
        list(source.discover(spec_of(docs)))
