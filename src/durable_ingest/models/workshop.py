"""The input format of the GenAI ingestion workshop, accepted as it was written.

Both spellings of names that were spelt twice are accepted: `CONVERTION`/`CONVERSION`,
`UNSUPORTED_MIME_TYPE`/`UNSUPPORTED_MIME_TYPE`.
"""

from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from durable_ingest.models.frozen import FrozenModel


class StageEnum(StrEnum):
    """How far a source has come; `CONVERTION` is the spelling on the wire."""

    CRAWLING = "CRAWLING"
    SCRAPING = "SCRAPING"
    CONVERTION = "CONVERTION"
    CHUNKING = "CHUNKING"
    INDEXING = "INDEXING"

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        return cls("CONVERTION") if value == "CONVERSION" else None


class SourceStatusEnum(StrEnum):
    """State of a source within its stage."""

    DISCOVERED = "DISCOVERED"
    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    ERROR = "ERROR"


_OFFICE = "application/vnd.openxmlformats-officedocument"
_OPEN = "application/vnd.oasis.opendocument"
_GOOGLE = "application/vnd.google-apps"


class MimeTypesEnum(StrEnum):
    """The media types that a source may carry."""

    APPLICATION_EPUB = "application/epub+zip"
    APPLICATION_JSON = "application/json"
    APPLICATION_PDF = "application/pdf"
    APPLICATION_RTF = "application/rtf"
    APPLICATION_XLS = "application/vnd.ms-excel"
    FOLDER = "application/vnd.tock-ingestion.folder"
    GOOGLE_AUDIO = f"{_GOOGLE}.audio"
    GOOGLE_DOCUMENT = f"{_GOOGLE}.document"
    GOOGLE_DRAWING = f"{_GOOGLE}.drawing"
    GOOGLE_FILE = f"{_GOOGLE}.file"
    GOOGLE_FOLDER = f"{_GOOGLE}.folder"
    GOOGLE_FORM = f"{_GOOGLE}.form"
    GOOGLE_PRESENTATION = f"{_GOOGLE}.presentation"
    GOOGLE_SPREADSHEET = f"{_GOOGLE}.spreadsheet"
    GOOGLE_VIDEO = f"{_GOOGLE}.video"
    OPEN_PRESENTATION = f"{_OPEN}.presentation"
    OPEN_SPREADSHEET = f"{_OPEN}.spreadsheet"
    OPEN_TEXT = f"{_OPEN}.text"
    OFFICE_PRESENTATION = f"{_OFFICE}.presentationml.presentation"
    OFFICE_SPREADSHEET = f"{_OFFICE}.spreadsheetml.sheet"
    OFFICE_TEXT = f"{_OFFICE}.wordprocessingml.document"
    IMAGE_BMP = "image/bmp"
    IMAGE_GIF = "image/gif"
    IMAGE_HEIC = "image/heic"
    IMAGE_JPEG = "image/jpeg"
    IMAGE_PNG = "image/png"
    IMAGE_SVG = "image/svg+xml"
    IMAGE_TIFF = "image/tiff"
    IMAGE_WEBP = "image/webp"
    IMAGE_X_ICON = "image/x-icon"
    TEXT_CSV = "text/csv"
    TEXT_HTML = "text/html"
    TEXT_MARKDOWN = "text/markdown"
    TEXT_PLAIN = "text/plain"
    TEXT_TSV = "text/tab-separated-values"
    UNSUPORTED_MIME_TYPE = "UNSUPORTED_MIME_TYPE"

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if value == "UNSUPPORTED_MIME_TYPE":
            return cls("UNSUPORTED_MIME_TYPE")
        # The drawn model names members, the schemas carry values: take both.
        return cls.__members__.get(value) if isinstance(value, str) else None


MetadataField = str | bool | int | list[str | bool | int]


class SourceOptions(FrozenModel):
    """Options of one source."""

    crawling_url_startswith: list[Annotated[str, Field(min_length=7)]] | None = None


class Source(FrozenModel):
    """One page or file on its way through the five stages."""

    uri: str = Field(min_length=7)
    mime_type: MimeTypesEnum | None = None
    max_depth: int = 0
    error: str | None = None
    raw_file_path: str | None = None
    converted_md_path: str | None = None
    chunking_file_path: str | None = None
    parent_uri: str | None = None
    current_stage: StageEnum | None = None
    current_status: SourceStatusEnum | None = None
    options: SourceOptions | None = None
    metadata: dict[str, MetadataField] = Field(default_factory=dict)


class StageConfiguration(FrozenModel):
    """Drawn in the original class diagram; its `bulk_size` now sets the batch size."""

    bulk_size: int | None = Field(default=None, ge=1)


class IndexingStageConfiguration(StageConfiguration):
    """Where the original wrote vectors, and with which model.

    `database_uri` may carry a password: it is accepted, and warned about.
    """

    collection_name: str
    database_uri: str
    openai_embedding_model: str


class RecursiveChunkingStageConfiguration(StageConfiguration):
    """Sizes in characters, for the recursive chunker."""

    chunk_size: int | None = Field(default=None, ge=1)
    chunk_overlap: int | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _overlap_fits(self) -> Self:
        if self.chunk_size is not None and (self.chunk_overlap or 0) >= self.chunk_size:
            raise ValueError(
                f"chunk_overlap {self.chunk_overlap!r} must be less than chunk_size "
                f"{self.chunk_size!r}"
            )
        return self


class IngestionWorkflowInput(FrozenModel):
    """The input of `INGESTION_WORKFLOW`."""

    sources: list[Source]
    indexing_config: IndexingStageConfiguration | None = None
    recursive_chunking_config: RecursiveChunkingStageConfiguration | None = None


def mime_type_of(value: Any) -> str | None:
    """The media type behind an enum member, None for the unsupported marker."""
    if value is None or value is MimeTypesEnum.UNSUPORTED_MIME_TYPE:
        return None
    return str(value)
