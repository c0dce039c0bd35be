"""What a request names as a source."""

from typing import Any

from pydantic import Field

from durable_ingest.models.document import Metadata
from durable_ingest.models.frozen import FrozenModel


class SourceSpec(FrozenModel):
    """One source of a request: a file, a folder, a glob pattern or a web address."""

    uri: str = Field(
        min_length=1,
        description="`file:///dir`, `file:///dir/**/*.md` or `https://host/page`",
    )
    kind: str = Field(default="files", description="registry name of the adapter")
    media_type: str | None = Field(default=None, description="overrides what the bytes suggest")
    metadata: Metadata = Field(
        default_factory=dict, description="copied to every document of this source"
    )
    options: dict[str, Any] = Field(default_factory=dict, description="adapter's own options")
