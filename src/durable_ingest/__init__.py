"""Durable document ingestion on Temporal; see `durable_ingest.testing` for the harness.

Exports are loaded when first used (PEP 562), so that `import durable_ingest` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from durable_ingest.models import IngestReport, IngestRequest, SourceSpec
    from durable_ingest.pipeline.index import Index
    from durable_ingest.pipeline.run import aingest, ingest
    from durable_ingest.plugin import DurableIngestPlugin
    from durable_ingest.ports import SearchFilter, SearchHit

__version__ = "0.1.0.dev0"

_EXPORTS = {
    "DurableIngestPlugin": "durable_ingest.plugin",
    "Index": "durable_ingest.pipeline.index",
    "IngestReport": "durable_ingest.models",
    "IngestRequest": "durable_ingest.models",
    "SearchFilter": "durable_ingest.ports",
    "SearchHit": "durable_ingest.ports",
    "SourceSpec": "durable_ingest.models",
    "aingest": "durable_ingest.pipeline.run",
    "ingest": "durable_ingest.pipeline.run",
}

__all__ = [
    "DurableIngestPlugin",
    "Index",
    "IngestReport",
    "IngestRequest",
    "SearchFilter",
    "SearchHit",
    "SourceSpec",
    "__version__",
    "aingest",
    "ingest",
]


def __getattr__(name: str) -> Any:
    module = _EXPORTS.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
