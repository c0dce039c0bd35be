"""The derived lookups: a SQLite file that says where everything live lies.

It holds no truth. It is made from the log, proves on opening that it agrees with it, and is thrown
away when it does not: SQLite alone cannot promise that nothing was lost (a flipped bit in its
write-ahead log drops committed rows in silence). Three things are checked:

- every row carries a checksum over its columns, verified whenever the row is read;
- on opening all rows are verified, and their counts and the sum of the log's own record
  checksums must equal what the newest commit it knows of says;
- while it is used, counts must match: a vector says how many chunks use it, a document how many
  chunks it has.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Any

from durable_ingest.stores.log import Totals

SCHEMA = 1
_BUSY = 10.0  # seconds; only SQLite's own housekeeping ever waits, writers hold our lock

_TABLES = """
CREATE TABLE meta (one INTEGER PRIMARY KEY, schema INTEGER, origin TEXT, sequence INTEGER,
  head TEXT, documents INTEGER, chunks INTEGER, vectors INTEGER, stored INTEGER,
  checksum INTEGER, writes INTEGER, chk INTEGER);
CREATE TABLE commits (n INTEGER PRIMARY KEY, id TEXT UNIQUE, chk INTEGER);
CREATE TABLE segments (n INTEGER PRIMARY KEY, name TEXT UNIQUE, chk INTEGER);
CREATE TABLE key_lines (n INTEGER PRIMARY KEY, rows_segment INTEGER, length INTEGER,
  vectors_segment INTEGER, chk INTEGER);
CREATE TABLE documents (n INTEGER PRIMARY KEY, id TEXT UNIQUE, state TEXT, tokens TEXT,
  chunks INTEGER, segment INTEGER, start INTEGER, touch_segment INTEGER, touch_start INTEGER,
  crc INTEGER, chk INTEGER);
CREATE TABLE vectors (n INTEGER PRIMARY KEY, key TEXT UNIQUE, segment INTEGER, place INTEGER,
  refs INTEGER, changed INTEGER, chk INTEGER);
CREATE INDEX vectors_changed ON vectors (changed);
CREATE TABLE chunks (n INTEGER PRIMARY KEY, id TEXT UNIQUE, document INTEGER, ordinal INTEGER,
  vector INTEGER, segment INTEGER, start INTEGER, length INTEGER, crc INTEGER, chk INTEGER);
