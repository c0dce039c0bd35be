"""Artifacts in a local folder: `<folder>/ab/cdef...`, named by the SHA-256 of their bytes.

Any number of processes and threads may use one folder at once: an artifact appears under its name
in one step, and whoever writes the same bytes a second time changes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from durable_ingest.errors import ArtifactDamaged, ArtifactMissing
from durable_ingest.files import (
    TEMPORARY,
    Files,
    OsFiles,
    make_folders,
    reporting_full_disk,
    write_durably,
)
from durable_ingest.ids import sha256
from durable_ingest.models import ArtifactRef

_STALE = 24 * 60 * 60.0  # seconds; no write of one artifact takes so long


class LocalArtifacts:
    """Content-addressed bytes in a folder; fulfils `durable_ingest.ports.ArtifactStore`.

    `put` returns once bytes and name are durable. Any thread may call any method.

    Args:
        directory: The folder; it and those above it are made on the first `put`.
        files: File calls, for tests.
    """

    def __init__(self, directory: Path, files: Files | None = None) -> None:
        self._directory = Path(directory)
        self._files = files or OsFiles()
        self._anchored: set[Path] = set()  # folders whose names are known to be durable

    @property
    def directory(self) -> Path:
        """The folder."""
        return self._directory

    def path(self, ref: ArtifactRef) -> Path:
        """Where the artifact lies, or would."""
        return self._directory / ref.sha256[:2] / ref.sha256[2:]

    def put(self, data: bytes, *, media_type: str = "application/octet-stream") -> ArtifactRef:
        """Store bytes durably before returning; storing equal bytes again writes nothing.

        What lies there already is compared, which costs less than hashing, and replaced when it
        is damaged: doing a step again heals its artifact.

        Raises:
            StorageFull: No space left; nothing half-written is visible.
        """
        ref = ArtifactRef(sha256=sha256(data), size=len(data), media_type=media_type)
        path = self.path(ref)
        with reporting_full_disk("an artifact", self._directory):
            if path.parent not in self._anchored:
                make_folders(self._files, self._directory)
                make_folders(self._files, path.parent)
                self._anchored.add(path.parent)
            if not (self._has_size(path, ref.size) and self._holds(path, data)):
                write_durably(self._files, path, [data])
            # Even when it was there: another process may have given it the name only just now.
            self._files.sync_directory(path.parent)
        return ref

    def get(self, ref: ArtifactRef) -> bytes:
        """Read and verify.

        Raises:
            ArtifactMissing: It is not there.
            ArtifactDamaged: Its bytes do not have the digest or size of `ref`.
        """
        path = self.path(ref)
        try:
            data = self._files.read(path)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise ArtifactMissing(
                f"artifact {ref.sha256!r} is not in {str(self._directory)!r}: run the step that"
                " makes it again"
            ) from error
        if len(data) != ref.size or sha256(data) != ref.sha256:
            raise ArtifactDamaged(
                f"{str(path)!r} has {len(data)} bytes that are not those of artifact"
                f" {ref.sha256!r} ({ref.size} bytes): delete it and run the step that makes it"
                " again"
            )
        return data

    def contains(self, ref: ArtifactRef) -> bool:
        """Whether the artifact is there with the right size; its bytes are not verified."""
        return self._has_size(self.path(ref), ref.size)

    def delete(self, refs: Iterable[ArtifactRef]) -> int:
        """Remove artifacts; those not there are ignored. Returns how many were removed."""
        removed = 0
        for ref in refs:
            with suppress(FileNotFoundError, NotADirectoryError):
                self._files.remove(self.path(ref))
                removed += 1
        return removed

    def sweep(self) -> int:
        """Remove what processes that died left half-written more than a day ago.

        Returns:
            How many files were removed.
        """
        now = time.time()
        removed = 0
        for name in self._files.names(self._directory):
            folder = self._directory / name
            with suppress(NotADirectoryError):
                for file in self._files.names(folder):
                    if file.endswith(TEMPORARY):
                        removed += self._remove_stale(folder / file, now)
        return removed

    def _remove_stale(self, path: Path, now: float) -> int:
        with suppress(FileNotFoundError):  # its owner finished, or another sweep was faster
            if self._files.age(path, now) > _STALE:
                self._files.remove(path)
                return 1
        return 0

    def _holds(self, path: Path, data: bytes) -> bool:
        try:
            return self._files.read(path) == data
        except OSError:  # deleted in between, or a bad sector: write it
            return False

    def _has_size(self, path: Path, size: int) -> bool:
        try:
            return self._files.size(path) == size
        except (FileNotFoundError, NotADirectoryError):
            return False
