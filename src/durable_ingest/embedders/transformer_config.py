"""What the JSON files of a sentence-transformers model say about its vectors.

Read without torch, so that a job can be planned on a machine that never loads the weights.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from durable_ingest.embedders.model_files import TOKENIZER, ModelFiles
from durable_ingest.errors import InvalidInput
from durable_ingest.ids import canonical_json, digest

__all__ = ["TransformerConfig", "read_config"]

# They name where a model came from or how it was run, and change no vector.
_COSMETIC = frozenset(
    {"_name_or_path", "architectures", "transformers_version", "torch_dtype", "dtype", "use_cache"}
    | {"gradient_checkpointing"}
)
# Tokenizers without a stated limit carry a number near 1e30.
_NO_LIMIT = 1_000_000


@dataclass(frozen=True, slots=True)
class TransformerConfig:
    """Limits and fingerprint of a model.

    Attributes:
        dimension: Length of its vectors.
        max_tokens: Longest input, special tokens too; None if it has no limit.
        special_tokens: Tokens that are added to every input.
        fingerprint: Digest of the weights, tokenizer, pooling and limits.
    """

    dimension: int
    max_tokens: int | None
    special_tokens: int
    fingerprint: str


def read_config(files: ModelFiles, *, max_tokens: int | None = None) -> TransformerConfig:
    """Read a model's configuration.

    Args:
        files: The model.
        max_tokens: A lower limit of input length than the model's own, or None.

    Raises:
        InvalidInput: A file is no JSON, or the model's own limit is lower.
    """
    folder = files.folder
    config = _read(folder / "config.json")
    modules = _modules(folder)
    limit = _limit(folder, config)
    if max_tokens is not None:
        if limit is not None and max_tokens > limit:
            raise InvalidInput(
                f"max_tokens {max_tokens!r} is over the model's own limit of {limit} tokens"
            )
        limit = max_tokens
    decisive = {
        "files": dict(files.sha256),
        "config": {key: value for key, value in config.items() if key not in _COSMETIC},
        "modules": [[kind, settings] for kind, settings in modules],
        "max_tokens": limit,
        "normalised": True,
    }
    return TransformerConfig(
        dimension=_dimension(config, modules, folder),
        max_tokens=limit,
        special_tokens=_special_tokens(_read(folder / TOKENIZER).get("post_processor")),
        fingerprint=digest("sentence-transformers/1", canonical_json(decisive)),
    )


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise InvalidInput(f"{path} is no JSON ({error}): get the model again") from error
    return content if isinstance(content, dict) else {}


def _modules(folder: Path) -> list[tuple[str, dict[str, Any]]]:
    """The steps after the transformer by name, with their settings."""
    path = folder / "modules.json"
    if not path.is_file():
        return [("Pooling", {"pooling_mode_mean_tokens": True})]  # what the library falls back to
    try:
        listed = json.loads(path.read_bytes())
    except ValueError as error:
        raise InvalidInput(f"{path} is no JSON ({error}): get the model again") from error
    return [
        (one["type"].rpartition(".")[2], _read(folder / one["path"] / "config.json"))
        for one in listed
        if one["path"]
    ]


def _dimension(
    config: Mapping[str, Any], modules: list[tuple[str, dict[str, Any]]], folder: Path
) -> int:
    dimension = config.get("hidden_size") or config.get("d_model") or config.get("dim")
    for kind, settings in modules:
        if kind == "Pooling":
            width = settings.get("word_embedding_dimension") or settings.get("embedding_dimension")
            modes = sum(
                value is True for key, value in settings.items() if key.startswith("pooling_mode_")
            )
            dimension = (width or dimension or 0) * max(1, modes)
        elif kind == "Dense":
            dimension = settings.get("out_features", dimension)
    if not isinstance(dimension, int) or dimension < 1:
        raise InvalidInput(f"{folder} does not say how long the model's vectors are")
    return dimension


def _limit(folder: Path, config: Mapping[str, Any]) -> int | None:
    own = _read(folder / "sentence_bert_config.json").get("max_seq_length")
    if isinstance(own, int):
        return own
    limits = (
        _read(folder / "tokenizer_config.json").get("model_max_length"),
        config.get("max_position_embeddings"),
    )
    found = [int(one) for one in limits if isinstance(one, int | float) and 0 < one < _NO_LIMIT]
    return min(found, default=None)


def _special_tokens(processor: Any) -> int:
    """How many tokens a tokenizer's post-processor adds to a single input."""
    if not isinstance(processor, dict):
        return 0
    kind = processor.get("type")
    if kind == "TemplateProcessing":
        return sum("SpecialToken" in part for part in processor.get("single", ()))
    if kind in {"BertProcessing", "RobertaProcessing"}:
        return 2
    if kind == "Sequence":
        return sum(_special_tokens(one) for one in processor.get("processors", ()))
    return 0
