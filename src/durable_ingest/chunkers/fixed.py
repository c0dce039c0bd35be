"""Chunks of one size: windows over the text, whatever stands in it."""

from __future__ import annotations

from durable_ingest.chunkers.breaks import content_start, windows
from durable_ingest.chunkers.clusters import Clusters
from durable_ingest.chunkers.context import ContextWriter
from durable_ingest.chunkers.limits import Span, measure
from durable_ingest.chunkers.parameters import Length, Parameters
from durable_ingest.chunkers.recursive import halve_at
from durable_ingest.ports import Chunk, Tokenizer

__all__ = ["FixedChunker"]

_VERSION = 1


class FixedChunker:
    """Cuts every `size` units, moved only so far that no grapheme cluster is split.

    White space at the edges stays in the chunk; a window of nothing else is left out. Any edit
    moves all cuts after it: use it where chunks of one size matter more than that.

    Args:
        size: Most units of a chunk.
        overlap: Units that a chunk repeats of the one before it, at most.
        length: The unit.
        tokenizer: Counts tokens; required when they are the unit.
        context: Most units of the context, which is the document's title.

    Raises:
        InvalidInput: A parameter cannot be used.
    """

    def __init__(
        self,
        *,
        size: int,
        overlap: int = 0,
        length: Length = "characters",
        tokenizer: Tokenizer | None = None,
        context: int = 0,
    ) -> None:
        self._parameters = Parameters(
            kind="fixed",
            version=_VERSION,
            size=size,
            overlap=overlap,
            length=length,
            tokenizer=tokenizer,
            context=context,
        )

    @property
    def fingerprint(self) -> str:
        """Changes whenever any cut would change."""
        return self._parameters.fingerprint

    def chunk(
        self, text: str, *, media_type: str = "text/plain", title: str | None = None
    ) -> list[Chunk]:
        """Cut one document, in order of `start`; the media type makes no difference."""
        del media_type
        given, clusters = self._parameters, Clusters(text)
        units = measure(text, given)
        spans: list[Span] = [
            span
            for span in windows(
                0,
                len(text),
                size=given.size,
                overlap=given.overlap,
                units=units,
                clusters=clusters,
            )
            if content_start(text, *span) < span[1]
        ]
        context = ContextWriter(given, title=title).write()
        spans, counts = units.settle(spans, halve_at(text, clusters, ()))
        return [
            Chunk(text=text[start:end], start=start, end=end, tokens=tokens, context=context)
            for (start, end), tokens in zip(spans, counts, strict=True)
        ]
