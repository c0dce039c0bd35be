"""How documents of a job are turned into chunks, resolved to exact settings and one fingerprint."""

from __future__ import annotations

from dataclasses import dataclass

from durable_ingest import registry
from durable_ingest.converters import converters_fingerprint
from durable_ingest.errors import InvalidInput
from durable_ingest.ids import canonical_json, digest
from durable_ingest.models import ChunkerSpec, DocumentRef, EmbedderInfo, EmbedderSpec
from durable_ingest.ports import Chunker, IndexSettings, Tokenizer
from durable_ingest.tokenizers import load_tokenizer

DEFAULT_CHARACTERS = 1000
"""Chunk size in characters when neither the request nor the model sets a limit."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides the chunks and vectors of a document.

    Attributes:
        chunker: Ready to cut.
        tokenizer: The embedder's own, None when it has none.
        embedder: What the embedder says of itself.
        prompt: Put before each passage.
        fingerprint: Of converters, chunker, embedder and prompt together.
    """

    chunker: Chunker
    tokenizer: Tokenizer | None
    embedder: EmbedderInfo
    prompt: str
    fingerprint: str

    @property
    def input_limit(self) -> int | None:
        """Most tokens of prompt, context and text together, special tokens left out."""
        if self.embedder.max_tokens is None:
            return None
        return self.embedder.max_tokens - self.embedder.special_tokens


def resolve(
    chunker: ChunkerSpec,
    embedder: EmbedderSpec,
    info: EmbedderInfo,
    tokenizer_json: bytes | None,
) -> Recipe:
    """Fill in what the request left open and build the chunker.

    The default chunk size is the model's limit less its special tokens, the prompt and the
    tokens kept free for context, so that no input is cut off unseen.

    Raises:
        InvalidInput: The settings contradict each other.
    """
    tokenizer = load_tokenizer(tokenizer_json) if tokenizer_json is not None else None
    length = chunker.length
    size = chunker.size
    if length == "tokens" and tokenizer is None:
        if size is not None:
            raise InvalidInput(
                f"chunk size {size!r} is in tokens, but {info.model!r} has no tokenizer here: "
                "give the size in characters"
            )
        length = "characters"
    if size is None:
        size = _default_size(chunker, embedder, info, tokenizer)
    context = chunker.context if length == "tokens" else chunker.context * 4
    cutter: Chunker = registry.load("chunkers", chunker.kind)(
        size=size,
        overlap=chunker.overlap,
        length=length,
        tokenizer=tokenizer,
        context=context,
    )
    fingerprint = digest(
        converters_fingerprint(), cutter.fingerprint, info.fingerprint, embedder.prompt
    )
    return Recipe(cutter, tokenizer, info, embedder.prompt, fingerprint)


def _default_size(
    chunker: ChunkerSpec, embedder: EmbedderSpec, info: EmbedderInfo, tokenizer: Tokenizer | None
) -> int:
    if chunker.length == "characters" or tokenizer is None or info.max_tokens is None:
        return DEFAULT_CHARACTERS
    prompt = len(tokenizer.encode(embedder.prompt).ids) if embedder.prompt else 0
    # One token more is kept free for the line break between context and text.
    size = info.max_tokens - info.special_tokens - prompt - chunker.context - 1
    if size < 1:
        raise InvalidInput(
            f"nothing is left for text: {info.model!r} reads {info.max_tokens} tokens, of which "
            f"{info.special_tokens} are special, {prompt} the prompt and {chunker.context} context"
        )
    return size


def document_fingerprint(recipe_fingerprint: str, ref: DocumentRef) -> str:
    """Of everything but the bytes that decides a document's rows, user's metadata included."""
    return digest(recipe_fingerprint, canonical_json(ref.metadata), ref.media_type or "")


def embedding_input(prompt: str, context: str, text: str) -> str:
    """What the model reads for a chunk."""
    return f"{prompt}{context}\n{text}" if context else f"{prompt}{text}"


def index_settings(info: EmbedderInfo, embedder: EmbedderSpec) -> IndexSettings:
    """What an index made with this embedder is bound to."""
    return IndexSettings(
        dimension=info.dimension,
        embedder=info.fingerprint,
        model=info.model,
        recipe=embedder.model_dump_json(),
    )
