"""The ports: what a source, converter, chunker, embedder, store and artifact store promise.

Stages know these protocols only. An adapter is one file that fulfils one of them, one line in
`durable_ingest.registry`, and one test class that inherits the port's contract suite from
`durable_ingest.conformance`.

One file on purpose: it is the whole vocabulary of the ingestion half, read at one go.

All methods are synchronous; activities run them in threads. Implementations must be usable from
several threads one call at a time unless they say more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

from durable_ingest.models import (
    ArtifactRef,
    ChunkRow,
    Conversion,
    DocumentRecord,
    DocumentRef,
    DocumentState,
    EmbedderInfo,
    ErrorRow,
    Metadata,
    MetadataValue,
    PlannedDocument,
    SourceSpec,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors: TypeAlias = NDArray[np.float32]
    """Contiguous `(n, dimension)` float32."""

__all__ = [
    "ArtifactStore",
    "Chunk",
    "Chunker",
    "CommitBatch",
    "CommitResult",
    "Converter",
    "DocumentSource",
    "Embedder",
    "Encoding",
    "Fetched",
    "IndexSettings",
    "SearchFilter",
    "SearchHit",
    "Store",
    "StoreInfo",
    "Tick",
    "Tokenizer",
    "Unchanged",
]

Tick: TypeAlias = Callable[[int], None]
"""Called with the number of items done so far; activities heartbeat with it."""


# --- sources ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fetched:
    """The bytes of a document and what came with them.

    Attributes:
        content: Raw bytes, at most the size limit.
        media_type: Type without parameters, lower case; what the source declared or found.
        charset: Charset that came with the bytes (HTTP header), unverified.
        size: Bytes as the source counts them; equals `len(content)`.
        modified_ns: Modification time seen when reading, in ns since the epoch.
        scanned_ns: Wall clock when reading began, in ns since the epoch.
        etag: HTTP entity tag, verbatim.
        last_modified: HTTP date, verbatim.
    """

    content: bytes
    media_type: str
    charset: str | None = None
    size: int | None = None
    modified_ns: int | None = None
    scanned_ns: int | None = None
    etag: str | None = None
    last_modified: str | None = None


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The source itself said that nothing changed (HTTP 304)."""

    etag: str | None = None
    last_modified: str | None = None
    scanned_ns: int | None = None


@runtime_checkable
class DocumentSource(Protocol):
    """Finds documents and reads them."""

    def discover(self, spec: SourceSpec) -> Iterator[DocumentRef | ErrorRow]:
        """Yield every document of `spec` once, in an order that is the same each time.

        Documents carry canonical URIs. What cannot be listed is yielded as an error row.

        Raises:
            TerminalError: The source as a whole cannot be read; nothing was yielded.
        """
        ...

    def fetch(self, planned: PlannedDocument, *, max_bytes: int) -> Fetched | Unchanged:
        """Read one document.

        Raises:
            TerminalError: This document cannot be read (missing, refused, too large ...).
            TransientError: Trying again may help.
        """
        ...

    def covers(self, spec: SourceSpec, uri: str) -> bool:
        """Whether `discover(spec)` would have yielded `uri` if the document still existed."""
        ...


# --- converters ------------------------------------------------------------------------------


@runtime_checkable
class Converter(Protocol):
    """Turns bytes into text: same bytes in, same text out."""

    @property
    def media_types(self) -> frozenset[str]:
        """Media types it reads, lower case, without parameters."""
        ...

    @property
    def fingerprint(self) -> str:
        """Changes whenever any output would change; names the libraries' versions."""
        ...

    def convert(
        self, content: bytes, *, media_type: str, charset: str | None = None, uri: str = ""
    ) -> Conversion:
        """Convert one document.

        Raises:
            ConversionFailed: The bytes cannot be read as this type.
        """
        ...


# --- tokenizers and chunkers -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Encoding:
    """Token ids of a text without special tokens, and the code points each one covers."""

    ids: list[int]
    offsets: list[tuple[int, int]]


