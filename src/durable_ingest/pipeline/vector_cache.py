"""Computed vectors by key, kept across retries, runs and processes."""

from __future__ import annotations

import sqlite3
import threading
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LOOKUP = 500  # keys per query: well under SQLite's limit of variables


class VectorCache:
    """A SQLite file of vectors; losing it costs time, never data.

    Several processes may share one file. Each vector carries a checksum: one that does not match
    counts as absent, and a file that SQLite cannot read is replaced by an empty one.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._connection = self._open()
        except sqlite3.DatabaseError:
            path.unlink(missing_ok=True)
            self._connection = self._open()

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=30, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=OFF")
            connection.execute(
                "CREATE TABLE IF NOT EXISTS vectors"
                " (key TEXT PRIMARY KEY, crc INTEGER NOT NULL, vector BLOB NOT NULL) WITHOUT ROWID"
            )
            connection.commit()
        except sqlite3.DatabaseError:
            connection.close()
            raise
        return connection

    def get(self, keys: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """Those of the vectors that are there and undamaged, `(dimension,)` float32 each."""
        found: dict[str, NDArray[np.float32]] = {}
        with self._lock:
            for begin in range(0, len(keys), _LOOKUP):
                part = keys[begin : begin + _LOOKUP]
                marks = ",".join("?" * len(part))
                query = f"SELECT key, crc, vector FROM vectors WHERE key IN ({marks})"  # noqa: S608 - marks only
                try:
                    rows = self._connection.execute(query, part).fetchall()
                except sqlite3.DatabaseError:
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
            try:
                self._connection.executemany("INSERT OR REPLACE INTO vectors VALUES (?,?,?)", rows)
                self._connection.commit()
            except sqlite3.Error:
                self._connection.rollback()

    def close(self) -> None:
        """Release the file."""
        with self._lock:
            self._connection.close()
