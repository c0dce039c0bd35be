"""Reading single records and whole segments, and telling whose fault damage is."""

from __future__ import annotations

from durable_ingest.models import ChunkRow
from durable_ingest.stores.lookup import LookupDamaged
from durable_ingest.stores.queries import ChunkPlace
from durable_ingest.stores.rows import RecordDamaged, RowSegment, decode_chunk, decode_rows
from durable_ingest.stores.sealed import damaged
from durable_ingest.stores.segments import Segments


def read_chunk(segments: Segments, place: ChunkPlace) -> ChunkRow:
    """The chunk that lies at a place, verified.

    Raises:
        IndexDamaged: The segment is not what was written.
        LookupDamaged: The segment is sound, so the place is wrong.
    """
    line = segments.read_record(place.place)
    try:
        chunk = decode_chunk(line)
    except RecordDamaged as error:
        segments.read(place.place.segment)  # raises when the segment is at fault
        raise LookupDamaged(f"no chunk lies where {place.chunk_id!r} should") from error
    if chunk.chunk_id != place.chunk_id:
        segments.read(place.place.segment)
        raise LookupDamaged(f"{chunk.chunk_id!r} lies where {place.chunk_id!r} should")
    return chunk


def read_rows(segments: Segments, name: str) -> RowSegment:
    """What a `rows` segment says, verified as a whole.

    Raises:
        IndexDamaged: It is missing or not what was written.
    """
    data = segments.read(name)
    try:
        return decode_rows(data)
    except (RecordDamaged, ValueError, LookupError, TypeError) as error:
        # The digest is right, so it was written so: by another program, or a fault of ours.
        raise damaged(segments.path(name), f"it cannot be read ({error})") from error
