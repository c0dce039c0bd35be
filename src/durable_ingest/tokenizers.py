"""The tokenizer of a model, counted exactly: an adapter over the `tokenizers` library.

Chunk limits in tokens mean something only if they are counted by the tokenizer of the model that
reads the chunks. A `tokenizer.json` is all that takes; no weights are loaded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from durable_ingest._optional import require
from durable_ingest.errors import InvalidInput
from durable_ingest.ids import sha256
from durable_ingest.ports import Encoding, Tokenizer

__all__ = ["load_tokenizer"]

_SURROGATES = re.compile("[\ud800-\udfff]")


class _JsonTokenizer:
    """A tokenizer made from `tokenizer.json`; see `load_tokenizer`.

    Attributes:
        space_safe: No token ever reaches over a blank, tab or line end, and none depends on
            what stands beyond one: counts of texts that are cut there add up.
    """

    def __init__(self, backend: Any, *, fingerprint: str, space_safe: bool) -> None:
        self._backend = backend
        self._fingerprint = fingerprint
        self.space_safe = space_safe

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the `tokenizer.json`, 64 hexadecimal digits."""
        return self._fingerprint

    def encode(self, text: str) -> Encoding:
        """Encode without special tokens, truncation or padding; offsets are code points."""
        encoded = self._backend.encode(_readable(text), add_special_tokens=False)
        return Encoding(ids=encoded.ids, offsets=encoded.offsets)

    def count_batch(self, texts: Sequence[str]) -> list[int]:
        """Token counts, by as many threads as the library likes."""
        encoded = self._backend.encode_batch_fast(
            [_readable(text) for text in texts], add_special_tokens=False
        )
        return [len(each) for each in encoded]


def load_tokenizer(source: Path | bytes) -> Tokenizer:
    """A tokenizer that counts as the model does, its special tokens left out.

    Truncation and padding that the file asks for are switched off. Lone surrogates, which the
    library refuses, are counted as U+FFFD; offsets stay right, for both are one code point.

    Args:
        source: A `tokenizer.json`: its path or its bytes.

    Raises:
        MissingExtra: `tokenizers` is not installed.
        InvalidInput: The file cannot be read, or is no `tokenizer.json`.
    """
    library = require("tokenizers", extra="local")
    if isinstance(source, bytes):
        data, name = source, "the given bytes"
    else:
        name = repr(str(source))
        try:
            data = source.read_bytes()
        except OSError as error:
            raise InvalidInput(
                f"cannot read the tokenizer {name}: {error.strerror}; give the path of the "
                "model's tokenizer.json"
            ) from error
    try:
        description = json.loads(data)
        backend = library.Tokenizer.from_buffer(data)
    except Exception as error:  # the library raises bare Exception
        raise InvalidInput(
            f"{name} cannot be read as a tokenizer.json: {error}; give the file of that name "
            "that comes with the model"
        ) from error
    backend.no_truncation()
    backend.no_padding()
    return _JsonTokenizer(backend, fingerprint=sha256(data), space_safe=_is_space_safe(description))


def _readable(text: str) -> str:
    return text if text.isascii() else _SURROGATES.sub("\ufffd", text)


def _is_space_safe(description: Any) -> bool:
    """Whether white space separates tokens whatever stands around it: BERT's way.

    BERT's pre-tokenizer splits at white space and drops it, its normaliser works within words,
    and WordPiece sees one word at a time. Other designs glue the space to the word after it.
    """
    normalizer = description.get("normalizer") or {"type": "BertNormalizer"}
    pre_tokenizer = description.get("pre_tokenizer") or {}
    model = description.get("model") or {}
    return (
        normalizer.get("type") == "BertNormalizer"
        and pre_tokenizer.get("type") == "BertPreTokenizer"
        and model.get("type") == "WordPiece"
        and all(
            not re.search(r"\s", token.get("content", ""))
            for token in description.get("added_tokens") or ()
        )
    )
