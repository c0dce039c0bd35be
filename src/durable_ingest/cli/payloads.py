"""Keeps requests small: a long list of sources travels as an artifact."""

from __future__ import annotations

from durable_ingest.errors import InvalidInput
from durable_ingest.models import IngestRequest
from durable_ingest.pipeline.batches import JSON_LINES, dump_lines
from durable_ingest.ports import ArtifactStore

__all__ = ["INLINE_BYTES", "fit"]

INLINE_BYTES = 64 * 1024
"""Most bytes of sources in a request; it is written to history again at each continue-as-new."""


def fit(request: IngestRequest, artifacts: ArtifactStore | None) -> IngestRequest:
    """The request as it is, or with its sources in an artifact if they are long.

    Args:
        request: The job.
        artifacts: The store that its workers share; None when this process knows none.

    Raises:
        InvalidInput: They are too long, and there is no store to put them into.
    """
    size = sum(len(spec.model_dump_json()) for spec in request.sources)
    if size <= INLINE_BYTES:
        return request
    if artifacts is None:
        raise InvalidInput(
            f"a list of {len(request.sources)} sources ({size} bytes) is too long for a request: "
            "set DURABLE_INGEST_ARTIFACTS to the folder that the workers share"
        )
    listed = artifacts.put(dump_lines(request.sources), media_type=JSON_LINES)
    return request.model_copy(update={"sources": [], "source_list": listed})
