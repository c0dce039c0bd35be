"""An embedder without a model: feature hashing of words and their parts.

Deterministic on every machine and quick, for tests and for trying things out. Texts that share
words, or parts of words, are near each other; meaning it does not know.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from durable_ingest._optional import require
from durable_ingest.errors import InvalidInput
from durable_ingest.ids import digest
from durable_ingest.models import EmbedderInfo, EmbedderSpec
from durable_ingest.ports import Tick
from durable_ingest.settings import WorkerSettings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["HashingEmbedder", "create"]

DEFAULT_DIMENSION = 256
_NAME = "hashing/1"
_WORD = re.compile(r"\w+")
_GRAM = 3
_STEP = 256
# Words seen once are rarely seen again: the memory of their features is emptied when this full.
_MOST_WORDS = 50_000


def create(spec: EmbedderSpec, settings: WorkerSettings) -> HashingEmbedder:
    """Create the embedder; `spec.dimension` sets its dimension, 256 without.

    Raises:
        InvalidInput: The spec has options; there are none.
    """
    del settings
    if spec.options:
        raise InvalidInput(
            f"the hashing embedder has no options, but {sorted(spec.options)!r} were given: "
            "leave them out"
        )
    return HashingEmbedder(spec.dimension or DEFAULT_DIMENSION)


class HashingEmbedder:
    """Adds up one signed unit per word and per three letters of it, then scales to length one.

    A text without any word is hashed as one piece; the empty text has a fixed vector.
    """

    def __init__(self, dimension: int = DEFAULT_DIMENSION) -> None:
        self._dimension = dimension
        self._features: dict[str, NDArray[np.intp]] = {}

    def describe(self) -> EmbedderInfo:
        """Name, dimension and fingerprint; it has no tokenizer and no limit of length."""
        return EmbedderInfo(
            fingerprint=digest(_NAME, str(self._dimension)),
            model=_NAME,
            dimension=self._dimension,
            max_tokens=None,
            special_tokens=0,
            normalised=True,
        )

    def tokenizer_json(self) -> bytes | None:
        """None: there is no tokenizer, so chunk sizes are in characters."""
        return None

    def embed(self, texts: Sequence[str], *, tick: Tick | None = None) -> NDArray[np.float32]:
        """Embed texts of any length.

        Returns:
            Contiguous `(len(texts), dimension)` float32 of unit length.

        Raises:
            MissingExtra: numpy is not installed.
        """
        numpy = require("numpy", extra="local")
        out: NDArray[np.float32] = numpy.empty((len(texts), self._dimension), dtype=numpy.float32)
        for row, text in enumerate(texts):
            out[row] = self._vector(numpy, text)
            if tick is not None and (row + 1 == len(texts) or (row + 1) % _STEP == 0):
                tick(row + 1)
        return out

    def _vector(self, numpy: Any, text: str) -> NDArray[np.float64]:
        words = _WORD.findall(text.casefold()) or [text.strip()]
        counts = numpy.bincount(
            numpy.concatenate([self._buckets(numpy, word) for word in words]),
            minlength=2 * self._dimension,
        )
        vector = (counts[: self._dimension] - counts[self._dimension :]).astype(numpy.float64)
        length = math.sqrt(float(vector @ vector))
        if not length:  # no text at all, or features that cancel out
            vector[0] = length = 1.0
        scaled: NDArray[np.float64] = vector / length
        return scaled

    def _buckets(self, numpy: Any, word: str) -> NDArray[np.intp]:
        """Places of a word's features; those of the upper half count downwards."""
        known = self._features.get(word)
        if known is None:
            padded = f"<{word}>" if word else ""
            features = [padded, *(padded[at : at + _GRAM] for at in range(len(padded) - _GRAM + 1))]
            known = numpy.array(
                [_bucket(feature, 2 * self._dimension) for feature in features if feature],
                dtype=numpy.intp,
            )
            if len(self._features) >= _MOST_WORDS:
                self._features.clear()
            self._features[word] = known
        return known


def _bucket(feature: str, buckets: int) -> int:
    hashed = hashlib.blake2b(feature.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(hashed, "big") % buckets
