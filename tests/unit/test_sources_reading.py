"""Reading one file: type, size limit, and files that change meanwhile."""

from __future__ import annotations

import itertools
import os
import tracemalloc
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from durable_ingest.errors import (
    DocumentTooLarge,
    SourceRefused,
    SourceUnavailable,
    SourceUnreadable,
)
from durable_ingest.ids import file_uri
from durable_ingest.models import DocumentRef, PlannedDocument
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


def ref_of(path: Path, **fields: Any) -> PlannedDocument:
    return PlannedDocument(ref=DocumentRef(uri=file_uri(path), **fields))


def test_a_file_without_permission_is_terminal(
    source: FileSource, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: Any = os.open

    def refuse(path: Any, *args: Any, **kwargs: Any) -> int:
        if str(path).endswith("a.txt"):
            raise PermissionError(13, "Permission denied")
        number: int = opened(path, *args, **kwargs)
        return number

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(SourceUnreadable, match="no permission to read"):
        source.fetch(ref_of(docs / "a.txt"), max_bytes=MIB)


@dataclass(frozen=True)
class Typed:
    name: str
    content: bytes
    declared: str | None
    expected: str


TYPED = [
    Typed("a.md", b"\x00", None, "text/markdown"),
    Typed("a.md", b"text", "text/plain", "text/plain"),
    Typed("a.xhtml", b"text", None, "application/xhtml+xml"),
    Typed("page", b"<!doctype html><p>x", None, "text/html"),
    Typed("note", b"text", None, "text/plain"),
    Typed("blob", b"\x00\x01", None, "application/octet-stream"),
    Typed("paper.pdf", b"%PDF-1.4", None, "application/pdf"),
    Typed("empty", b"", None, "text/plain"),
]


@pytest.mark.parametrize("case", TYPED, ids=lambda case: f"{case.name} {case.declared}")
def test_a_file_has_the_declared_type_or_its_suffixs_or_its_bytes(
    source: FileSource, tmp_path: Path, case: Typed
) -> None:
    (tmp_path / case.name).write_bytes(case.content)
    planned = ref_of(tmp_path / case.name, media_type=case.declared)
    fetched = source.fetch(planned, max_bytes=MIB)
    assert (case.expected, case.content) == (fetched.media_type, fetched.content)


def test_a_huge_file_is_refused_by_its_size_alone(source: FileSource, tmp_path: Path) -> None:
    huge = tmp_path / "huge.txt"
    with huge.open("wb") as file:
        file.truncate(1 << 40)
    tracemalloc.start()
    try:
        with pytest.raises(DocumentTooLarge, match=f"{1 << 40} bytes, over the limit of {MIB}"):
            source.fetch(ref_of(huge), max_bytes=MIB)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < MIB


def test_a_large_file_is_read_whole(source: FileSource, tmp_path: Path) -> None:
    content = bytes(itertools.islice(itertools.cycle(range(256)), 5 * MIB + 17))
    (tmp_path / "large.txt").write_bytes(content)
    fetched = source.fetch(ref_of(tmp_path / "large.txt"), max_bytes=len(content))
    assert fetched.content == content


@dataclass
class Meddler:
    """Changes a file while it is read, a number of times."""

    path: Path
    times: int
    addition: bytes = b"more"
    reads: int = 0

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        read = os.read

        def meddling(descriptor: int, size: int) -> bytes:
            self.reads += 1
            if self.times > 0:
                self.times -= 1
                with self.path.open("ab") as file:
                    file.write(self.addition)
            return read(descriptor, size)

        monkeypatch.setattr(os, "read", meddling)


def test_a_file_that_changes_while_it_is_read_is_read_again(
    source: FileSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log.txt"
    path.write_bytes(b"text")
    Meddler(path, times=2).install(monkeypatch)
    fetched = source.fetch(ref_of(path), max_bytes=MIB)
    assert fetched.content == path.read_bytes()


def test_a_file_that_never_rests_is_transient(
    source: FileSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log.txt"
    path.write_bytes(b"text")
    meddler = Meddler(path, times=1000)
    meddler.install(monkeypatch)
    with pytest.raises(SourceUnavailable, match="changed while it was read, 3 times over"):
        source.fetch(ref_of(path), max_bytes=MIB)
    assert meddler.reads < 20


def test_a_file_that_grows_over_the_limit_while_it_is_read_is_too_large(
    source: FileSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log.txt"
    path.write_bytes(b"text")
    Meddler(path, times=1, addition=bytes(1000)).install(monkeypatch)
    with pytest.raises(DocumentTooLarge, match="grown to 1004 bytes"):
        source.fetch(ref_of(path), max_bytes=100)


def test_a_file_replaced_by_a_link_between_check_and_open_is_not_followed(
    fenced: FileSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last name, and a folder on the way to it."""
    inner = tmp_path / "open/inner"
    inner.mkdir()
    (inner / "key.md").write_text("inner")
    opened: Any = os.open

    def swap(path: Any, *args: Any, **kwargs: Any) -> int:
        if path == "inner" and not inner.is_symlink():
            (inner / "key.md").unlink()
            inner.rmdir()
            inner.symlink_to("../secret", target_is_directory=True)
        elif path == "key.md" and not (tmp_path / "open/key.md").is_symlink():
            (tmp_path / "open/key.md").unlink()
            (tmp_path / "open/key.md").symlink_to("../secret/key.md")
        number: int = opened(path, *args, **kwargs)
        return number

    monkeypatch.setattr(os, "open", swap)
    for path in (inner / "key.md", tmp_path / "open/key.md"):
        with pytest.raises((SourceUnavailable, SourceRefused)):
            fenced.fetch(ref_of(path), max_bytes=MIB)


@pytest.mark.timeout(10)
def test_a_file_replaced_by_a_pipe_between_check_and_open_does_not_block(
    source: FileSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.md"
    path.write_text("text")
    opened: Any = os.open

    def swap(name: Any, *args: Any, **kwargs: Any) -> int:
        if name == "x.md":
            path.unlink()
            os.mkfifo(path)
        number: int = opened(name, *args, **kwargs)
        return number

    monkeypatch.setattr(os, "open", swap)
    with pytest.raises(SourceRefused, match="named pipe"):
        source.fetch(ref_of(path), max_bytes=MIB)
