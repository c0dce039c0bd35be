"""Wire models: what crosses process borders, as frozen pydantic models.

Every model ignores fields it does not know, so that workers of two versions can talk during a
rolling deploy; files written by people are checked with unknown fields forbidden where they are
read.
New fields always have defaults.
"""

from durable_ingest.models.document import (
    ArtifactRef,
    ChunkRow,
    Conversion,
    DocumentRecord,
    DocumentRef,
    DocumentState,
    ErrorRow,
    Metadata,
    MetadataValue,
    PlannedDocument,
)
from durable_ingest.models.ingestion import (
    ChunkerSpec,
    Counts,
    EmbedderInfo,
    EmbedderSpec,
    IndexSpec,
    IngestReport,
    IngestRequest,
    Progress,
)
from durable_ingest.models.source import SourceSpec
from durable_ingest.models.workshop import (
    IndexingStageConfiguration,
    IngestionWorkflowInput,
    MimeTypesEnum,
    RecursiveChunkingStageConfiguration,
    Source,
    SourceOptions,
    SourceStatusEnum,
    StageConfiguration,
    StageEnum,
)

__all__ = [
    "ArtifactRef",
    "ChunkRow",
    "ChunkerSpec",
    "Conversion",
    "Counts",
    "DocumentRecord",
    "DocumentRef",
    "DocumentState",
    "EmbedderInfo",
    "EmbedderSpec",
    "ErrorRow",
    "IndexSpec",
    "IndexingStageConfiguration",
    "IngestReport",
    "IngestRequest",
    "IngestionWorkflowInput",
    "Metadata",
    "MetadataValue",
    "MimeTypesEnum",
    "PlannedDocument",
    "Progress",
    "RecursiveChunkingStageConfiguration",
    "Source",
    "SourceOptions",
    "SourceSpec",
    "SourceStatusEnum",
    "StageConfiguration",
    "StageEnum",
]
