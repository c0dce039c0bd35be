"""How a commit changes the lookups.

The same code runs when a commit is made and when the log is replayed, so that what replay builds
is what the writer had. It needs no count over the whole index: totals follow from the rows that
are touched.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, field, replace

from durable_ingest.stores.log import Totals
from durable_ingest.stores.lookup import (
    COLUMNS,
    SCHEMA,
    Lookup,
    LookupDamaged,
    Row,
    insert,
    verified_row,
)
from durable_ingest.stores.rows import PutEntry, RowSegment, StateEntry


@dataclass(slots=True)
class _Vector:
    number: int
    key: str
    segment: int
    place: int
    refs: int
    changed: int
    was: int | None  # references before, None when new


@dataclass(slots=True)
class Outcome:
    """What changes did, and what the index holds after them."""

    totals: Totals
    added: int = 0
    updated: int = 0
    touched: int = 0
    deleted: int = 0
    chunks: int = 0
    vectors: int = 0


@dataclass(slots=True)
class _Sums:
    documents: int = 0
    chunks: int = 0
    checksum: int = 0
    vectors: dict[int, _Vector] = field(default_factory=dict)
    by_key: dict[str, _Vector] = field(default_factory=dict)


class Changes:
    """Changes of one commit, made inside `Lookup.writing`.

    Args:
        lookup: What to change.
        sequence: Number of the commit.
        totals: What the index holds before.
    """

    def __init__(self, lookup: Lookup, sequence: int, totals: Totals) -> None:
        self._lookup = lookup
        self._connection = lookup.connection
        self._sequence = sequence
        self._before = totals
        self._sums = _Sums()
        self._outcome = Outcome(totals)

    def add_keys(self, keys: Sequence[str], *, rows: str, length: int, vectors: str) -> None:
        """Note where new vectors lie.

        Args:
            keys: Their names, in order.
            rows: Segment whose first line names them.
            length: Length of that line.
            vectors: Segment that holds them.

        Raises:
            LookupDamaged: A name is known already.
        """
        if not keys:
            return
        segment = self._segment(vectors)
        number = self._next("vectors")
        for place, key in enumerate(keys):
            if self._vector_of(key) is not None:
                raise LookupDamaged(f"vector {key!r} is stored twice")
            vector = _Vector(number + place, key, segment, place, 0, self._sequence, None)
            self._sums.vectors[vector.number] = vector
            self._sums.by_key[key] = vector
        line: Row = (self._next("key_lines"), self._segment(rows), length, segment)
        insert(self._connection, "key_lines", [line])
        self._outcome.vectors += len(keys)

    def delete(self, document_ids: Iterable[str]) -> None:
        """Remove documents; unknown ids are ignored."""
        for document_id in document_ids:
            if self._remove(document_id) is not None:
                self._outcome.deleted += 1

    def put(self, entries: Sequence[PutEntry], *, rows: str) -> None:
        """Replace documents and all their chunks.

        All old chunks go before the first new one comes, so that a chunk may move.

        Args:
            entries: The documents, from segment `rows`.
            rows: Its file name.

        Raises:
            LookupDamaged: A chunk's vector is unknown.
            sqlite3.IntegrityError: A chunk's id is taken.
        """
        if not entries:
            return
        segment = self._segment(rows)
        fresh = self._next("documents")  # before removing: removed numbers are used again
        numbers = [self._remove(entry.state.document_id) for entry in entries]
        chunk = self._next("chunks")
        documents: list[Row] = []
        chunks: list[Row] = []
        for entry, known in zip(entries, numbers, strict=True):
            number = known if known is not None else fresh
            fresh += known is None
            self._outcome.updated += known is not None
            self._outcome.added += known is None
            documents.append(_document_row(number, entry, segment))
            self._sums.checksum += entry.state.line.crc
            for item in entry.chunks:
                vector = self._vector_of(item.vector_key)
                if vector is None:
                    raise LookupDamaged(f"vector {item.vector_key!r} is nowhere stored")
                vector.refs += 1
                line = item.line
                chunks.append(
                    (
                        chunk,
                        item.chunk_id,
                        number,
                        item.ordinal,
                        vector.number,
                        segment,
                        line.start,
                        line.length,
                        line.crc,
                    )
                )
                chunk += 1
                self._sums.checksum += line.crc
        insert(self._connection, "documents", documents)
        insert(self._connection, "chunks", chunks)
        self._sums.documents += len(documents)
        self._sums.chunks += len(chunks)
        self._outcome.chunks += len(chunks)

    def touch(self, entries: Sequence[StateEntry], *, rows: str) -> None:
        """Replace the states of documents whose chunks stay.

        Args:
            entries: The states, from segment `rows`.
            rows: Its file name.

        Raises:
            LookupDamaged: A document is unknown.
        """
        if not entries:
            return
        segment = self._segment(rows)
        changed: list[Row] = []
        for entry in entries:
            row = self._document(entry.document_id)
            if row is None:
                raise LookupDamaged(f"document {entry.document_id!r} is touched but not there")
            self._sums.checksum += entry.line.crc - row[-1]
            changed.append(
                (
                    row[0],
                    row[1],
                    entry.state,
                    entry.tokens,
                    row[4],
                    row[5],
                    row[6],
                    segment,
                    entry.line.start,
                    entry.line.crc,
                )
            )
        insert(self._connection, "documents", changed, replace=True)
        self._outcome.touched += len(entries)

    def finish(self) -> Outcome:
        """Write what was gathered; returns what the changes did."""
        live = 0
        rows: list[Row] = []
        for vector in self._sums.vectors.values():
            was = vector.was or 0
            if vector.refs < 0:
                raise LookupDamaged(f"vector {vector.key!r} is used fewer than 0 times")
            if (vector.refs > 0) != (was > 0):
                live += 1 if vector.refs else -1
                vector.changed = self._sequence
            if vector.was != vector.refs:
                rows.append(
                    (
                        vector.number,
                        vector.key,
                        vector.segment,
                        vector.place,
                        vector.refs,
                        vector.changed,
                    )
                )
        insert(self._connection, "vectors", rows, replace=True)
        before, outcome = self._before, self._outcome
        outcome.totals = Totals(
            documents=before.documents + self._sums.documents,
            chunks=before.chunks + self._sums.chunks,
            vectors=before.vectors + live,
            stored=before.stored + outcome.vectors,
            checksum=before.checksum + self._sums.checksum,
            writes=before.writes
            + outcome.added
            + outcome.updated
            + outcome.touched
            + outcome.deleted,
        )
        return outcome

    def _remove(self, document_id: str) -> int | None:
        row = self._document(document_id)
        if row is None:
            return None
        number: int = row[0]
        found = self._connection.execute(
            f"SELECT {COLUMNS['chunks']}, chk FROM chunks WHERE document = ?",  # noqa: S608 - names of our own
            (number,),
        ).fetchall()
        if len(found) != row[4]:
            raise LookupDamaged(f"{document_id!r} has {len(found)} chunks, not {row[4]}")
        for chunk in map(verified_row, found):
            self._vector(chunk[4]).refs -= 1
            self._sums.checksum -= chunk[-1]
        self._connection.execute("DELETE FROM chunks WHERE document = ?", (number,))
        self._connection.execute("DELETE FROM documents WHERE n = ?", (number,))
        self._sums.checksum -= row[-1]
        self._sums.documents -= 1
        self._sums.chunks -= len(found)
        return number

    def _document(self, document_id: str) -> Row | None:
        row = self._connection.execute(
            f"SELECT {COLUMNS['documents']}, chk FROM documents WHERE id = ?",  # noqa: S608 - names of our own
            (document_id,),
        ).fetchone()
        return None if row is None else verified_row(row)

    def _vector(self, number: int) -> _Vector:
        vector = self._sums.vectors.get(number)
        if vector is None:
            vector = self._load("n = ?", number)
        if vector is None:
            raise LookupDamaged(f"there is no vector {number!r}")
        return vector

    def _vector_of(self, key: str) -> _Vector | None:
        return self._sums.by_key.get(key) or self._load("key = ?", key)

    def _load(self, condition: str, value: int | str) -> _Vector | None:
        row = self._connection.execute(
            f"SELECT {COLUMNS['vectors']}, chk FROM vectors WHERE {condition}",  # noqa: S608 - names of our own
            (value,),
        ).fetchone()
        if row is None:
            return None
        number, key, segment, place, refs, changed = verified_row(row)
        vector = _Vector(number, key, segment, place, refs, changed, refs)
        self._sums.vectors[number] = vector
        self._sums.by_key[key] = vector
        return vector

    def _segment(self, name: str) -> int:
        row = self._connection.execute(
            "SELECT n, name, chk FROM segments WHERE name = ?", (name,)
        ).fetchone()
        if row is not None:
            return int(verified_row(row)[0])
        number = self._next("segments")
        insert(self._connection, "segments", [(number, name)])
        return number

    def _next(self, table: str) -> int:
        row = self._connection.execute(f"SELECT max(n) FROM {table}").fetchone()  # noqa: S608 - names of our own
        highest = int(row[0] or 0)
        if table == "vectors":
            highest = max([highest, *self._sums.vectors])
        return highest + 1


def apply_rows(
    changes: Changes,
    rows: RowSegment,
    *,
    name: str,
    vectors: str,
    deleted: Iterable[str],
) -> Outcome:
    """Make all changes of one commit.

    Args:
        changes: What to make them with.
        rows: What its `rows` segment says.
        name: File name of that segment.
        vectors: File name of its vector segment.
        deleted: Documents it removes.
    """
    changes.add_keys(rows.keys, rows=name, length=rows.key_length, vectors=vectors)
    changes.delete(deleted)
    changes.put(rows.puts, rows=name)
    changes.touch(rows.touches, rows=name)
    return changes.finish()


def record_commits(
    lookup: Lookup, ids: Iterable[tuple[int, str]], *, head: str, totals: Totals
) -> None:
    """Note the newest commits, as the last step of a change.

    Args:
        lookup: What to change.
        ids: Numbers and names of the commits, in order.
        head: Digest of the newest one's file.
        totals: What the index holds after it.
    """
    commits: list[Row] = list(ids)
    insert(lookup.connection, "commits", commits)
    origin = lookup.origin()
    sequence = commits[-1][0]
    row: Row = (1, SCHEMA, origin, sequence, head, *astuple(totals))
    insert(lookup.connection, "meta", [row], replace=True)


def same_holdings(ours: Totals, theirs: Totals) -> bool:
    """Whether two totals mean the same index; how much was ever written does not matter."""
    return replace(ours, writes=0) == replace(theirs, writes=0)


def _document_row(number: int, entry: PutEntry, segment: int) -> Row:
    state = entry.state
    return (
        number,
        state.document_id,
        state.state,
        state.tokens,
        len(entry.chunks),
        segment,
        state.line.start,
        None,  # not touched since
        None,
        state.line.crc,
    )
