"""What every embedder promises, as tests.

```python
class TestMyEmbedder(EmbedderContract):
    def create(self) -> Embedder:
        return MyEmbedder()
```
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np

from durable_ingest.ports import Embedder

__all__ = ["EmbedderContract"]


class EmbedderContract:
    """Inherit it in a test class and say how to create the embedder.

    Attributes:
        texts: Different texts of different lengths, one of them empty.
        tolerance: Largest difference per component between two ways to embed the same text.
    """

    texts: Sequence[str] = (
        "The worker resumes where it stopped.",
        "ok",
        "",
        "Die Katze liegt auf dem Sofa und schläft.",
        "A longer passage. " * 12,
        "日本語の文章です。",
        "The worker resumes where it stopped!",
    )
    tolerance: float = 1e-5

    @abstractmethod
    def create(self) -> Embedder:
        """A new embedder; it may share loaded weights with earlier ones."""

    def test_fulfils_the_port(self) -> None:
        """It has the port's methods."""
        assert isinstance(self.create(), Embedder)

    def test_describe_is_stable_and_leaves_the_tokenizer_to_the_caller(self) -> None:
        """What an embedder says of itself does not change by using it."""
        embedder = self.create()
        before = embedder.describe()
        embedder.embed(list(self.texts[:2]))
        assert before == embedder.describe()
        assert before == self.create().describe()
        assert before.fingerprint
        assert before.tokenizer is None

    def test_rows_are_contiguous_float32_of_the_described_dimension(self) -> None:
        """The result can be handed to an index as it is."""
        embedder = self.create()
        vectors = embedder.embed(list(self.texts))
        assert vectors.shape == (len(self.texts), embedder.describe().dimension)
        assert vectors.dtype == np.float32
        assert vectors.flags.c_contiguous
        assert bool(np.isfinite(vectors).all())

    def test_no_texts_give_no_rows(self) -> None:
        """An empty batch keeps its dimension."""
        embedder = self.create()
        vectors = embedder.embed([])
        assert vectors.shape == (0, embedder.describe().dimension)
        assert vectors.dtype == np.float32

    def test_normalised_vectors_have_unit_length(self) -> None:
        """`normalised` is true of every row, that of the empty text too."""
        embedder = self.create()
        if not embedder.describe().normalised:
            return
        lengths = np.linalg.norm(embedder.embed(list(self.texts)).astype(np.float64), axis=1)
        assert float(np.abs(lengths - 1.0).max()) < 1e-5

    def test_row_belongs_to_the_text_of_the_same_place(self) -> None:
        """Sorting inside the embedder does not show."""
        embedder = self.create()
        forward = embedder.embed(list(self.texts))
        backward = embedder.embed(list(reversed(self.texts)))[::-1]
        assert float(np.abs(forward - backward).max()) <= self.tolerance

    def test_vector_does_not_depend_on_the_other_texts_of_the_call(self) -> None:
        """A vector can be kept under its text."""
        embedder = self.create()
        together = embedder.embed(list(self.texts))
        alone = np.concatenate([embedder.embed([text]) for text in self.texts])
        assert float(np.abs(together - alone).max()) <= self.tolerance

    def test_same_texts_give_the_same_vectors(self) -> None:
        """Two instances agree."""
        first = self.create().embed(list(self.texts))
        second = self.create().embed(list(self.texts))
        assert float(np.abs(first - second).max()) <= self.tolerance

    def test_different_texts_give_different_vectors(self) -> None:
        """It looks at the text at all."""
        vectors = self.create().embed([self.texts[0], self.texts[3]])
        assert float(np.abs(vectors[0] - vectors[1]).max()) > self.tolerance

    def test_tick_rises_to_the_number_of_texts(self) -> None:
        """Progress never goes back and ends at the number of texts."""
        seen: list[int] = []
        texts = list(self.texts) * 20
        self.create().embed(texts, tick=seen.append)
        assert seen
        assert seen == sorted(seen)
        assert seen[-1] == len(texts)
