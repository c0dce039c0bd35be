"""Inputs, outputs and typed stubs of the activities.

Workflows call the stubs; worker classes register methods under the same names. A worker that only
runs workflows therefore needs no converter, model or index library.
"""

from datetime import datetime

from pydantic import Field
from temporalio import activity

from durable_ingest.models import (
    ArtifactRef,
    ChunkerSpec,
    Counts,
    EmbedderInfo,
    EmbedderSpec,
    IndexSpec,
    IngestReport,
    IngestRequest,
)
from durable_ingest.models.frozen import FrozenModel
from durable_ingest.temporal import names


class DescribeInput(FrozenModel):
    """Which embedder to describe."""

    embedder: EmbedderSpec


class DiscoverInput(FrozenModel):
    """What to look through."""

    request: IngestRequest


class Discovered(FrozenModel):
    """What was found: pages of documents, and of rows for what could not be listed."""

    pages: ArtifactRef
    documents: int = 0
    failed: int = 0
    errors: ArtifactRef | None = None


class PlanInput(FrozenModel):
    """What was found, and what it is to be compared with."""

    request: IngestRequest
    embedder: EmbedderInfo
    discovered: Discovered


class Planned(FrozenModel):
    """What there is to do."""

    manifest: ArtifactRef
    recipe: ArtifactRef = Field(description="a `RecipeSpec`")
    fingerprint: str = Field(description="of converters, chunker and embedder")
    batches: int = 0
    counts: Counts = Field(default_factory=Counts)
    errors: ArtifactRef | None = None
    head: int = 0


class FetchInput(FrozenModel):
    """One batch: a page of the manifest, or documents deferred from an earlier batch."""

    manifest: ArtifactRef
    batch: int = 0
    documents: ArtifactRef | None = Field(
        default=None, description="read these instead of a page of the manifest"
    )
    fingerprint: str = Field(description="what an unchanged document was processed with")
    max_document_bytes: int
    final: bool = Field(default=False, description="unavailable sources become error rows")
    delete_missing: bool = Field(
        default=True, description="indexed documents that answer 404 or 410 are removed"
    )


class FetchedRef(FrozenModel):
    """The fetched batch, and documents whose source was unavailable."""

    batch: ArtifactRef
    documents: int = 0
    deferred: ArtifactRef | None = None
    deferred_documents: int = 0
    retry_after: float = 0.0


class RecipeSpec(FrozenModel):
    """What decides a document's chunks; written once per run, since every batch needs it."""

    chunker: ChunkerSpec
    embedder: EmbedderSpec
    info: EmbedderInfo


class PrepareInput(FrozenModel):
    """A fetched batch to convert and cut."""

    batch: ArtifactRef
    recipe: ArtifactRef


class PreparedRef(FrozenModel):
    """The prepared batch."""

    batch: ArtifactRef
    documents: int = 0
    chunks: int = 0


class EmbedInput(FrozenModel):
    """A prepared batch to embed."""

    batch: ArtifactRef
    index: IndexSpec
    embedder: EmbedderSpec


class EmbeddedRef(FrozenModel):
    """The vectors of a batch."""

    batch: ArtifactRef
    embedded: int = 0
    reused: int = 0


class CommitInput(FrozenModel):
    """A batch to make visible, and the error rows of the run so far."""

    index: IndexSpec
    embedder: str = Field(description="fingerprint of the embedder that the index must be of")
    prepared: ArtifactRef
    embedded: ArtifactRef | None = None
    first_run_id: str
    ordinal: int
    errors: ArtifactRef | None = None


class Committed(FrozenModel):
    """What became of a batch."""

    counts: Counts = Field(default_factory=Counts)
    errors: ArtifactRef | None = None
    head: int = 0


class FinishInput(FrozenModel):
    """The end of a run."""

    request: IngestRequest
    embedder: EmbedderInfo
    listed: ArtifactRef | None = Field(default=None, description="pages of documents found")
    planned: int = Field(default=0, description="documents found, failed ones too")
    first_run_id: str
    ordinal: int
    counts: Counts
    errors: ArtifactRef | None = None
    started_at: datetime
    cancelled: bool = False


@activity.defn(name=names.DESCRIBE)
async def describe_embedder(job: DescribeInput) -> EmbedderInfo:
    """Say model, dimension and limits; put the tokenizer where other workers find it."""
    raise NotImplementedError


@activity.defn(name=names.DISCOVER)
async def discover_documents(job: DiscoverInput) -> Discovered:
    """List all documents of the sources."""
    raise NotImplementedError


@activity.defn(name=names.PLAN)
async def plan_batches(job: PlanInput) -> Planned:
    """Leave out what is unchanged and group the rest into batches."""
    raise NotImplementedError


@activity.defn(name=names.FETCH)
async def fetch_batch(job: FetchInput) -> FetchedRef:
    """Read the bytes of a batch."""
    raise NotImplementedError


@activity.defn(name=names.PREPARE)
async def prepare_batch(job: PrepareInput) -> PreparedRef:
    """Convert and cut a batch."""
    raise NotImplementedError


@activity.defn(name=names.EMBED)
async def embed_batch(job: EmbedInput) -> EmbeddedRef:
    """Compute the vectors of a batch."""
    raise NotImplementedError


@activity.defn(name=names.COMMIT)
async def commit_batch(job: CommitInput) -> Committed:
    """Make a batch visible, whole or not at all."""
    raise NotImplementedError


@activity.defn(name=names.FINISH)
async def finish_run(job: FinishInput) -> IngestReport:
    """Remove vanished documents and write the report."""
    raise NotImplementedError
