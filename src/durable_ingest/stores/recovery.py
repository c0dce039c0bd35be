"""Bringing the lookups to where the log is: open, catch up, build anew.

Shared lookups (the file in `derived/`) are changed by the holder of the writer lock only. Where
they cannot be used, because the folder may not be written, the disk is full or another process
does not let go of the lock, private ones in memory do the same work.
"""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from pathlib import Path

from durable_ingest.errors import IndexDamaged
from durable_ingest.files import Files
from durable_ingest.stores.changes import Changes, apply_rows, record_commits
from durable_ingest.stores.checkpoints import EVERY, Checkpoints
from durable_ingest.stores.layout import Layout
from durable_ingest.stores.log import CommitLog, CommitRecord
from durable_ingest.stores.lookup import Lookup, LookupDamaged
from durable_ingest.stores.records import read_rows
from durable_ingest.stores.rows import RowSegment
from durable_ingest.stores.sealed import damaged
from durable_ingest.stores.segments import ROWS, VECTORS, Segments

_BY = 64  # commits replayed in one transaction


class Recovery:
    """Makes lookups that agree with the log.

    Args:
        layout: Where everything lies.
        files: File calls.
        log: The truth.
        segments: The records it names.
        checkpoints: What shortens replay.
    """

    def __init__(
        self,
        layout: Layout,
        files: Files,
        log: CommitLog,
        segments: Segments,
        checkpoints: Checkpoints,
    ) -> None:
        self._layout = layout
        self._files = files
        self._log = log
        self._segments = segments
        self._checkpoints = checkpoints

    def open_shared(self) -> Lookup | None:
        """The lookups in `derived/` if they are sound; they may be behind the log.

        Raises:
            IndexDamaged: The log is not what was written, or ends before they do.
        """
        path = self._layout.lookup
        identity = self._files.identity(path)
        if identity is None:
            return None
        try:
            lookup = Lookup.open(path)
        except (LookupDamaged, sqlite3.Error):
            return None
        lookup.identity = identity
        try:
            with lookup.reading():
                lookup.verify()
                self._compare(lookup)
        except (LookupDamaged, sqlite3.Error):
            lookup.close()
            return None
        except BaseException:
            lookup.close()
            raise
        return lookup

    def build_shared(self) -> Lookup:
        """Make the lookups in `derived/` anew; the caller holds the writer lock.

        Raises:
            IndexDamaged: The log or a segment is not what was written.
            sqlite3.Error: They cannot be written.
            OSError: The same.
        """
        path = self._layout.lookup
        building = path.with_name(f"{path.name}.building")
        self._remove(building)
        self._files.make_directory(self._layout.derived)
        lookup = self._build(building)
        try:
            lookup.connection.execute("PRAGMA journal_mode=WAL")
        finally:
            lookup.close()
        self._remove(path)
        self._files.replace(building, path)
        identity = self._files.identity(path)
        opened = Lookup.open(path)
        opened.identity = identity
        return opened

    def build_private(self, *, use_checkpoint: bool = True) -> Lookup:
        """Make lookups in memory.

        Args:
            use_checkpoint: Whether a checkpoint may shorten replay.

        Raises:
            IndexDamaged: The log or a segment is not what was written.
        """
        return self._build(None, use_checkpoint=use_checkpoint)

    def catch_up(self, lookup: Lookup) -> None:
        """Apply what the log has and the lookups have not.

        The caller holds the writer lock if they are shared.

        Raises:
            IndexDamaged: The log or a segment is not what was written.
            LookupDamaged: Applying it does not give what the log says it should.
        """
        if lookup.shared:
            # Whoever wrote those commits may have died before making their names durable; the
            # lookups must never know more than the log after a power cut.
            self._log.sync()
        while self._log.has(lookup.standing().sequence + 1):
            with lookup.writing():
                for _ in range(_BY):
                    if not self._apply_next(lookup):
                        break

    def _build(self, path: Path | None, *, use_checkpoint: bool = True) -> Lookup:
        newest = self._log.newest()
        self._log.verify(max(newest - EVERY, 0), newest)
        if use_checkpoint:
            # One that lies is no loss: the whole log does not need it.
            with suppress(LookupDamaged):
                return self._attempt(path, newest, use_checkpoint=True)
        try:
            return self._attempt(path, newest, use_checkpoint=False)
        except LookupDamaged as error:
            raise IndexDamaged(
                f"the commits in {str(self._layout.commits)!r} contradict each other ({error}):"
                " restore the index from a backup, or build it anew in another folder"
            ) from error

    def _attempt(self, path: Path | None, newest: int, *, use_checkpoint: bool) -> Lookup:
        if path is not None:
            self._remove(path)
        lookup = Lookup.create(path, self._log.origin)
        try:
            if use_checkpoint:
                with lookup.writing():
                    self._checkpoints.restore(lookup, self._segments, self._log, newest)
            self.catch_up(lookup)
        except sqlite3.IntegrityError as error:
            lookup.close()
            raise LookupDamaged(str(error)) from error
        except BaseException:
            lookup.close()
            raise
        return lookup

    def _apply_next(self, lookup: Lookup) -> bool:
        standing = lookup.standing()
        if not self._log.has(standing.sequence + 1):
            return False
        record, digest = self._log.read_after(standing.sequence, standing.head)
        changes = Changes(lookup, record.sequence, standing.totals)
        name = f"{record.rows.sha256}.{ROWS}" if record.rows else ""
        rows = read_rows(self._segments, name) if record.rows else RowSegment()
        outcome = apply_rows(
            changes,
            rows,
            name=name,
            vectors=self._vector_segment(record),
            deleted=record.deleted,
        )
        if outcome.totals != record.totals:
            raise LookupDamaged(
                f"commit {record.sequence} should leave {record.totals!r}, it left"
                f" {outcome.totals!r}"
            )
        record_commits(
            lookup, [(record.sequence, record.commit_id)], head=digest, totals=record.totals
        )
        return True

    def _vector_segment(self, record: CommitRecord) -> str:
        """Name of its vector segment; the content is verified when it is first used."""
        if record.vectors is None:
            return ""
        name = f"{record.vectors.sha256}.{VECTORS}"
        path = self._segments.path(name)
        try:
            size = self._files.size(path)
        except FileNotFoundError as error:
            raise damaged(path, "it is missing") from error
        if size != record.vectors.size:
            raise damaged(path, f"it has {size} bytes, not {record.vectors.size}")
        return name

    def _compare(self, lookup: Lookup) -> None:
        standing = lookup.standing()
        if lookup.origin() != self._log.origin:
            raise LookupDamaged("the lookups belong to another index")
        newest = self._log.newest()  # after the lookups were read: it can only be further
        if standing.sequence > newest:
            raise damaged(
                self._log.path(newest + 1),
                f"it is missing, yet the lookups in {str(self._layout.derived)!r} know of"
                f" {standing.sequence} commits (delete that folder to accept the loss)",
            )
        self._log.verify(max(newest - EVERY, 0), newest)
        if standing.sequence:
            record, digest = self._log.read(standing.sequence)
            if digest != standing.head or record.totals != standing.totals:
                raise LookupDamaged("the lookups follow another history")
        elif standing.head:
            raise LookupDamaged("the lookups follow another history")

    def _remove(self, path: Path) -> None:
        for suffix in ("", "-wal", "-shm", "-journal"):
            with suppress(FileNotFoundError):
                self._files.remove(path.with_name(path.name + suffix))
