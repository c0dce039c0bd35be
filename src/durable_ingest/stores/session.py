"""An open index: which lookups are in use, who may use them, and what happens when they fail.

Lookups may vanish, turn out damaged, or fall behind at any time. Reads and commits are tried once
more with lookups made anew; what fails then is the log, and that is said.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

from durable_ingest.errors import IndexDamaged, IndexMissing, InvalidInput, StorageFull, StoreBusy
from durable_ingest.files import TEMPORARY, Files, reporting_full_disk
from durable_ingest.ports import CommitResult
from durable_ingest.stores.batches import PreparedBatch
from durable_ingest.stores.checkpoints import Checkpoints
from durable_ingest.stores.layout import Layout
from durable_ingest.stores.loading import update_index
from durable_ingest.stores.lock import WriterLock
from durable_ingest.stores.log import CommitLog
from durable_ingest.stores.lookup import Lookup, LookupDamaged, Standing
from durable_ingest.stores.manifest import Manifest, explaining_permissions
from durable_ingest.stores.recovery import Recovery
from durable_ingest.stores.segments import Segments
from durable_ingest.stores.vectors import VectorIndex
from durable_ingest.stores.verification import check_segments, verify_index
from durable_ingest.stores.writing import LookupsBehind, Writer

_T = TypeVar("_T")
_TRIES = 3
_LOSSES = 100  # how often other threads may drop lookups just before a read uses them


class Session:
    """Serves reads and commits of one index to all threads of a process.

    Args:
        layout: Where everything lies.
        files: File calls.
        manifest: What the index is.
        lock_timeout: Seconds that a commit waits for another writer.

    Attributes:
        segments: The segments, which need no guard.
    """

    def __init__(
        self, layout: Layout, files: Files, manifest: Manifest, *, lock_timeout: float
    ) -> None:
        self._layout = layout
        self._files = files
        self._dimension = manifest.settings.dimension
        self.segments = Segments(layout.segments, files, self._dimension)
        self._log = CommitLog(layout.commits, files, manifest.digest)
        self._checkpoints = Checkpoints(layout.checkpoints, files)
        self._recovery = Recovery(layout, files, self._log, self.segments, self._checkpoints)
        self._writer = Writer(self._log, self.segments, manifest.settings)
        self._lock_timeout = lock_timeout
        self._lock = WriterLock(layout.lock, layout.holder, timeout=lock_timeout)
        # Always acquired in this order: `_writing`, the writer lock, `_guard`.
        self._writing = threading.Lock()
        self._guard = threading.RLock()
        self._lookup: Lookup | None = None
        self._vectors: VectorIndex | None = None
        self._distrust = False
        self._swept = False
        self._closed = False
        self._make_ready()

    def close(self) -> None:
        """Release the lookups."""
        with self._guard:
            self._closed = True
            self._drop()

    def read(self, question: Callable[[Lookup], _T]) -> _T:
        """Answer a question from one snapshot of the newest commit.

        Raises:
            IndexDamaged: Bytes that are needed are not what was written.
        """
        failure: Exception | None = None
        tries = losses = 0
        while tries < _TRIES and losses < _LOSSES:
            self._make_ready()
            with self._guard:
                self._require_open()
                lookup = self._lookup
                if lookup is None:
                    losses += 1  # another thread found them damaged in between: no try of ours
                    continue
                tries += 1
                try:
                    with lookup.reading():
                        return question(lookup)
                except (LookupDamaged, sqlite3.Error) as error:
                    failure = error
                    self._drop(distrust=True)
                except BaseException:
                    self._vectors = None  # perhaps half-updated
                    raise
        raise self._hopeless(failure) from failure

    def vectors(self, lookup: Lookup) -> VectorIndex:
        """The vectors in memory, showing what the lookups show; inside `read`."""
        if self._vectors is None:
            self._vectors = VectorIndex(self._dimension)
        update_index(self._vectors, lookup, self.segments)
        return self._vectors

    def commit(self, batch: PreparedBatch) -> CommitResult:
        """Make a commit; see `Store.commit`."""
        with (
            reporting_full_disk("a commit", self._layout.directory),
            explaining_permissions(self._layout),
            self._exclusively(),
            self._guard,
        ):
            self._require_open()
            self._sweep()
            return self._commit(batch)

    def check(self) -> None:
        """Check all segments; see `check_segments`."""
        with self._guard:
            self._require_open()
            check_segments(self._log, self.segments)

    def verify(self) -> Standing:
        """Check everything; see `verify_index`."""
        with self._guard:
            self._require_open()
            return verify_index(self._recovery, self._log, self.segments)

    def _commit(self, batch: PreparedBatch) -> CommitResult:
        failure: Exception | None = None
        for _ in range(_TRIES):
            lookup = self._catch_up(self._lookup or self._open_exclusively())
            if lookup is None:
                continue
            try:
                result = self._writer.commit(lookup, batch)
            except LookupsBehind as behind:
                self._drop()
                return behind.result
            except (LookupDamaged, sqlite3.Error) as error:
                if _is_full(error):
                    raise StorageFull(
                        f"no space left for the lookups of {str(self._layout.directory)!r}: nothing"
                        " was changed; free some space and try again"
                    ) from error
                failure = error
                self._drop(distrust=True)
            else:
                self._write_checkpoint(lookup, result)
                return result
        raise self._hopeless(failure) from failure

    def _write_checkpoint(self, lookup: Lookup, result: CommitResult) -> None:
        if result.repeated:
            return
        # The commit is made; a checkpoint that cannot be written costs only time, later.
        with suppress(OSError, sqlite3.Error, LookupDamaged), lookup.reading():
            standing = lookup.standing()
            if self._checkpoints.due(standing.sequence, standing.totals):
                self._checkpoints.write(lookup)

    def _make_ready(self) -> None:
        """Have lookups that are as new as can be had without waiting for a writer."""
        with self._guard:
            self._require_open()
            if self._is_ready():
                return
        try:
            with self._exclusively(), self._guard:
                if not self._closed and self._lookup is None:
                    self._catch_up(self._open_exclusively())
        except StoreBusy:
            with self._guard:
                if not self._closed and self._lookup is None:
                    self._lookup = self._recovery.build_private()

    def _is_ready(self) -> bool:
        if self._lookup is not None and self._has_moved(self._lookup):
            self._drop()
        if self._lookup is None and not self._files.writable(self._layout.directory):
            self._lookup = self._recovery.build_private()
        if self._lookup is None and not self._distrust:
            self._lookup = self._recovery.open_shared()
        if self._lookup is None:
            return False
        if not self._log.has(self._lookup.standing().sequence + 1):
            return True
        if not self._lookup.shared:
            return self._catch_up(self._lookup) is not None
        # A writer at work will bring them up itself; until then the last commit they know is the
        # newest that counts. Nobody at work means that a writer died before it could.
        with suppress(StoreBusy), self._lock.held(timeout=0):
            return self._catch_up(self._lookup) is not None
        return True

    def _open_exclusively(self) -> Lookup:
        """Lookups for the holder of the writer lock: shared ones if at all possible."""
        if self._files.writable(self._layout.directory):
            with suppress(sqlite3.Error, OSError):
                lookup = None if self._distrust else self._recovery.open_shared()
                self._lookup = lookup or self._recovery.build_shared()
                self._distrust = False
                return self._lookup
        self._lookup = self._recovery.build_private()
        self._distrust = False
        return self._lookup

    def _catch_up(self, lookup: Lookup) -> Lookup | None:
        """The lookups, following the log; None when they turned out damaged or have moved."""
        if self._has_moved(lookup):
            self._drop()
            return None
        try:
            if self._log.has(lookup.standing().sequence + 1):
                self._recovery.catch_up(lookup)
        except (LookupDamaged, sqlite3.Error):
            self._drop(distrust=True)
            return None
        return lookup

    def _has_moved(self, lookup: Lookup) -> bool:
        return lookup.path is not None and self._files.identity(lookup.path) != lookup.identity

    def _drop(self, *, distrust: bool = False) -> None:
        self._vectors = None
        self._distrust = distrust
        if self._lookup is not None:
            with suppress(sqlite3.Error):
                self._lookup.close()
        self._lookup = None

    @contextmanager
    def _exclusively(self) -> Iterator[None]:
        """Be the only writer among all threads and processes."""
        if not self._writing.acquire(timeout=self._lock_timeout):
            raise StoreBusy(
                f"another thread is writing to the index in {str(self._layout.directory)!r} and"
                f" did not finish within {self._lock_timeout:g} s: try again later"
            )
        try:
            if not self._files.exists(self._layout.directory):
                raise IndexMissing(
                    f"the index in {str(self._layout.directory)!r} was removed while it was open:"
                    " run the job again to build it anew"
                )
            if not self._files.writable(self._layout.directory):
                raise PermissionError
            with self._lock.held():
                yield
        finally:
            self._writing.release()

    def _sweep(self) -> None:
        """Remove what writers that died left behind; once, since no other writer is there."""
        if self._swept:
            return
        for folder in (self._layout.directory, *self._layout.folders):
            for name in self._files.names(folder):
                if name.endswith(TEMPORARY):
                    with suppress(OSError):
                        self._files.remove(folder / name)
        self._swept = True

    def _require_open(self) -> None:
        if self._closed:
            raise InvalidInput(
                f"the index in {str(self._layout.directory)!r} was closed: open it again"
            )

    def _hopeless(self, failure: Exception | None) -> IndexDamaged:
        return IndexDamaged(
            f"the lookups in {str(self._layout.derived)!r} could not be used although they were"
            f" made anew ({failure}): check the disk they lie on"
        )


def _is_full(error: Exception) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF == sqlite3.SQLITE_FULL
