"""The commit log: the one truth of an index.

`commits/00000042.json` is written once and never changed. Each record names the digest of the
file before it, so that the newest digest vouches for the whole history; the first names that of
`index.json`.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from durable_ingest.errors import StorageFull
from durable_ingest.files import Files, write_durably
from durable_ingest.ids import sha256
from durable_ingest.ports import CommitResult
from durable_ingest.stores.sealed import damaged, seal, unseal

_NAME = re.compile(r"(\d{8,})\.json")


@dataclass(frozen=True, slots=True)
class SegmentRef:
    """A segment as a commit names it.

    Attributes:
        sha256: Digest of the file, which is its name.
        size: Its length in bytes.
        count: Vectors or records in it.
    """

    sha256: str
    size: int
    count: int


@dataclass(frozen=True, slots=True)
class Totals:
    """What the index holds after a commit.

    Attributes:
        documents: Live documents.
        chunks: Live chunks.
        vectors: Distinct vectors that live chunks use.
        stored: Distinct vectors in segments, used or not.
        checksum: Sum of the checksums of all live records, so that derived state can prove
            that it has them all.
        writes: Document records ever written; paces checkpoints.
    """

    documents: int = 0
    chunks: int = 0
    vectors: int = 0
    stored: int = 0
    checksum: int = 0
    writes: int = 0


@dataclass(frozen=True, slots=True)
class CommitRecord:
    """One commit.

    Attributes:
        sequence: Its number, from 1 without gaps.
        commit_id: Its name, given by the caller.
        previous: Digest of the file before it.
        rows: Segment of document and chunk records, if any were written.
        vectors: Segment of vectors, if any were written.
        deleted: Ids of removed documents.
        result: What the commit did, to be told again when it is repeated.
        totals: What the index holds since.
        committed: Time, ISO 8601; for people, nothing depends on it.
    """

    sequence: int
    commit_id: str
    previous: str
    rows: SegmentRef | None
    vectors: SegmentRef | None
    deleted: tuple[str, ...]
    result: CommitResult
    totals: Totals
    committed: str


class CommitLog:
    """Reads and appends commit records.

    Args:
        directory: The folder `commits`.
        files: File calls.
        origin: Digest of `index.json`, the predecessor of the first commit.
    """

    def __init__(self, directory: Path, files: Files, origin: str) -> None:
        self._directory = directory
        self._files = files
        self.origin = origin

    def path(self, sequence: int) -> Path:
        """The file of a commit."""
        return self._directory / f"{sequence:08d}.json"

    def has(self, sequence: int) -> bool:
        """Whether a commit is there; one cheap call."""
        return self._files.exists(self.path(sequence))

    def newest(self) -> int:
        """Number of the newest commit, 0 when there is none.

        Raises:
            IndexDamaged: A commit before it is missing.
        """
        found = [
            int(match[1])
            for name in self._files.names(self._directory)
            if (match := _NAME.fullmatch(name))
        ]
        newest = max(found, default=0)
        if len(found) != newest:
            gap = min(set(range(1, newest + 1)) - set(found))
            raise damaged(self.path(gap), f"it is missing, yet there are commits up to {newest}")
        return newest

    def read(self, sequence: int) -> tuple[CommitRecord, str]:
        """A commit and the digest of its file.

        Raises:
            IndexDamaged: It is missing or not what was written.
        """
        path = self.path(sequence)
        try:
            data = self._files.read(path)
        except FileNotFoundError as error:
            raise damaged(path, "it is missing") from error
        content = unseal(data, path)
        try:
            record = _record_of(content)
        except (KeyError, TypeError) as error:
            raise damaged(path, "its fields cannot be read") from error
        if record.sequence != sequence:
            raise damaged(path, f"it is commit {record.sequence!r} under another name")
        return record, sha256(data)

    def read_after(self, sequence: int, head: str) -> tuple[CommitRecord, str]:
        """The commit that follows `sequence`, whose file has digest `head`.

        Raises:
            IndexDamaged: It follows another one.
        """
        record, digest = self.read(sequence + 1)
        if record.previous != (head or self.origin):
            raise damaged(
                self.path(sequence + 1),
                "it does not follow the commit before it, of which another version was recorded",
            )
        return record, digest

    def verify(self, first: int, last: int) -> None:
        """Check that commits after `first` and up to `last` are sound and follow each other.

        Raises:
            IndexDamaged: Names the first that is not.
        """
        head = self.read(first)[1] if first else ""
        for sequence in range(first, last):
            _, head = self.read_after(sequence, head)

    def append(self, record: CommitRecord) -> str:
        """Make a commit visible and durable; returns the digest of its file.

        When the last step fails, the commit is taken back.
        """
        path = self.path(record.sequence)
        data = seal(_content_of(record))
        write_durably(self._files, path, [data], exclusive=True)
        try:
            self._files.sync_directory(self._directory)
        except OSError:
            self._take_back(path)
            raise
        return sha256(data)

    def sync(self) -> None:
        """Make commits durable that a process left behind when it died before it could."""
        self._files.sync_directory(self._directory)

    def _take_back(self, path: Path) -> None:
        try:
            self._files.remove(path)
        except OSError as error:
            raise StorageFull(
                f"{str(path)!r} was written, but it is not certain that it survives a power cut,"
                " and it could not be taken back: commit the same id again to settle it"
            ) from error
        with suppress(OSError):
            self._files.sync_directory(self._directory)


def _content_of(record: CommitRecord) -> dict[str, Any]:
    content = asdict(record)
    content["deleted"] = list(record.deleted)
    del content["result"]["sequence"], content["result"]["repeated"]
    return content


def _record_of(content: dict[str, Any]) -> CommitRecord:
    rows, vectors = content["rows"], content["vectors"]
    return CommitRecord(
        sequence=content["sequence"],
        commit_id=content["commit_id"],
        previous=content["previous"],
        rows=SegmentRef(**rows) if rows else None,
        vectors=SegmentRef(**vectors) if vectors else None,
        deleted=tuple(content["deleted"]),
        result=CommitResult(sequence=content["sequence"], **content["result"]),
        totals=Totals(**content["totals"]),
        committed=content["committed"],
    )