CREATE INDEX chunks_document ON chunks (document, ordinal);
CREATE INDEX chunks_vector ON chunks (vector);
"""

COLUMNS = {
    "meta": "one, schema, origin, sequence, head, documents, chunks, vectors, stored, checksum,"
    " writes",
    "commits": "n, id",
    "segments": "n, name",
    "key_lines": "n, rows_segment, length, vectors_segment",
    "documents": "n, id, state, tokens, chunks, segment, start, touch_segment, touch_start, crc",
    "vectors": "n, key, segment, place, refs, changed",
    "chunks": "n, id, document, ordinal, vector, segment, start, length, crc",
}
"""Columns of each table in the order of its checksum, `chk` itself left out."""

Row = tuple[Any, ...]


class LookupDamaged(Exception):
    """The lookups contradict themselves or the log: they have to be made anew."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Up to where the lookups follow the log.

    Attributes:
        sequence: Newest commit in them, 0 when none.
        head: Digest of its file, empty when none.
        totals: What the index holds.
    """

    sequence: int = 0
    head: str = ""
    totals: Totals = field(default_factory=Totals)


def checksum_row(row: Sequence[Any]) -> int:
    """CRC-32 over the columns of a row."""
    return zlib.crc32("\x1f".join(map(str, row)).encode())


def sealed_row(row: Row) -> Row:
    """The row with its checksum, as it is stored."""
    return (*row, checksum_row(row))


def verified_row(row: Row) -> Row:
    """The row without its checksum.

    Raises:
        LookupDamaged: It does not have the checksum.
    """
    if checksum_row(row[:-1]) != row[-1]:
        raise LookupDamaged("a row of the lookups does not have its checksum")
    return row[:-1]


class Lookup:
    """A connection to the lookups; one thread at a time.

    Args:
        connection: Open connection.
        path: The file; None when in memory.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path | None) -> None:
        self.connection = connection
        self.path = path
        self.identity: tuple[int, int] | None = None
        self._names: dict[int, str] = {}

    @classmethod
    def open(cls, path: Path) -> Lookup:
        """Open lookups that exist; shared with other processes.

        Raises:
            sqlite3.Error: They cannot be opened.
            LookupDamaged: They are of another release.
        """
        uri = f"{path.absolute().as_uri()}?mode=rw"
        connection = sqlite3.connect(
            uri, uri=True, timeout=_BUSY, isolation_level=None, check_same_thread=False
        )
        lookup = cls(connection, path)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            # A power cut may lose the newest transactions, never half of one; the log has them.
            connection.execute("PRAGMA synchronous=NORMAL")
            lookup.standing()
        except BaseException:
            connection.close()
            raise
        return lookup

    @classmethod
    def create(cls, path: Path | None, origin: str) -> Lookup:
        """Make empty lookups, in memory when there is no path.

        A file made so is neither synced nor safe to share until it was closed and renamed.
        """
        connection = sqlite3.connect(
            ":memory:" if path is None else str(path),
            isolation_level=None,
            check_same_thread=False,
        )
        lookup = cls(connection, path)
        try:
            connection.execute("PRAGMA journal_mode=MEMORY")
            connection.execute("PRAGMA synchronous=OFF")
            with lookup.writing():
                for statement in filter(str.strip, _TABLES.split(";")):
                    connection.execute(statement)
                row = (1, SCHEMA, origin, 0, "", *astuple(Totals()))
                insert(connection, "meta", [row])
        except BaseException:
            connection.close()
            raise
        return lookup

    @property
    def shared(self) -> bool:
        """Whether other processes see the same lookups."""
        return self.path is not None

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """All reads inside see the same commit; may be nested in a write."""
        nested = self.connection.in_transaction
        if not nested:
            self.connection.execute("BEGIN")
        try:
            yield
        finally:
            if not nested:
                self._roll_back()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """All changes inside become visible together when it ends well."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.connection.execute("COMMIT")
        except BaseException:
            self._names.clear()
            self._roll_back()
            raise

    def standing(self) -> Standing:
        """Up to where the lookups follow the log.

        Raises:
            LookupDamaged: They cannot say.
        """
        found = self.connection.execute(f"SELECT {COLUMNS['meta']}, chk FROM meta").fetchall()  # noqa: S608 - column names of our own
        if len(found) != 1:
            raise LookupDamaged(f"{len(found)} rows say where the lookups stand")
        _, schema, _, sequence, head, *totals = verified_row(found[0])
        if schema != SCHEMA:
            raise LookupDamaged(f"the lookups have schema {schema!r}")
        return Standing(sequence, head, Totals(*totals))

    def origin(self) -> str:
        """Digest of the `index.json` that they belong to."""
        row = self.connection.execute("SELECT origin FROM meta").fetchone()
        return str(row[0])

    def segment_name(self, number: int) -> str:
        """File name of a segment by its number here.

        Raises:
            LookupDamaged: There is none.
        """
        name = self._names.get(number)
        if name is None:
            row = self.connection.execute(
                "SELECT n, name, chk FROM segments WHERE n = ?", (number,)
            ).fetchone()
            if row is None:
                raise LookupDamaged(f"there is no segment {number!r}")
            name = str(verified_row(row)[1])
            self._names[number] = name
        return name

    def verify(self) -> None:
        """Read and check everything.

        Raises:
            LookupDamaged: Something is not as it was written, or does not add up.
            sqlite3.Error: The file cannot be read.
        """
        with self.reading():
            verdict = self.connection.execute("PRAGMA integrity_check(1)").fetchone()
            if verdict != ("ok",):
                raise LookupDamaged(f"SQLite says: {verdict}")
            for table in COLUMNS:
                self._verify_rows(table)
            self._verify_sums()

    def _roll_back(self) -> None:
        if self.connection.in_transaction:  # SQLite itself ends a transaction on some errors
            self.connection.execute("ROLLBACK")

    def _verify_rows(self, table: str) -> None:
        rows = self.connection.execute(f"SELECT {COLUMNS[table]}, chk FROM {table}")  # noqa: S608 - names of our own
        crc32, text = zlib.crc32, str
        for row in rows:  # inlined: this runs over every row on each opening
            if crc32("\x1f".join(map(text, row[:-1])).encode()) != row[-1]:
                raise LookupDamaged(f"a row of {table} does not have its checksum")

    def _verify_sums(self) -> None:
        standing = self.standing()
        totals = standing.totals
        expected = (
            standing.sequence,
            totals.documents,
            totals.chunks,
            totals.vectors,
            totals.stored,
            totals.checksum,
            totals.chunks,
            totals.chunks,
        )
        found = self.connection.execute(
            """SELECT (SELECT count(*) FROM commits), (SELECT count(*) FROM documents),
              (SELECT count(*) FROM chunks), (SELECT count(*) FROM vectors WHERE refs > 0),
              (SELECT count(*) FROM vectors),
              (SELECT coalesce(sum(crc), 0) FROM documents)
                + (SELECT coalesce(sum(crc), 0) FROM chunks),
              (SELECT coalesce(sum(refs), 0) FROM vectors),
              (SELECT coalesce(sum(chunks), 0) FROM documents)"""
        ).fetchone()
        if found != expected:
            raise LookupDamaged(f"the lookups hold {found!r}, they should hold {expected!r}")


def insert(
    connection: sqlite3.Connection, table: str, rows: Sequence[Row], *, replace: bool = False
) -> None:
    """Write rows, each with its checksum.

    Args:
        connection: Where to.
        table: Which table.
        rows: Columns in the order of `COLUMNS`.
        replace: Whether rows of the same number may be there.
    """
    if not rows:
        return
    marks = ", ".join("?" * (len(rows[0]) + 1))
    verb = "REPLACE" if replace else "INSERT"
    connection.executemany(
        f"{verb} INTO {table} VALUES ({marks})",
        [sealed_row(row) for row in rows],
    )
