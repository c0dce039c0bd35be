"""Files, folders and patterns: what is found, and what is refused."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from durable_ingest.conformance.source import Failure, SourceContract
from durable_ingest.errors import (
    InvalidInput,
    SourceMissing,
    SourceRefused,
    SourceUnreadable,
)
from durable_ingest.ids import file_uri
from durable_ingest.models import DocumentRef, PlannedDocument, SourceSpec
from durable_ingest.settings import WorkerSettings
from durable_ingest.sources.files import FileSource, root_of

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


class TestContract(SourceContract):
    """A folder fulfils the port."""

    @pytest.fixture
    def source(self, tmp_path: Path) -> FileSource:
        return FileSource(WorkerSettings(allowed_roots=(tmp_path,)))

    @pytest.fixture
    def spec(self, docs: Path) -> SourceSpec:
        (docs / "outside.md").symlink_to("/etc/hostname")
        return spec_of(docs)

    @pytest.fixture
    def foreign_uris(self, docs: Path) -> Sequence[str]:
        return [
            file_uri(docs / "image.png"),
            file_uri(docs / ".hidden.md"),
            file_uri(docs / ".git/info.md"),
            file_uri(docs.parent / "other/a.md"),
            "https://site.example/a.md",
        ]

    @pytest.fixture
    def failures(self, tmp_path: Path, docs: Path) -> Sequence[Failure]:
        os.mkfifo(docs / "pipe.md")
        return [
            Failure("missing", DocumentRef(uri=file_uri(docs / "no.md")), SourceMissing),
            Failure("outside", DocumentRef(uri="file:///etc/hostname"), SourceRefused),
            Failure("folder", DocumentRef(uri=file_uri(tmp_path)), SourceUnreadable),
            Failure("pipe", DocumentRef(uri=file_uri(docs / "pipe.md")), SourceRefused),
        ]

    @pytest.fixture
    def broken_specs(self, tmp_path: Path) -> Sequence[SourceSpec]:
        return [
            spec_of(tmp_path / "missing"),
            SourceSpec(uri="https://site.example/"),
            spec_of(tmp_path, options={"no": "such"}),
            spec_of(tmp_path, media_type="html"),
        ]


class TestFileContract(TestContract):
    """A single file fulfils it too."""

    @pytest.fixture
    def spec(self, docs: Path) -> SourceSpec:
        return spec_of(docs / "a.txt")


class TestPatternContract(TestContract):
    """So does a pattern."""

    @pytest.fixture
    def spec(self, docs: Path) -> SourceSpec:
        return SourceSpec(uri=file_uri(docs) + "/**/[!.]*.md")


def test_a_folder_yields_its_documents_in_the_order_of_their_uris(
    source: FileSource, docs: Path
) -> None:
    found = names(source, spec_of(docs), docs)
    assert found == [
        "%5Bx%5D.md",
        "%FF.md",
        "B.HTM",
        "a-b.md",
        "a.txt",
        "a/b.md",
        "a/c/d.html",
        "caf%C3%A9.md",
        "new%0Aline.md",
        "per%2525cent.md",
        "star*.md",
        "with%20space.md",
    ]
    assert found == sorted(found, key=str.encode)


def test_every_found_name_can_be_read_again_from_its_uri(source: FileSource, docs: Path) -> None:
    for item in source.discover(spec_of(docs)):
        assert isinstance(item, DocumentRef)
        fetched = source.fetch(PlannedDocument(ref=item), max_bytes=MIB)
        assert (item.size, item.modified_ns) == (fetched.size, fetched.modified_ns)


def test_a_folder_takes_hidden_files_and_other_suffixes_when_asked(
    source: FileSource, docs: Path
) -> None:
    everything = {"hidden": True, "suffixes": ["*"]}
    found = names(source, spec_of(docs, options=everything), docs)
    assert {".hidden.md", "README", "image.png", "empty/.keep"} < set(found)
    assert not any(".git" in name or "CVS" in name for name in found)
    only = names(source, spec_of(docs, options={"suffixes": [".png"]}), docs)
    assert only == ["image.png"]


def test_a_pattern_yields_what_it_matches_whatever_the_suffix(
    source: FileSource, docs: Path
) -> None:
    assert names(source, SourceSpec(uri=file_uri(docs) + "/*.png"), docs) == ["image.png"]
    assert names(source, SourceSpec(uri=file_uri(docs) + "/**/d.*"), docs) == ["a/c/d.html"]
    assert names(source, SourceSpec(uri=file_uri(docs) + "/no*"), docs) == []


@pytest.mark.parametrize("name", ["[x].md", "star*.md"])
def test_a_name_that_looks_like_a_pattern_is_taken_literally_when_it_exists(
    source: FileSource, docs: Path, name: str
) -> None:
    (docs / "x.md").write_text("not meant")
    (docs / "starry.md").write_text("not meant")
    items = list(source.discover(SourceSpec(uri=f"file://{docs}/{name}")))
    assert [item.uri for item in items] == [file_uri(docs / name)]


def test_a_single_file_is_taken_whatever_it_is_called(source: FileSource, docs: Path) -> None:
    [item] = source.discover(spec_of(docs / "README"))
    assert isinstance(item, DocumentRef)
    status = (docs / "README").stat()
    assert (item.size, item.modified_ns) == (status.st_size, status.st_mtime_ns)
    assert source.fetch(PlannedDocument(ref=item), max_bytes=MIB).media_type == "text/plain"


def test_a_declared_media_type_reaches_every_document(source: FileSource, docs: Path) -> None:
    items = list(source.discover(spec_of(docs, media_type="Text/HTML")))
    assert {item.media_type for item in items if isinstance(item, DocumentRef)} == {"text/html"}


def test_an_empty_folder_yields_nothing(source: FileSource, docs: Path) -> None:
    assert list(source.discover(spec_of(docs / "empty"))) == []


def test_a_folder_of_fifty_thousand_files_is_streamed(
    source: FileSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "one").write_text("text")
    for n in range(50):
        (tmp_path / f"{n:03}").mkdir()
        for m in range(1000):
            os.link(tmp_path / "one", tmp_path / f"{n:03}/{m:04}.md")  # cheaper than a file
    listed: list[str] = []
    scan: Scan = os.scandir

    def scandir(path: str) -> Scan:
        listed.append(path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    items = source.discover(spec_of(tmp_path))
    first = next(items)
    assert listed == [str(tmp_path), str(tmp_path / "000")]
    assert first.uri == file_uri(tmp_path / "000/0000.md")
    assert 1 + sum(1 for _ in items) == 50_000
    assert len(listed) == 51
    monkeypatch.undo()
    for n in range(50):
        shutil.rmtree(tmp_path / f"{n:03}")


def test_folders_nested_deeper_than_the_stack_are_walked(
    source: FileSource, tmp_path: Path
) -> None:
    deep = tmp_path
    for _ in range(1200):
        deep /= "d"
        deep.mkdir()
    (deep / "x.md").write_text("deep")
    try:
        [item] = source.discover(spec_of(tmp_path))
        assert isinstance(item, DocumentRef)
        assert source.fetch(PlannedDocument(ref=item), max_bytes=MIB).content == b"deep"
    finally:
        (deep / "x.md").unlink()
        while deep != tmp_path:  # what removes test folders goes one call deeper per level
            deep.rmdir()
            deep = deep.parent


PAGE = "https://site.example/page"


def test_a_stored_copy_is_read_under_the_name_of_its_original(
    source: FileSource, docs: Path
) -> None:
    spec = SourceSpec(uri=PAGE + "#part", options={"path": file_uri(docs / "a/c/d.html")})
    [item] = source.discover(spec)
    assert isinstance(item, DocumentRef)
    assert (item.uri, item.size) == (PAGE, (docs / "a/c/d.html").stat().st_size)
    fetched = source.fetch(PlannedDocument(ref=item), max_bytes=MIB)
    assert (fetched.content, fetched.media_type) == (b"text of a/c/d.html", "text/html")
    assert source.covers(spec, PAGE)
    assert not source.covers(spec, file_uri(docs / "a/c/d.html"))


def test_a_stored_copy_that_is_missing_or_a_folder_is_terminal(
    source: FileSource, docs: Path
) -> None:
    for path, error in ((docs / "no.html", SourceMissing), (docs, SourceUnreadable)):
        with pytest.raises(error):
            next(source.discover(SourceSpec(uri=PAGE, options={"path": file_uri(path)})))
    with pytest.raises(InvalidInput):
        next(source.discover(SourceSpec(uri=PAGE, options={"path": 3})))


@pytest.mark.parametrize(
    ("uri", "options", "expected"),
    [
        ("file:///d", {}, "/d"),
        ("file:///d/a.md", {}, "/d/a.md"),
        ("file:///d/x/**/*.md", {}, "/d/x"),
        (PAGE, {"path": "file:///d/copy.html"}, "/d/copy.html"),
    ],
)
def test_the_root_of_a_source_is_what_its_user_named(
    uri: str, options: dict[str, Any], expected: str
) -> None:
    assert Path(expected) == root_of(SourceSpec(uri=uri, options=options))
