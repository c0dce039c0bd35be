"""From bytes to text: one file per format.

`converter_for` finds the converter of a media type among the built-in ones and those that other
distributions register as entry points in the group `durable_ingest.converters`.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from durable_ingest import registry
from durable_ingest.errors import UnsupportedMediaType
from durable_ingest.ids import digest
from durable_ingest.ports import Converter

__all__ = ["converter_for", "converters_fingerprint", "readable_types"]

_FALLBACK = "plain"


def converter_for(media_type: str) -> Converter:
    """The converter that reads a media type; parameters such as `; charset=` are ignored.

    Types `text/*` that no converter names are read as plain text. The same object is returned
    each time.

    Raises:
        UnsupportedMediaType: No converter reads it; the message lists what is read.
    """
    wanted = media_type.split(";", 1)[0].strip().lower()
    for name in registry.names("converters"):
        converter = _converter(name)
        if wanted in converter.media_types:
            return converter
    if wanted.startswith("text/"):
        return _converter(_FALLBACK)
    raise UnsupportedMediaType(
        f"no converter reads {media_type!r}; read are {', '.join(readable_types())} "
        "and any other text/*"
    )


def converters_fingerprint(media_types: Iterable[str] | None = None) -> str:
    """One digest for several converters: it changes whenever any of their outputs would.

    Args:
        media_types: Only the converters of these types; None for all that are registered.

    Raises:
        UnsupportedMediaType: No converter reads one of `media_types`.
    """
    if media_types is None:
        chosen = [_converter(name) for name in registry.names("converters")]
    else:
        chosen = [converter_for(media_type) for media_type in media_types]
    return digest("converters", *sorted({converter.fingerprint for converter in chosen}))


def readable_types() -> list[str]:
    """All media types that have a converter of their own, sorted."""
    return sorted(
        media_type
        for name in registry.names("converters")
        for media_type in _converter(name).media_types
    )


@cache
def _converter(name: str) -> Converter:
    converter: Converter = registry.load("converters", name)()
    return converter
