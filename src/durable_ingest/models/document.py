"""A document on its way: found, planned, fetched, converted, cut, stored."""

from typing import Annotated

from pydantic import Field

from durable_ingest.models.frozen import FrozenModel

Scalar = str | bool | int | float
MetadataValue = Scalar | list[Scalar]
"""What a metadata field may hold: text, truth, a number, or a list of those."""

Metadata = dict[str, MetadataValue]

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""A SHA-256 digest as 64 lower-case hexadecimal digits."""


class ArtifactRef(FrozenModel):
    """A reference to bytes kept outside workflow history, named by their content."""

    sha256: Sha256
    size: int = Field(ge=0, description="length in bytes")
    media_type: str = "application/octet-stream"


class ErrorRow(FrozenModel):
    """One document that could not be ingested, and why."""

    uri: str
    stage: str = Field(description="discover, fetch, convert, chunk, embed or commit")
    error_type: str = Field(description="name of the error class, such as SourceMissing")
    message: str
    rule: str | None = Field(
        default=None, description="the safety rule that refused it, if one did"
    )


class DocumentRef(FrozenModel):
    """A document as a source found it, before any byte of it was read."""

    uri: str = Field(description="canonical URI; the document's identity")
    source: int = Field(default=0, ge=0, description="ordinal of the source in the request")
    kind: str = Field(default="files", description="registry name of the adapter that reads it")
    location: str | None = Field(
        default=None, description="what to read when it is not `uri`, such as a stored copy"
    )
    media_type: str | None = Field(default=None, description="declared by the user, if it was")
    size: int | None = Field(default=None, description="bytes, when known before reading")
    modified_ns: int | None = Field(default=None, description="modification time, ns since epoch")
    metadata: Metadata = Field(default_factory=dict)


class DocumentState(FrozenModel):
    """What an index remembers of a document, enough to know whether it changed."""

    document_id: str
    content_sha256: Sha256
    fingerprint: str = Field(description="of converter, chunker and embedder together")
    media_type: str = ""
    title: str | None = None
    size: int | None = None
    modified_ns: int | None = None
    scanned_ns: int | None = Field(default=None, description="when the bytes were read")
    etag: str | None = None
    last_modified: str | None = Field(default=None, description="HTTP date, verbatim")
    metadata: Metadata = Field(default_factory=dict)
    chunks: int = Field(default=0, ge=0)


class PlannedDocument(FrozenModel):
    """A document to read, with what the index knows of it."""

    ref: DocumentRef
    known: DocumentState | None = None


class Conversion(FrozenModel):
    """The text of a document and how it was won.

    The text is valid Unicode: no lone surrogate and no NUL.
    """

    text: str
    media_type: str = Field(default="text/markdown", description="of the text: markdown or plain")
    title: str | None = None
    language: str | None = None
    charset: str | None = Field(default=None, description="the encoding the bytes were read with")
    charset_rule: str | None = Field(
        default=None, description="what decided it: bom, declared, meta, utf-8, detected, fallback"
    )
    method: str = Field(default="", description="converter and pass, such as `html-to-markdown`")
    notes: list[str] = Field(default_factory=list, description="what was replaced or dropped")
    metadata: Metadata = Field(default_factory=dict)


class ChunkRow(FrozenModel):
    """A chunk as an index keeps it; `start` and `end` are code points of the converted text."""

    chunk_id: str
    document_id: str
    ordinal: int = Field(ge=0, description="place in the document, from 0")
    text: str
    start: int = Field(ge=0)
    end: int = Field(ge=0)
    tokens: int | None = None
    heading_path: list[str] = Field(default_factory=list)
    kind: str = "text"
    context: str = Field(default="", description="embedded before the text, not part of it")
    vector_key: str = Field(description="names the vector: equal inputs share one")


class DocumentRecord(FrozenModel):
    """A document with all its chunks; storing it replaces what was there, as a whole."""

    state: DocumentState
    chunks: list[ChunkRow] = Field(default_factory=list)
