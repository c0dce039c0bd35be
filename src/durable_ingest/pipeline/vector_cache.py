"""Computed vectors by key, kept across retries, runs and processes."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

log = logging.getLogger(__name__)

_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_PATIENCE = 30.0  # seconds to wait for another process's write
_PAUSE = 0.05  # seconds
_LOOKUP = 500  # keys per query: well under SQLite's limit of variables


class VectorCache:
    """A SQLite file of vectors; losing it costs time, never data.

    Several processes may share one file. Each vector carries a checksum: one that does not match
    counts as absent. A file that is no database is replaced by an empty one; one that cannot be
    opened, because it is locked or may not be written, is done without.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = self._open()
        except (OSError, sqlite3.Error) as error:
            if getattr(error, "sqlite_errorcode", None) in _DAMAGED:
                self._connection = self._replaced()
            else:
                log.warning("no cache of vectors in %r: %s", str(path), error)

    def _replaced(self) -> sqlite3.Connection | None:
        try:
            for suffix in ("-wal", "-shm", ""):  # a left-over log would be played into the new file
                Path(f"{self._path}{suffix}").unlink(missing_ok=True)
            return self._open()
        except (OSError, sqlite3.Error) as error:
            log.warning("no cache of vectors in %r: %s", str(self._path), error)
            return None

    def _open(self) -> sqlite3.Connection:
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                return self._connected()
            except sqlite3.OperationalError as error:
                # SQLite itself does not wait while another process makes the file.
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                    raise
                time.sleep(_PAUSE)

    def _connected(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=_PATIENCE, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=OFF")
            connection.execute(
                "CREATE TABLE IF NOT EXISTS vectors"
                " (key TEXT PRIMARY KEY, crc INTEGER NOT NULL, vector BLOB NOT NULL) WITHOUT ROWID"
            )
            connection.commit()
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def get(self, keys: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """Those of the vectors that are there and undamaged, `(dimension,)` float32 each."""
        found: dict[str, NDArray[np.float32]] = {}
        with self._lock:
            if self._connection is None:
                return found
            for begin in range(0, len(keys), _LOOKUP):
                part = keys[begin : begin + _LOOKUP]
                marks = ",".join("?" * len(part))
                query = f"SELECT key, crc, vector FROM vectors WHERE key IN ({marks})"  # noqa: S608 - marks only
                try:
                    rows = self._connection.execute(query, part).fetchall()
                except sqlite3.Error:
                    return found
                for key, crc, blob in rows:
                    if zlib.crc32(key.encode() + blob) == crc:
                        found[key] = np.frombuffer(blob, dtype="<f4").astype(np.float32)
        return found

    def put(self, vectors: Mapping[str, NDArray[np.float32]]) -> None:
        """Add vectors; a cache that cannot be written is no reason to fail."""
        rows = []
        for key, vector in vectors.items():
            blob = np.ascontiguousarray(vector, dtype="<f4").tobytes()
            rows.append((key, zlib.crc32(key.encode() + blob), blob))
        with self._lock:
            if self._connection is None:
                return
            with suppress(sqlite3.Error), self._connection:  # commits, or rolls back
                self._connection.executemany("INSERT OR REPLACE INTO vectors VALUES (?,?,?)", rows)

    def close(self) -> None:
        """Release the file."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
