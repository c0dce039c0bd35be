"""Segments: immutable files named by their content.

`<sha256>.vectors` holds little-endian float32 numbers, one vector after the other, nothing else.
`<sha256>.rows` holds checksummed records (see `rows`). Equal content has equal names, so several
commits may share a segment.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from durable_ingest.errors import IndexDamaged
from durable_ingest.files import Files, write_durably
from durable_ingest.ids import sha256
from durable_ingest.stores.log import SegmentRef
from durable_ingest.stores.sealed import damaged

ROWS = "rows"
VECTORS = "vectors"
_FLOAT = np.dtype("<f4")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record lies.

    Attributes:
        segment: File name of the segment.
        start: Byte where its line begins.
        length: Bytes of the line, without the line end.
    """

    segment: str
    start: int
    length: int


class Segments:
    """Writes, verifies and reads segments.

    Args:
        directory: The folder `segments`.
        files: File calls.
        dimension: Length of every vector.
    """

    def __init__(self, directory: Path, files: Files, dimension: int) -> None:
        self._directory = directory
        self._files = files
        self._dimension = dimension
        self._verified: set[str] = set()

    def path(self, name: str) -> Path:
        """The file of a segment."""
        return self._directory / name

    def write(self, data: bytes, *, kind: str, count: int) -> SegmentRef:
        """Write a segment unless an equal one is there; `sync` makes its name durable."""
        digest = sha256(data)
        name = f"{digest}.{kind}"
        if not self._is_sound(name):
            write_durably(self._files, self.path(name), [data])
        self._verified.add(name)
        return SegmentRef(digest, len(data), count)

    def sync(self) -> None:
        """Make the names of all segments durable."""
        self._files.sync_directory(self._directory)

    def check(self, name: str) -> None:
        """Make sure that a segment is there and, once per process, what was written.

        Raises:
            IndexDamaged: It is not.
        """
        if name not in self._verified:
            self._digest_of(name)
        elif not self._files.exists(self.path(name)):
            raise damaged(self.path(name), "it is missing")

    def _digest_of(self, name: str) -> memoryview:
        path = self.path(name)
        try:
            data = self._files.mapped(path)
        except FileNotFoundError as error:
            raise damaged(path, "it is missing") from error
        if name not in self._verified:
            if not name.startswith(f"{hashlib.sha256(data).hexdigest()}."):
                raise damaged(path, "its bytes do not have the digest that is its name")
            self._verified.add(name)
        return data

    def read(self, name: str) -> bytes:
        """The content of a segment, verified.

        Raises:
            IndexDamaged: It is missing or not what was written.
        """
        path = self.path(name)
        try:
            data = self._files.read(path)
        except FileNotFoundError as error:
            raise damaged(path, "it is missing") from error
        if not name.startswith(f"{sha256(data)}."):
            raise damaged(path, "its bytes do not have the digest that is its name")
        self._verified.add(name)
        return data

    def read_record(self, place: Place) -> bytes:
        """One line of a `rows` segment; the caller verifies its checksum.

        Raises:
            IndexDamaged: The segment is missing.
        """
        path = self.path(place.segment)
        try:
            return self._files.read_at(path, place.start, place.length)
        except FileNotFoundError as error:
            raise damaged(path, "it is missing") from error

    def matrix(self, name: str) -> NDArray[np.float32]:
        """All vectors of a segment, `(count, dimension)`, mapped and verified on first use.

        Raises:
            IndexDamaged: It is missing or not what was written.
        """
        data = self._digest_of(name)
        width = self._dimension * _FLOAT.itemsize
        if len(data) % width:
            raise damaged(self.path(name), f"its length is no multiple of {width} bytes")
        numbers = np.frombuffer(data, dtype=_FLOAT).reshape(-1, self._dimension)
        return numbers.astype(np.float32, copy=False)

    def vectors(self, name: str, places: Sequence[int]) -> NDArray[np.float32]:
        """Some vectors of a segment, `(len(places), dimension)`, copied.

        Raises:
            IndexDamaged: The segment is missing, not what was written, or too short.
        """
        matrix = self.matrix(name)
        wanted = np.asarray(places, dtype=np.int64)
        if wanted.size and int(wanted.max()) >= len(matrix):
            raise damaged(self.path(name), f"it holds {len(matrix)} vectors only")
        return np.ascontiguousarray(matrix[wanted])

    def _is_sound(self, name: str) -> bool:
        if not self._files.exists(self.path(name)):
            return False
        try:
            self.read(name)
        except IndexDamaged:
            return False
        return True


def as_bytes(matrix: NDArray[np.float32]) -> bytes:
    """The content of a `vectors` segment."""
    return np.ascontiguousarray(matrix, dtype=_FLOAT).tobytes()
