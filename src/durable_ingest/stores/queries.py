"""Questions to the lookups; each belongs inside `Lookup.reading`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from durable_ingest.stores.lookup import COLUMNS, Lookup, LookupDamaged, Row, verified_row
from durable_ingest.stores.segments import Place

_DOCUMENTS = f"SELECT {COLUMNS['documents']}, chk FROM documents"  # noqa: S608 - names of our own
_CHUNKS = f"SELECT {COLUMNS['chunks']}, chk FROM chunks"  # noqa: S608 - names of our own
_CHUNKS_AMONG = f"{_CHUNKS} WHERE vector IN (SELECT value FROM json_each(?))"  # noqa: S608 - names of our own
_VECTORS = f"SELECT {COLUMNS['vectors']}, chk FROM vectors"  # noqa: S608 - names of our own
_VECTORS_AMONG = f"{_VECTORS} WHERE n IN (SELECT value FROM json_each(?))"  # noqa: S608 - names of our own


@dataclass(frozen=True, slots=True)
class ChunkPlace:
    """A live chunk and where its record lies.

    Attributes:
        chunk_id: Its id.
        document: Number of its document.
        vector: Number of its vector.
        place: Where its record lies.
    """

    chunk_id: str
    document: int
    vector: int
    place: Place


@dataclass(frozen=True, slots=True)
class VectorPlace:
    """A stored vector.

    Attributes:
        number: Its number in these lookups; higher ones are younger.
        key: Its name.
        segment: File name of its segment.
        place: Its place there, from 0.
        refs: Live chunks that use it.
    """

    number: int
    key: str
    segment: str
    place: int
    refs: int


def find_commit(lookup: Lookup, commit_id: str) -> int | None:
    """Number of the commit of that name."""
    row = lookup.connection.execute(
        "SELECT n, id, chk FROM commits WHERE id = ?", (commit_id,)
    ).fetchone()
    return None if row is None else int(verified_row(row)[0])


def find_states(lookup: Lookup, document_ids: Iterable[str]) -> dict[str, str]:
    """JSON states of those documents that are live."""
    out: dict[str, str] = {}
    for document_id in filter(is_storable, document_ids):
        row = lookup.connection.execute(f"{_DOCUMENTS} WHERE id = ?", (document_id,)).fetchone()
        if row is not None:
            out[document_id] = verified_row(row)[2]
    return out


def list_states(lookup: Lookup, after: str, limit: int) -> list[str]:
    """JSON states in order of document id."""
    rows = lookup.connection.execute(
        f"{_DOCUMENTS} WHERE id > ? ORDER BY id LIMIT ?", (after, limit)
    )
    return [verified_row(row)[2] for row in rows]


def state_of(lookup: Lookup, document: int) -> str:
    """JSON state of a document by its number.

    Raises:
        LookupDamaged: There is none.
    """
    row = lookup.connection.execute(f"{_DOCUMENTS} WHERE n = ?", (document,)).fetchone()
    if row is None:
        raise LookupDamaged(f"there is no document {document!r}")
    return str(verified_row(row)[2])


def chunks_of_document(lookup: Lookup, document_id: str) -> list[ChunkPlace]:
    """The chunks of a document in order; empty when it is unknown.

    Raises:
        LookupDamaged: There are more or fewer than there should be.
    """
    if not is_storable(document_id):
        return []
    row = lookup.connection.execute(f"{_DOCUMENTS} WHERE id = ?", (document_id,)).fetchone()
    if row is None:
        return []
    number, count = row[0], verified_row(row)[4]
    found = lookup.connection.execute(
        f"{_CHUNKS} WHERE document = ? ORDER BY ordinal", (number,)
    ).fetchall()
    if len(found) != count:
        raise LookupDamaged(f"{document_id!r} has {len(found)} chunks, not {count}")
    return [_chunk_place(lookup, chunk) for chunk in found]


def chunks_of_vectors(lookup: Lookup, numbers: Sequence[int]) -> list[ChunkPlace]:
    """All live chunks that use any of these vectors, in no order.

    Raises:
        LookupDamaged: There are more or fewer than the vectors say.
    """
    wanted = json.dumps(list(numbers))
    vectors = lookup.connection.execute(_VECTORS_AMONG, (wanted,))
    expected = sum(verified_row(row)[4] for row in vectors)
    found = lookup.connection.execute(_CHUNKS_AMONG, (wanted,)).fetchall()
    if len(found) != expected:
        raise LookupDamaged(f"{len(found)} chunks use these vectors, not {expected}")
    return [_chunk_place(lookup, chunk) for chunk in found]


def owners_of_chunks(lookup: Lookup, chunk_ids: Sequence[str]) -> dict[str, str]:
    """Document ids by chunk id, for those chunks that are live."""
    rows = lookup.connection.execute(
        "SELECT chunks.id, documents.id FROM chunks JOIN documents ON documents.n = chunks.document"
        " WHERE chunks.id IN (SELECT value FROM json_each(?))",
        (json.dumps(list(chunk_ids)),),
    )
    return dict(rows.fetchall())


def find_vectors(lookup: Lookup, keys: Iterable[str]) -> list[VectorPlace]:
    """Those of the vectors that are stored, used or not."""
    out: list[VectorPlace] = []
    for key in filter(is_storable, keys):
        row = lookup.connection.execute(f"{_VECTORS} WHERE key = ?", (key,)).fetchone()
        if row is not None:
            out.append(_vector_place(lookup, row))
    return out


def vectors_changed_after(lookup: Lookup, sequence: int) -> list[VectorPlace]:
    """Vectors that came into use or fell out of it after a commit, oldest first."""
    rows = lookup.connection.execute(f"{_VECTORS} WHERE changed > ? ORDER BY n", (sequence,))
    return [_vector_place(lookup, row) for row in rows.fetchall()]


def is_storable(text: str) -> bool:
    """Whether SQLite can take a text; one with lone surrogates equals nothing that is stored."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _chunk_place(lookup: Lookup, row: Row) -> ChunkPlace:
    _, chunk_id, document, _, vector, segment, start, length, _ = verified_row(row)
    return ChunkPlace(
        chunk_id, document, vector, Place(lookup.segment_name(segment), start, length)
    )


def _vector_place(lookup: Lookup, row: Row) -> VectorPlace:
    number, key, segment, place, refs, _ = verified_row(row)
    return VectorPlace(number, key, lookup.segment_name(segment), place, refs)
