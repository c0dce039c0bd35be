"""What travels between stages, and its bytes as artifacts.

A fetched batch is a ZIP file (deterministic: fixed dates, stored in order), since it holds raw
documents; everything else is JSON lines, so that people can read what a run left behind.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, Field

from durable_ingest.models import (
    DocumentRecord,
    DocumentState,
    ErrorRow,
    PlannedDocument,
)
from durable_ingest.models.frozen import FrozenModel

if TYPE_CHECKING:
    from durable_ingest.ports import Vectors

M = TypeVar("M", bound=BaseModel)

JSON_LINES = "application/jsonl"
ZIP = "application/zip"
VECTORS = "application/vnd.durable-ingest.float32"

_EPOCH = (1980, 1, 1, 0, 0, 0)


class FetchedDocument(FrozenModel):
    """A document whose bytes were read and differ from what the index knows."""

    planned: PlannedDocument
    content_sha256: str
    media_type: str
    charset: str | None = None
    size: int | None = None
    modified_ns: int | None = None
    scanned_ns: int | None = None
    etag: str | None = None
    last_modified: str | None = None
    content: bytes = Field(default=b"", exclude=True, repr=False)


class Remainder(FrozenModel):
    """Outcomes that need no more work before the commit.

    Attributes:
        touched: New states of documents whose chunks stay.
        unchanged: How many documents had nothing new at all, touched ones included.
        gone: Ids of indexed documents whose source says they no longer exist.
        errors: Documents that failed so far.
        bytes_read: From sources.
    """

    touched: list[DocumentState] = Field(default_factory=list)
    unchanged: int = 0
    gone: list[str] = Field(default_factory=list)
    errors: list[ErrorRow] = Field(default_factory=list)
    bytes_read: int = 0


@dataclass(frozen=True, slots=True)
class FetchedBatch:
    """Result of the fetch stage."""

    documents: list[FetchedDocument]
    remainder: Remainder
    deferred: list[PlannedDocument] = field(default_factory=list)
    retry_after: float = 0.0


@dataclass(frozen=True, slots=True)
class PreparedBatch:
    """Result of the convert-and-chunk stage."""

    records: list[DocumentRecord]
    remainder: Remainder
    truncated: int = 0

    @property
    def empty(self) -> bool:
        """Whether the index would not change."""
        return not (self.records or self.remainder.touched or self.remainder.gone)


@dataclass(frozen=True, slots=True)
class EmbeddedBatch:
    """Result of the embed stage: one vector per distinct key, in order of first use.

    `rejected` names the keys whose text the embedder refuses for good, and why.
    """

    keys: list[str]
    vectors: Vectors
    embedded: int
    reused: int
    rejected: dict[str, str] = field(default_factory=dict)


def dump_lines(items: Iterable[BaseModel]) -> bytes:
    """Models as JSON lines."""
    return b"".join(item.model_dump_json(exclude_defaults=True).encode() + b"\n" for item in items)


def load_lines(model: type[M], data: bytes) -> Iterator[M]:
    """Models from JSON lines."""
    for line in data.split(b"\n"):
        if line:
            yield model.model_validate_json(line)


def dump_fetched(batch: FetchedBatch) -> bytes:
    """A fetched batch as a ZIP file; deferred documents are kept apart by the caller."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        _write(archive, "documents.jsonl", dump_lines(batch.documents))
        _write(archive, "remainder.json", batch.remainder.model_dump_json().encode())
        for number, document in enumerate(batch.documents):
            _write(archive, f"content/{number:06d}", document.content)
    return buffer.getvalue()


def load_fetched(data: bytes) -> FetchedBatch:
    """The inverse of `dump_fetched`."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        documents = [
            document.model_copy(update={"content": archive.read(f"content/{number:06d}")})
            for number, document in enumerate(
                load_lines(FetchedDocument, archive.read("documents.jsonl"))
            )
        ]
        remainder = Remainder.model_validate_json(archive.read("remainder.json"))
    return FetchedBatch(documents, remainder)


def _write(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(entry, data, compresslevel=1)


def dump_prepared(batch: PreparedBatch) -> bytes:
    """A prepared batch as JSON lines: a head, then one record per document."""
    head = {"truncated": batch.truncated, "remainder": batch.remainder.model_dump(mode="json")}
    return json.dumps(head).encode() + b"\n" + dump_lines(batch.records)


def load_prepared(data: bytes) -> PreparedBatch:
    """The inverse of `dump_prepared`."""
    first, _, rest = data.partition(b"\n")
    head = json.loads(first)
    return PreparedBatch(
        list(load_lines(DocumentRecord, rest)),
        Remainder.model_validate(head["remainder"]),
        head["truncated"],
    )


def dump_embedded(batch: EmbeddedBatch) -> bytes:
    """Keys and counts as one JSON line, then the vectors as little-endian float32."""
    head = {
        "keys": batch.keys,
        "dimension": int(batch.vectors.shape[1]),
        "embedded": batch.embedded,
        "reused": batch.reused,
        "rejected": batch.rejected,
    }
    return json.dumps(head).encode() + b"\n" + batch.vectors.astype("<f4", copy=False).tobytes()


def load_embedded(data: bytes) -> EmbeddedBatch:
    """The inverse of `dump_embedded`."""
    import numpy as np  # noqa: PLC0415 - planning and fetching workers have no numpy

    first, _, rest = data.partition(b"\n")
    head = json.loads(first)
    vectors = np.frombuffer(rest, dtype="<f4").reshape(-1, head["dimension"])
    return EmbeddedBatch(
        head["keys"], vectors.astype(np.float32), head["embedded"], head["reused"], head["rejected"]
    )


def distinct(keys: Sequence[str]) -> list[str]:
    """Keys without repetitions, in order of first use."""
    return list(dict.fromkeys(keys))
