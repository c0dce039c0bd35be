"""A request to ingest, its progress and its report."""

from datetime import datetime
from typing import Any, Literal, Self

from pydantic import Field

from durable_ingest.models.document import ArtifactRef, ErrorRow
from durable_ingest.models.frozen import FrozenModel
from durable_ingest.models.source import SourceSpec

MIB = 1024 * 1024


class IndexSpec(FrozenModel):
    """Where the index is and what kind of store keeps it."""

    uri: str = Field(description="`file:///dir` for the embedded store")
    kind: str = Field(default="faiss", description="registry name of the store")


class ChunkerSpec(FrozenModel):
    """How documents are cut."""

    kind: str = Field(default="structure", description="registry name of the chunker")
    size: int | None = Field(
        default=None,
        ge=1,
        description="upper limit in `length` units; None: the embedder's limit less special "
        "tokens and context",
    )
    overlap: int = Field(default=0, ge=0)
    length: Literal["tokens", "characters"] = "tokens"
    context: int = Field(
        default=32, ge=0, description="tokens kept free for the heading path that is embedded"
    )


class EmbedderSpec(FrozenModel):
    """Which model turns text into vectors."""

    kind: str = Field(default="sentence-transformers", description="registry name of the embedder")
    model: str = "sentence-transformers/all-MiniLM-L6-v2"
    revision: str | None = None
    dimension: int | None = Field(default=None, ge=1)
    prompt: str = Field(default="", description="put before each passage, such as `passage: `")
    query_prompt: str = Field(default="", description="put before each query")
    options: dict[str, Any] = Field(default_factory=dict)


class EmbedderInfo(FrozenModel):
    """What an embedder says of itself before it has loaded any weights."""

    fingerprint: str = Field(description="changes whenever any vector would change")
    model: str
    dimension: int = Field(ge=1)
    max_tokens: int | None = Field(default=None, description="longest input, special tokens too")
    special_tokens: int = Field(default=0, ge=0, description="added to every input")
    normalised: bool = True
    tokenizer: ArtifactRef | None = Field(
        default=None, description="a `tokenizer.json`, so that chunking needs no model"
    )


class Counts(FrozenModel):
    """Additive counts of a run; `documents` is always the sum of its five outcomes."""

    documents: int = 0
    added: int = 0
    updated: int = 0
    unchanged: int = 0
    failed: int = Field(
        default=0, description="not ingested this time; what the index holds of them stays"
    )
    pending: int = Field(default=0, description="planned, but not reached before a cancellation")
    deleted: int = Field(default=0, description="vanished from their source; not in `documents`")
    chunks: int = Field(default=0, description="chunks of added and updated documents")
    embedded: int = Field(default=0, description="vectors computed")
    reused: int = Field(default=0, description="chunks whose vector was known already")
    truncated: int = Field(default=0, description="inputs longer than the model reads")
    bytes: int = Field(default=0, description="bytes read from sources")

    def plus(self, other: "Counts") -> Self:
        """Return the sum, field by field."""
        return self.model_copy(
            update={
                name: getattr(self, name) + getattr(other, name) for name in type(self).model_fields
            }
        )

    def add_up(self) -> bool:
        """Whether every document has exactly one outcome."""
        outcomes = self.added + self.updated + self.unchanged + self.failed + self.pending
        return self.documents == outcomes


class Cursor(FrozenModel):
    """Where a run stands; all that continue-as-new carries over beside the request."""

    first_run_id: str
    started_at: datetime
    embedder: EmbedderInfo
    listed: ArtifactRef | None = Field(default=None, description="pages of documents found")
    recipe: ArtifactRef = Field(description="what decides a document's chunks")
    fingerprint: str = Field(description="of converters, chunker and embedder")
    manifest: ArtifactRef = Field(description="pages of documents to read, one per batch")
    batches: int = Field(ge=0)
    planned: int = Field(default=0, ge=0, description="documents found, failed ones too")
    next_batch: int = Field(default=0, ge=0)
    ordinal: int = Field(default=0, ge=0, description="next commit ordinal; deferred batches too")
    deferred: list[ArtifactRef] = Field(default_factory=list)
    retry_round: int = 0
    retry_after: float = 0.0
    counts: Counts = Field(default_factory=Counts)
    errors: ArtifactRef | None = Field(default=None, description="newest link of the error rows")
    head: int = 0
    paused: bool = False
    cancelled: bool = False


class IngestRequest(FrozenModel):
    """A job: which sources, into which index, with which settings.

    Two requests with equal fields are the same job; starting one twice attaches to the first.
    """

    sources: list[SourceSpec] = Field(default_factory=list)
    source_list: ArtifactRef | None = Field(
        default=None, description="sources as JSON lines, when too many for a payload"
    )
    index: IndexSpec
    chunker: ChunkerSpec = Field(default_factory=ChunkerSpec)
    embedder: EmbedderSpec = Field(default_factory=EmbedderSpec)
    bulk_size: int = Field(default=256, ge=1, description="most documents per batch")
    bulk_bytes: int = Field(default=8 * MIB, ge=1, description="most bytes per batch")
    window: int = Field(default=4, ge=1, le=100, description="batches in flight")
    max_document_bytes: int = Field(default=32 * MIB, ge=1)
    retry_rounds: int = Field(
        default=5, ge=0, description="rounds for documents whose source was unavailable"
    )
    delete_vanished: bool = True
    verify_content: bool = Field(default=False, description="read files even if stat says equal")
    cursor: Cursor | None = Field(default=None, description="set by continue-as-new only")

    def job(self) -> Self:
        """The request without its cursor: what makes two runs the same job."""
        return self.model_copy(update={"cursor": None})


class Progress(FrozenModel):
    """A snapshot of a running job."""

    status: Literal["planning", "running", "paused", "cancelling", "finishing", "done"]
    counts: Counts = Field(default_factory=Counts)
    planned: int = Field(default=0, description="documents found, unchanged ones too")
    batches: int = 0
    batches_done: int = 0
    deferred: int = Field(default=0, description="batches waiting for an unavailable source")


class IngestReport(FrozenModel):
    """What a run did. Its counts add up to the number of documents found."""

    status: Literal["completed", "cancelled"] = "completed"
    counts: Counts = Field(default_factory=Counts)
    errors: list[ErrorRow] = Field(default_factory=list, description="the first ones")
    error_report: ArtifactRef | None = Field(default=None, description="all of them, JSON lines")
    head: int = Field(default=0, description="the index's newest commit when the run ended")
    embedder: EmbedderInfo | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None

    @property
    def seconds(self) -> float:
        """Wall-clock length of the run, 0 when unknown."""
        if self.started_at is None or self.finished_at is None:
            return 0.0
        return (self.finished_at - self.started_at).total_seconds()