@runtime_checkable
class Tokenizer(Protocol):
    """Counts tokens exactly as the model that it belongs to does, special tokens left out."""

    @property
    def fingerprint(self) -> str:
        """Changes whenever any encoding would change."""
        ...

    def encode(self, text: str) -> Encoding:
        """Encode without truncation or padding; offsets are code points of `text`."""
        ...

    def count_batch(self, texts: Sequence[str]) -> list[int]:
        """Token counts of several texts, special tokens left out."""
        ...


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a document: `document[start:end] == text`, offsets in code points.

    Attributes:
        text: The piece itself.
        start: First code point.
        end: One past the last code point.
        tokens: Exact token count of `text` under the chunker's tokenizer, None without one.
        heading_path: Headings above the piece, outermost first.
        kind: What it is: text, code, table, list ...
        context: Embedded before the text but no part of it: heading path, table header.
    """

    text: str
    start: int
    end: int
    tokens: int | None = None
    heading_path: tuple[str, ...] = ()
    kind: str = "text"
    context: str = ""


@runtime_checkable
class Chunker(Protocol):
    """Cuts text without losing any: gaps between chunks hold white space only."""

    @property
    def fingerprint(self) -> str:
        """Changes whenever any cut would change."""
        ...

    def chunk(self, text: str, *, media_type: str, title: str | None = None) -> list[Chunk]:
        """Cut one document, in order of `start`."""
        ...


# --- embedders -------------------------------------------------------------------------------


@runtime_checkable
class Embedder(Protocol):
    """Turns texts into vectors."""

    def describe(self) -> EmbedderInfo:
        """Say model, dimension and limits without loading weights; `tokenizer` is left None."""
        ...

    def tokenizer_json(self) -> bytes | None:
        """The model's `tokenizer.json`, when it has one."""
        ...

    def embed(self, texts: Sequence[str], *, tick: Tick | None = None) -> Vectors:
        """Embed texts as given, prompts already applied; row i belongs to `texts[i]`.

        Returns:
            Contiguous `(len(texts), dimension)` float32; unit length if `normalised`.

        Raises:
            TransientError: The service may answer later.
            TerminalError: It never will.
        """
        ...


