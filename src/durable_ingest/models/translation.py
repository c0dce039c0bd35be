"""The workshop's input as a request, and a report as its result."""

from pathlib import PurePosixPath

from durable_ingest.models.ingestion import (
    ChunkerSpec,
    EmbedderSpec,
    IndexSpec,
    IngestReport,
    IngestRequest,
)
from durable_ingest.models.source import SourceSpec
from durable_ingest.models.workshop import IngestionWorkflowInput, Source, mime_type_of

DEFAULT_COLLECTION = "workshop"


def request_of(job: IngestionWorkflowInput, index: IndexSpec | None = None) -> IngestRequest:
    """Translate the workshop's input.

    The collection name becomes an index of the worker's index root; `database_uri` is not read,
    since a password in it would stand in history. Chunk sizes are characters, as they were.

    Args:
        job: The original input.
        index: Write here instead of the collection.
    """
    indexing = job.indexing_config
    chunking = job.recursive_chunking_config
    collection = indexing.collection_name if indexing else DEFAULT_COLLECTION
    bulk = next((part.bulk_size for part in (indexing, chunking) if part and part.bulk_size), None)
    request = IngestRequest(
        sources=[source_spec(source) for source in job.sources],
        index=index or IndexSpec(uri=f"collection:{collection}"),
    )
    changes: dict[str, object] = {}
    if indexing is not None and indexing.openai_embedding_model:
        changes["embedder"] = EmbedderSpec(kind="openai", model=indexing.openai_embedding_model)
    if chunking is not None:
        changes["chunker"] = ChunkerSpec(
            kind="recursive",
            size=chunking.chunk_size,
            overlap=chunking.chunk_overlap or 0,
            length="characters",
        )
    if bulk is not None:
        changes["bulk_size"] = bulk
    return request.model_copy(update=changes)


def source_spec(source: Source) -> SourceSpec:
    """Translate one source; a page stored beforehand is read from its file, under its own URI."""
    raw = source.raw_file_path
    if raw is not None and PurePosixPath(raw).is_absolute():
        raw = PurePosixPath(raw).as_uri()
    web = source.uri.startswith(("http://", "https://"))
    return SourceSpec(
        uri=source.uri,
        kind="files" if raw or not web else "web",
        media_type=mime_type_of(source.mime_type),
        metadata=dict(source.metadata),
        options={"path": raw} if raw else {},
    )


def summary_of(report: IngestReport) -> str:
    """The workshop's result: how many sources were handled, and how many failed."""
    counts = report.counts
    handled = counts.documents - counts.failed - counts.pending
    return f"{handled} sources handled, {counts.failed} sources in error"
