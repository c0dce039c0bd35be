"""Names of adapters to the code behind them.

One line adds an adapter: its registry name and `module:attribute` of a factory. Modules are
imported when first asked for. Other distributions add theirs by entry points in the groups
`durable_ingest.sources`, `.converters`, `.chunkers`, `.embedders` and `.stores`; a built-in name
cannot be taken over.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Any

from durable_ingest.errors import InvalidInput

SOURCES: Mapping[str, str] = MappingProxyType(
    {
        "files": "durable_ingest.sources.files:FileSource",
        "web": "durable_ingest.sources.web:WebSource",
    }
)
CONVERTERS: Mapping[str, str] = MappingProxyType(
    {
        "html": "durable_ingest.converters.html:HtmlConverter",
        "markdown": "durable_ingest.converters.markdown:MarkdownConverter",
        "plain": "durable_ingest.converters.plain:PlainConverter",
    }
)
CHUNKERS: Mapping[str, str] = MappingProxyType(
    {
        "structure": "durable_ingest.chunkers.structure:StructureChunker",
        "recursive": "durable_ingest.chunkers.recursive:RecursiveChunker",
        "fixed": "durable_ingest.chunkers.fixed:FixedChunker",
    }
)
EMBEDDERS: Mapping[str, str] = MappingProxyType(
    {
        "sentence-transformers": "durable_ingest.embedders.sentence_transformers:create",
        "openai": "durable_ingest.embedders.openai:create",
        "hashing": "durable_ingest.embedders.hashing:create",
    }
)
STORES: Mapping[str, str] = MappingProxyType(
    {
        "faiss": "durable_ingest.stores.faiss:FaissStore",
    }
)

_BUILT_IN: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "sources": SOURCES,
        "converters": CONVERTERS,
        "chunkers": CHUNKERS,
        "embedders": EMBEDDERS,
        "stores": STORES,
    }
)


def names(port: str) -> list[str]:
    """All names of a port, built-in ones first."""
    return [*_BUILT_IN[port], *sorted(set(_third_party(port)) - set(_BUILT_IN[port]))]


@cache
def load(port: str, name: str) -> Any:
    """The factory behind a name.

    Args:
        port: `sources`, `converters`, `chunkers`, `embedders` or `stores`.
        name: Registry name.

    Raises:
        InvalidInput: No adapter has this name; the message lists those that exist.
    """
    target = _BUILT_IN[port].get(name)
    if target is not None:
        module, _, attribute = target.partition(":")
        return getattr(importlib.import_module(module), attribute)
    found = _third_party(port).get(name)
    if found is not None:
        return found.load()
    raise InvalidInput(f"no {port[:-1]} is called {name!r}; there are: {', '.join(names(port))}")


@cache
def _third_party(port: str) -> Mapping[str, Any]:
    return {point.name: point for point in entry_points(group=f"durable_ingest.{port}")}