# --- stores ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """What an index is made with and can never change.

    Attributes:
        dimension: Length of every vector.
        embedder: Fingerprint of the embedder.
        model: Its name, for messages.
        metric: `cosine`: vectors are of unit length and compared by inner product.
        recipe: JSON that lets a reader build the embedder again; never compared.
    """

    dimension: int
    embedder: str
    model: str
    metric: str = "cosine"
    recipe: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class StoreInfo:
    """Where an index stands.

    Attributes:
        settings: What it was made with.
        sequence: Number of its newest commit, 0 when empty.
        head: Digest of the newest commit record, empty when there is none.
        documents: Live documents.
        chunks: Live chunks.
        vectors: Distinct vectors that live chunks use.
    """

    settings: IndexSettings
    sequence: int
    head: str
    documents: int
    chunks: int
    vectors: int


@dataclass(frozen=True, slots=True)
class CommitBatch:
    """Changes that become visible together or not at all.

    Attributes:
        commit_id: Names the change; committing the same id twice does nothing the second time.
        documents: Put as wholes: each replaces the document of that id and all its chunks.
        touched: New states of documents whose chunks stay as they are.
        deleted: Ids of documents to remove; unknown ids are ignored.
        vector_keys: Names of `vectors`; a key that the store knows already is skipped.
        vectors: `(len(vector_keys), dimension)` float32.
    """

    commit_id: str
    documents: Sequence[DocumentRecord] = ()
    touched: Sequence[DocumentState] = ()
    deleted: Sequence[str] = ()
    vector_keys: Sequence[str] = ()
    vectors: Vectors | None = None


@dataclass(frozen=True, slots=True)
class CommitResult:
    """What a commit did.

    Attributes:
        sequence: Number of the commit in the log.
        repeated: The id had been committed before; the other fields say what it did then.
        added: Documents that were not there.
        updated: Documents that were replaced.
        touched: Documents whose state alone changed.
        deleted: Documents removed.
        chunks: Chunks written.
        vectors: Vectors written.
    """

    sequence: int
    repeated: bool = False
    added: int = 0
    updated: int = 0
    touched: int = 0
    deleted: int = 0
    chunks: int = 0
    vectors: int = 0


@dataclass(frozen=True, slots=True)
class SearchFilter:
    """Restricts a search.

    Attributes:
        metadata: Field to wanted value, or to a sequence of values of which one must match;
            all fields must match. A list-valued field matches if any element does.
        documents: Only these document ids; None for all.
        uri_prefix: Only documents whose id begins so.
        per_document: At most so many hits of one document; None for no limit.
    """

    metadata: Mapping[str, MetadataValue | Sequence[MetadataValue]] = field(default_factory=dict)
    documents: Sequence[str] | None = None
    uri_prefix: str = ""
    per_document: int | None = None


@dataclass(frozen=True, slots=True)
class SearchHit:
    """A chunk that matches a query, best score first.

    Attributes:
        score: Cosine similarity, -1 to 1.
        text: The chunk's text.
        document_id: Canonical URI of its document.
        chunk_id: Id of the chunk.
        start: First code point in the converted document.
        end: One past the last code point.
        heading_path: Headings above it, outermost first.
        title: The document's title.
        metadata: The document's metadata.
        ordinal: Place in the document, from 0.
    """

    score: float
    text: str
    document_id: str
    chunk_id: str
    start: int
    end: int
    heading_path: tuple[str, ...] = ()
    title: str | None = None
    metadata: Metadata = field(default_factory=dict)
    ordinal: int = 0


@runtime_checkable
class Store(Protocol):
    """A durable index: commits are atomic, repeatable and serialised."""

    def info(self) -> StoreInfo:
        """Say settings, newest commit and live counts."""
        ...

    def states(self, document_ids: Sequence[str]) -> dict[str, DocumentState]:
        """States of those documents that are live."""
        ...

    def documents(self, *, after: str = "", limit: int = 1000) -> list[DocumentState]:
        """Live documents in order of id, those after `after` first; pages of at most `limit`."""
        ...

    def chunk_rows(self, document_id: str) -> list[ChunkRow]:
        """The live chunks of a document in order; empty when unknown."""
        ...

    def known_vectors(self, keys: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """Vectors of those keys that the store holds, `(dimension,)` float32 each."""
        ...

    def check(self) -> None:
        """Make sure that stored bytes are what was written; cheap when done before.

        Raises:
            IndexDamaged: They are not; nothing should be built on them.
        """
        ...

    def commit(self, batch: CommitBatch) -> CommitResult:
        """Make the changes visible and durable, or raise and change nothing.

        Raises:
            StoreBusy: Another process is writing and did not finish in time.
            StorageFull: No space left; the index is as before.
            InvalidInput: The batch contradicts itself: a chunk without a vector, wrong dimension.
            IndexDamaged: The log is not what was written.
        """
        ...

    def search(
        self, vector: NDArray[np.float32], *, k: int, where: SearchFilter | None = None
    ) -> list[SearchHit]:
        """The `k` most similar chunks, best first; equal scores in order of chunk id.

        Args:
            vector: `(dimension,)` float32 of unit length.
            k: Most hits, 1 or more.
            where: Restrictions; fewer than `k` hits only if fewer chunks match.
        """
        ...

    def close(self) -> None:
        """Release files and locks; the object cannot be used after."""
        ...


# --- artifacts -------------------------------------------------------------------------------


@runtime_checkable
class ArtifactStore(Protocol):
    """Content-addressed bytes: what is put once can be read back verified, or not at all."""

    def put(self, data: bytes, *, media_type: str = "application/octet-stream") -> ArtifactRef:
        """Store bytes durably before returning; storing equal bytes again is free.

        Raises:
            StorageFull: No space left; nothing half-written is visible.
        """
        ...

    def get(self, ref: ArtifactRef) -> bytes:
        """Read and verify.

        Raises:
            ArtifactMissing: It is not there.
            ArtifactDamaged: Its bytes do not have the digest or size of `ref`.
        """
        ...

    def contains(self, ref: ArtifactRef) -> bool:
        """Whether the artifact is there; its bytes are not verified."""
        ...

    def delete(self, refs: Iterable[ArtifactRef]) -> int:
        """Remove artifacts; those not there are ignored. Returns how many were removed."""
        ...
