"""What file sources refuse: outside the roots, links that lead out, pipes and devices."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from durable_ingest.errors import (
    SourceRefused,
)
from durable_ingest.ids import file_uri
from durable_ingest.models import DocumentRef, ErrorRow, PlannedDocument, SourceSpec
from durable_ingest.settings import WorkerSettings
from durable_ingest.sources.files import FileSource

MIB = 1024 * 1024
Scan = Any


@pytest.fixture
def source(tmp_path: Path) -> FileSource:
    return FileSource(WorkerSettings(allowed_roots=(tmp_path,)))


def spec_of(path: Path, **fields: Any) -> SourceSpec:
    return SourceSpec(uri=file_uri(path), **fields)


def names(source: FileSource, spec: SourceSpec, folder: Path) -> list[str]:
    return [item.uri.removeprefix(file_uri(folder) + "/") for item in source.discover(spec)]


def ref_of(path: Path, **fields: Any) -> PlannedDocument:
    return PlannedDocument(ref=DocumentRef(uri=file_uri(path), **fields))


def test_linked_folders_are_left_out_and_walked_once_when_asked(
    source: FileSource, tmp_path: Path
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/x.md").write_text("x")
    (tmp_path / "real/up").symlink_to("..", target_is_directory=True)
    (tmp_path / "zlink").symlink_to("real", target_is_directory=True)
    assert names(source, spec_of(tmp_path), tmp_path) == ["real/x.md"]
    followed = names(source, spec_of(tmp_path, options={"follow_symlinks": True}), tmp_path)
    assert followed == ["real/x.md"]
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "link").symlink_to("../real", target_is_directory=True)
    spec = spec_of(inside, options={"follow_symlinks": True})
    assert names(source, spec, inside) == ["link/up/zlink/x.md"] or names(source, spec, inside) == [
        "link/x.md"
    ]


def test_links_that_lead_nowhere_or_in_circles_are_rows(source: FileSource, tmp_path: Path) -> None:
    (tmp_path / "broken.md").symlink_to("missing.md")
    (tmp_path / "circle.md").symlink_to("circle.md")
    rows = [item for item in source.discover(spec_of(tmp_path)) if isinstance(item, ErrorRow)]
    assert [(row.uri, row.error_type) for row in rows] == [
        (file_uri(tmp_path / "broken.md"), "SourceUnreadable"),
        (file_uri(tmp_path / "circle.md"), "SourceUnreadable"),
    ]


def test_a_linked_file_keeps_the_name_of_the_link(source: FileSource, tmp_path: Path) -> None:
    (tmp_path / "real.md").write_text("text")
    (tmp_path / "link.md").symlink_to("real.md")
    [item] = source.discover(spec_of(tmp_path / "link.md"))
    assert isinstance(item, DocumentRef)
    assert item.uri == file_uri(tmp_path / "link.md")
    assert source.fetch(PlannedDocument(ref=item), max_bytes=MIB).content == b"text"


@dataclass(frozen=True)
class Outside:
    name: str
    target: str


OUTSIDE = [
    Outside("absolute", "{tmp}/secret/key.md"),
    Outside("upwards", "{tmp}/open/../secret/key.md"),
    Outside("link", "{tmp}/open/link.md"),
    Outside("linked folder", "{tmp}/open/door/key.md"),
    Outside("folder", "{tmp}/secret"),
    Outside("pattern", "{tmp}/secret/*.md"),
    Outside("missing", "{tmp}/secret/none.md"),
    Outside("sibling with the root's name in front", "{tmp}/open-too/key.md"),
    Outside("root of the disk", "/"),
    Outside("pipe", "{tmp}/secret/pipe.md"),
]


@pytest.fixture
def fenced(tmp_path: Path) -> FileSource:
    """A source that may read the folder `open` only."""
    for name in ("open", "secret", "open-too"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "key.md").write_text(name)
    os.mkfifo(tmp_path / "secret/pipe.md")
    (tmp_path / "open/link.md").symlink_to("../secret/key.md")
    (tmp_path / "open/door").symlink_to("../secret", target_is_directory=True)
    return FileSource(WorkerSettings(allowed_roots=(tmp_path / "open",)))


@pytest.mark.parametrize("case", OUTSIDE, ids=lambda case: case.name)
def test_what_lies_outside_the_roots_is_a_row_that_names_the_rule(
    fenced: FileSource, tmp_path: Path, case: Outside
) -> None:
    uri = "file://" + case.target.format(tmp=tmp_path)
    [row] = fenced.discover(SourceSpec(uri=uri))
    assert isinstance(row, ErrorRow)
    assert (row.error_type, row.rule) == ("SourceRefused", "allowed_roots")
    assert str(tmp_path / "open") in row.message


@pytest.mark.parametrize("case", OUTSIDE, ids=lambda case: case.name)
def test_what_lies_outside_the_roots_is_not_fetched(
    fenced: FileSource, tmp_path: Path, case: Outside
) -> None:
    uri = "file://" + case.target.format(tmp=tmp_path)
    with pytest.raises(SourceRefused) as caught:
        fenced.fetch(PlannedDocument(ref=DocumentRef(uri=uri)), max_bytes=MIB)
    assert caught.value.rule == "allowed_roots"


def test_a_walk_reports_links_that_lead_out_and_goes_on(fenced: FileSource, tmp_path: Path) -> None:
    items = list(fenced.discover(spec_of(tmp_path / "open", options={"follow_symlinks": True})))
    assert [(item.uri.rpartition("/")[2], getattr(item, "rule", "-")) for item in items] == [
        ("door", "allowed_roots"),
        ("key.md", "-"),
        ("link.md", "allowed_roots"),
    ]


def test_a_worker_without_roots_reads_nothing(tmp_path: Path) -> None:
    [row] = FileSource(WorkerSettings()).discover(spec_of(tmp_path))
    assert isinstance(row, ErrorRow)
    assert (row.rule, "was given no folders" in row.message) == ("allowed_roots", True)


def test_a_root_may_be_a_link_or_a_single_file(fenced: FileSource, tmp_path: Path) -> None:
    del fenced
    linked = FileSource(WorkerSettings(allowed_roots=(tmp_path / "open/door",)))
    single = FileSource(WorkerSettings(allowed_roots=(tmp_path / "secret/key.md",)))
    for source in (linked, single):
        fetched = source.fetch(ref_of(tmp_path / "secret/key.md"), max_bytes=MIB)
        assert fetched.content == b"secret"
    with pytest.raises(SourceRefused):
        single.fetch(ref_of(tmp_path / "open/key.md"), max_bytes=MIB)


@pytest.fixture
def odd_files(tmp_path: Path) -> Iterator[Path]:
    """A folder with a pipe, a socket and a link to a device."""
    folder = tmp_path / "odd"
    folder.mkdir()
    os.mkfifo(folder / "pipe.md")
    here = Path.cwd()
    with socket.socket(socket.AF_UNIX) as listener:
        os.chdir(folder)  # the names of sockets are short
        try:
            listener.bind("socket.md")
        finally:
            os.chdir(here)
        (folder / "zero.md").symlink_to("/dev/zero")
        yield folder


@pytest.mark.timeout(10)
def test_pipes_sockets_and_devices_are_rows_and_never_opened(odd_files: Path) -> None:
    source = FileSource(WorkerSettings(allowed_roots=(odd_files, Path("/dev/zero"))))
    rows = [item for item in source.discover(spec_of(odd_files)) if isinstance(item, ErrorRow)]
    assert [(row.uri.rpartition("/")[2], row.rule) for row in rows] == [
        ("pipe.md", "regular-files"),
        ("socket.md", "regular-files"),
        ("zero.md", "regular-files"),
    ]
    for row in rows:
        [single] = source.discover(SourceSpec(uri=row.uri))
        assert single == row
        with pytest.raises(SourceRefused, match="only regular files are read"):
            source.fetch(PlannedDocument(ref=DocumentRef(uri=row.uri)), max_bytes=MIB)


def test_a_stored_copy_obeys_the_roots(fenced: FileSource, tmp_path: Path) -> None:
    page = "https://site.example/page"
    spec = SourceSpec(uri=page, options={"path": file_uri(tmp_path / "secret/key.md")})
    [row] = fenced.discover(spec)
    assert isinstance(row, ErrorRow)
    assert (row.uri, row.rule) == (page, "allowed_roots")
