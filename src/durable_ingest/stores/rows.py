r"""Records of documents and chunks as a `rows` segment holds them.

One record per line: the CRC-32 of the JSON as eight hexadecimal digits, a space, the JSON.

```
1a2b3c4d {"vectors":["key", ...]}     names of the vectors in the commit's vector segment, in order
1a2b3c4d {"put":{...}}                a document's state; its chunks follow at once
1a2b3c4d {"chunk":{...}}              a chunk of the document above
1a2b3c4d {"touch":{...}}              a new state of a document whose chunks stay
```
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticSerializationError

from durable_ingest.errors import InvalidInput
from durable_ingest.models import ChunkRow, DocumentRecord, DocumentState, MetadataValue

_CRC = 9  # eight digits and a space


class RecordDamaged(ValueError):
    """A line does not have its checksum, or is no record of the wanted kind."""


@dataclass(frozen=True, slots=True)
class Line:
    """Where a record lies in its segment, and its checksum.

    Attributes:
        start: Byte where the line begins.
        length: Bytes without the line end.
        crc: CRC-32 of its JSON.
    """

    start: int
    length: int
    crc: int


@dataclass(frozen=True, slots=True)
class StateEntry:
    """A document state in a segment.

    Attributes:
        document_id: The document.
        state: Its JSON as written.
        tokens: Its metadata in the form that filters compare, see `metadata_tokens`.
        line: Where it lies.
    """

    document_id: str
    state: str
    tokens: str
    line: Line


@dataclass(frozen=True, slots=True)
class ChunkEntry:
    """A chunk in a segment; its text stays there."""

    chunk_id: str
    ordinal: int
    vector_key: str
    line: Line


@dataclass(frozen=True, slots=True)
class PutEntry:
    """A document with its chunks."""

    state: StateEntry
    chunks: list[ChunkEntry] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class RowSegment:
    """What a `rows` segment says, without the texts.

    Attributes:
        keys: Names of the vectors in the commit's vector segment, in order.
        puts: Documents that were put.
        touches: States that were replaced.
        records: Lines.
        key_length: Length of the line that names the vectors, 0 without one.
    """

    keys: list[str] = field(default_factory=list)
    puts: list[PutEntry] = field(default_factory=list)
    touches: list[StateEntry] = field(default_factory=list)
    records: int = 0
    key_length: int = 0


def encode_rows(
    keys: Sequence[str],
    documents: Iterable[DocumentRecord],
    touched: Iterable[DocumentState],
) -> bytes:
    """The content of a `rows` segment; empty when there is nothing to write.

    Raises:
        InvalidInput: A text cannot be written as UTF-8.
    """
    lines: list[bytes] = []
    if keys:
        lines.append(_line(json.dumps({"vectors": list(keys)}, separators=(",", ":")).encode()))
    for document in documents:
        lines.append(_line(_wrap(b"put", document.state)))
        lines.extend(_line(_wrap(b"chunk", chunk)) for chunk in document.chunks)
    lines.extend(_line(_wrap(b"touch", state)) for state in touched)
    return b"".join(lines)


def decode_rows(data: bytes) -> RowSegment:
    """What a whole `rows` segment says.

    Raises:
        RecordDamaged: A line is not what `encode_rows` wrote.
    """
    found = RowSegment()
    start = 0
    records = 0
    key_length = 0
    while start < len(data):
        end = data.find(b"\n", start)
        if end < 0:
            raise RecordDamaged(f"the line at byte {start} has no end")
        body, crc = _check(data[start:end])
        _take(found, body, Line(start, end - start, crc))
        if found.keys and not records:
            key_length = end - start
        records += 1
        start = end + 1
    return RowSegment(found.keys, found.puts, found.touches, records, key_length)


def decode_keys(line: bytes) -> list[str]:
    """The names in a `vectors` record.

    Raises:
        RecordDamaged: It is no such record.
    """
    body, _ = _check(line)
    content = json.loads(body)
    if "vectors" not in content:
        raise RecordDamaged("it is no record of vector names")
    return [str(key) for key in content["vectors"]]


def decode_chunk(line: bytes) -> ChunkRow:
    """The chunk in a record.

    Raises:
        RecordDamaged: It is no chunk, or not what was written.
    """
    body, _ = _check(line)
    prefix = b'{"chunk":'
    if not body.startswith(prefix):
        raise RecordDamaged("it is no chunk")
    try:
        return ChunkRow.model_validate_json(body[len(prefix) : -1])
    except ValidationError as error:
        raise RecordDamaged("it is no chunk that this release can read") from error


def metadata_tokens(metadata: dict[str, Any]) -> str:
    """Metadata as a JSON array of tokens, one per field and value; empty without metadata."""
    if not metadata:
        return ""
    tokens = [
        metadata_token(name, element)
        for name, value in metadata.items()
        for element in (value if isinstance(value, list) else [value])
    ]
    return json.dumps(tokens, separators=(",", ":"))


def metadata_token(name: str, value: MetadataValue) -> str:
    """Field and value as one text: equal exactly when the values are.

    Truth is no number: `True` is not 1. Numbers compare by value: 1 is 1.0.
    """
    if isinstance(value, bool):
        kind = f"b{value:d}"
    elif isinstance(value, int | float):
        whole = isinstance(value, int) or value.is_integer()
        kind = f"n{int(value)}" if whole else f"n{value!r}"
    else:
        kind = f"s{value}"
    return f"{len(name)}:{name}{kind}"


def _wrap(kind: bytes, model: BaseModel) -> bytes:
    try:
        return b'{"%b":%b}' % (kind, model.model_dump_json().encode())
    except (PydanticSerializationError, UnicodeEncodeError) as error:
        name = getattr(model, "chunk_id", None) or getattr(model, "document_id", None)
        raise InvalidInput(
            f"{kind.decode()} {name!r} holds text that is no valid Unicode ({error}): replace lone"
            " surrogates before storing"
        ) from error


def _line(body: bytes) -> bytes:
    return b"%08x %b\n" % (zlib.crc32(body), body)


def _check(line: bytes) -> tuple[bytes, int]:
    body = line[_CRC:]
    crc = zlib.crc32(body)
    if line[:_CRC] != b"%08x " % crc:
        raise RecordDamaged("a record does not have its checksum")
    return body, crc


def _take(found: RowSegment, body: bytes, line: Line) -> None:
    content = json.loads(body)
    match content:
        case {"chunk": chunk}:
            found.puts[-1].chunks.append(
                ChunkEntry(chunk["chunk_id"], chunk["ordinal"], chunk["vector_key"], line)
            )
        case {"put": state}:
            found.puts.append(PutEntry(_state_entry(b"put", state, body, line)))
        case {"touch": state}:
            found.touches.append(_state_entry(b"touch", state, body, line))
        case {"vectors": keys}:
            found.keys.extend(keys)
        case _:
            raise RecordDamaged(f"the record at byte {line.start} is of no known kind")


def _state_entry(kind: bytes, state: dict[str, Any], body: bytes, line: Line) -> StateEntry:
    text = body[len(kind) + 4 : -1].decode()
    return StateEntry(state["document_id"], text, metadata_tokens(state["metadata"]), line)
