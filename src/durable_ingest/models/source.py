"""What a request names as a source."""

import math
from typing import Any

from pydantic import Field, field_validator

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

    @field_validator("metadata")
    @classmethod
    def _writable(cls, metadata: Metadata) -> Metadata:
        # JSON has no other numbers and no half characters: refused here, not where it is stored.
        for name, value in metadata.items():
            for item in (name, *value) if isinstance(value, list) else (name, value):
                if isinstance(item, float) and not math.isfinite(item):
                    raise ValueError(f"{name!r} is {value!r}: numbers must be finite")
                if isinstance(item, str) and not _is_unicode(item):
                    raise ValueError(f"{name!r} is {value!r}: text must be valid Unicode")
        return metadata


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
