"""The file calls themselves: synced, exclusive, and honest about a full disk."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from durable_ingest.conformance.disks import FragileDisk, FullDisk
from durable_ingest.errors import StorageFull
from durable_ingest.files import Files, OsFiles, make_folders, reporting_full_disk, write_durably


def test_all_implementations_fulfil_the_port(tmp_path: Path) -> None:
    for files in (OsFiles(), FullDisk(0), FragileDisk(tmp_path)):
        assert isinstance(files, Files)


def test_content_is_synced_before_the_name_and_names_when_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    real = os.fsync

    def record_sync(descriptor: int) -> None:
        synced.append(Path(f"/dev/fd/{descriptor}").resolve().name)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", record_sync)
    files = OsFiles()
    write_durably(files, tmp_path / "file", [b"ab", memoryview(b"cd"), b""])
    files.sync_directory(tmp_path)
    assert (tmp_path / "file").read_bytes() == b"abcd"
    assert len(synced) == 2
    assert synced[0].startswith(".file.")
    assert synced[1] == tmp_path.name


def test_writing_exclusively_never_replaces(tmp_path: Path) -> None:
    files = OsFiles()
    write_durably(files, tmp_path / "file", [b"first"], exclusive=True)
    with pytest.raises(FileExistsError):
        write_durably(files, tmp_path / "file", [b"second"], exclusive=True)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("file", b"first")]
    write_durably(files, tmp_path / "file", [b"third"])
    assert (tmp_path / "file").read_bytes() == b"third"


def test_publishing_works_without_hard_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    files = OsFiles()
    write_durably(files, tmp_path / "file", [b"first"], exclusive=True)
    with pytest.raises(FileExistsError):
        write_durably(files, tmp_path / "file", [b"second"], exclusive=True)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("file", b"first")]


def test_reading_pieces_and_whole_files(tmp_path: Path) -> None:
    files = OsFiles()
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    assert (b"234", b"89", b"") == (
        files.read_at(path, 2, 3),
        files.read_at(path, 8, 10),
        files.read_at(path, 20, 3),
    )
    assert bytes(files.mapped(path)) == files.read(path) == b"0123456789"
    (tmp_path / "empty").touch()
    assert bytes(files.mapped(tmp_path / "empty")) == b""
    assert files.names(tmp_path) == ["empty", "file"]
    assert files.names(tmp_path / "nowhere") == []
    assert files.identity(tmp_path / "nowhere") is None
    assert (files.exists(path), files.size(path), files.writable(tmp_path)) == (True, 10, True)


def test_folders_are_made_down_to_the_last(tmp_path: Path) -> None:
    make_folders(OsFiles(), tmp_path / "a" / "b" / "c")
    make_folders(OsFiles(), tmp_path / "a" / "b" / "c")
    assert (tmp_path / "a" / "b" / "c").is_dir()


def test_only_a_lack_of_space_is_reported_as_such(tmp_path: Path) -> None:
    for number in (errno.ENOSPC, errno.EDQUOT):
        with (
            pytest.raises(StorageFull, match="no space left for a test in"),
            reporting_full_disk("a test", tmp_path),
        ):
            raise OSError(number, os.strerror(number))
    with pytest.raises(OSError, match="Input/output"), reporting_full_disk("a test", tmp_path):
        raise OSError(errno.EIO, os.strerror(errno.EIO))
