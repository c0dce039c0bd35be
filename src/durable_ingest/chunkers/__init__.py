"""From text to chunks: one file per kind of chunker.

Whatever the kind: `text[chunk.start:chunk.end] == chunk.text`, offsets in code points; starts
ascend; what stands between chunks is white space; no chunk is empty or white space alone; no chunk
is over the limit; a grapheme cluster is cut only when it is over the limit by itself; the same
text gives the same chunks. `durable_ingest.conformance.chunker.ChunkerContract` proves it.
"""

from __future__ import annotations

from typing import Literal

from durable_ingest.chunkers.fixed import FixedChunker
from durable_ingest.chunkers.parameters import Length
from durable_ingest.chunkers.recursive import RecursiveChunker
from durable_ingest.chunkers.structure import StructureChunker
from durable_ingest.errors import InvalidInput
from durable_ingest.ports import Chunk, Tokenizer

__all__ = ["Chunk", "FixedChunker", "RecursiveChunker", "StructureChunker", "chunk_text"]

_KINDS: dict[str, type[StructureChunker | RecursiveChunker | FixedChunker]] = {
    "structure": StructureChunker,
    "recursive": RecursiveChunker,
    "fixed": FixedChunker,
}


def chunk_text(
    text: str,
    *,
    size: int,
    overlap: int = 0,
    length: Length = "characters",
    tokenizer: Tokenizer | None = None,
    media_type: Literal["text/markdown", "text/plain"] = "text/markdown",
    kind: Literal["structure", "recursive", "fixed"] = "structure",
    context: int = 0,
    title: str | None = None,
) -> list[Chunk]:
    """Cut a text into chunks of at most `size` units without losing any of it.

    Args:
        text: Any string.
        size: Most units of a chunk.
        overlap: Units that a chunk repeats of the one before it, at most.
        length: The unit: code points, or tokens of `tokenizer`.
        tokenizer: Counts tokens, see `durable_ingest.tokenizers.load_tokenizer`; when given,
            chunks carry their exact count whatever the unit.
        media_type: How `structure` reads the text.
        kind: `structure` follows the text, `recursive` splits at blank lines, lines and words,
            `fixed` cuts every `size` units.
        context: Most units of the context that is embedded before a chunk's text; 0 for none.
        title: The document's title, which heads the context.

    Returns:
        Chunks in order of `start`; none when the text is white space.

    Raises:
        InvalidInput: A parameter cannot be used.
        MissingExtra: `regex` is not installed.
    """
    chunker = _KINDS.get(kind)
    if chunker is None:
        raise InvalidInput(f"no chunker is called {kind!r}; there are: {', '.join(_KINDS)}")
    return chunker(
        size=size, overlap=overlap, length=length, tokenizer=tokenizer, context=context
    ).chunk(text, media_type=media_type, title=title)
