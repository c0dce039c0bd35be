"""Embedding on this machine by the sentence-transformers library."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from durable_ingest._optional import require
from durable_ingest.embedders.model_files import TOKENIZER, ModelFiles, canonical_name, find_model
from durable_ingest.embedders.transformer_config import TransformerConfig, read_config
from durable_ingest.errors import InvalidInput
from durable_ingest.models import EmbedderInfo, EmbedderSpec
from durable_ingest.ports import Tick
from durable_ingest.settings import WorkerSettings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["SentenceTransformersEmbedder", "create"]

_BATCH = 32
_OPTIONS = frozenset({"device", "batch_size", "max_tokens"})


def create(spec: EmbedderSpec, settings: WorkerSettings) -> SentenceTransformersEmbedder:
    """Find the model's files and check them; the weights are loaded by the first `embed`.

    Options of the spec: `device` (`cpu`, `cuda`, `mps`; default: the best there is),
    `batch_size` (texts per pass, default 32), `max_tokens` (a limit below the model's own).

    Raises:
        InvalidInput: Unknown option, wrong dimension, or a model that no place has.
        ModelMismatch: The files found are not the published ones.
    """
    unknown = sorted(set(spec.options) - _OPTIONS)
    if unknown:
        raise InvalidInput(
            f"the sentence-transformers embedder has no options {unknown!r}; "
            f"it has {sorted(_OPTIONS)!r}"
        )
    device = spec.options.get("device")
    if device is not None and not isinstance(device, str):
        raise InvalidInput(f"option device must be a name such as 'cpu', not {device!r}")
    files = find_model(spec, settings)
    config = read_config(files, max_tokens=_count(spec, "max_tokens"))
    if spec.dimension not in {None, config.dimension}:
        raise InvalidInput(
            f"model {spec.model!r} has vectors of dimension {config.dimension}, not "
            f"{spec.dimension!r}: leave the dimension out"
        )
    return SentenceTransformersEmbedder(
        name=canonical_name(spec.model),
        files=files,
        config=config,
        device=device,
        batch_size=_count(spec, "batch_size") or _BATCH,
    )


def _count(spec: EmbedderSpec, name: str) -> int | None:
    value = spec.options.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidInput(f"option {name} must be a whole number from 1, not {value!r}")
    return value


class SentenceTransformersEmbedder:
    """A sentence-transformers model; several threads may call it, one is served at a time.

    Vectors are float32 of unit length and differ by less than 1e-5 per component between
    batches of other composition. Inputs over the model's limit are cut off by the model: counting
    tokens beforehand is the caller's part.
    """

    def __init__(
        self,
        *,
        name: str,
        files: ModelFiles,
        config: TransformerConfig,
        device: str | None = None,
        batch_size: int = _BATCH,
    ) -> None:
        self._name = name
        self._files = files
        self._config = config
        self._device = device
        self._batch_size = batch_size
        self._lock = threading.Lock()
        self._model: Any = None

    @property
    def files(self) -> ModelFiles:
        """Where the model was found."""
        return self._files

    def describe(self) -> EmbedderInfo:
        """Model, limits and fingerprint, from its JSON files alone."""
        return EmbedderInfo(
            fingerprint=self._config.fingerprint,
            model=self._name,
            dimension=self._config.dimension,
            max_tokens=self._config.max_tokens,
            special_tokens=self._config.special_tokens,
            normalised=True,
        )

    def tokenizer_json(self) -> bytes | None:
        """The model's `tokenizer.json`, verbatim."""
        return (self._files.folder / TOKENIZER).read_bytes()

    def embed(self, texts: Sequence[str], *, tick: Tick | None = None) -> NDArray[np.float32]:
        """Embed texts as given; no prompt of the model's own configuration is added.

        Returns:
            Contiguous `(len(texts), dimension)` float32 of unit length, in the order of `texts`.

        Raises:
            MissingExtra: sentence-transformers or torch is not installed.
        """
        numpy = require("numpy", extra="local")
        shape = (len(texts), self._config.dimension)
        out: NDArray[np.float32] = numpy.empty(shape, dtype=numpy.float32)
        # Equal lengths share a batch: padding is computed like text. Longest first, so that a
        # batch too large for the device fails at once.
        order = sorted(range(len(texts)), key=lambda row: -len(texts[row]))
        for begin in range(0, len(order), self._batch_size):
            rows = order[begin : begin + self._batch_size]
            with self._lock:
                if self._model is None:
                    self._model = self._load()
                out[rows] = self._model.encode(
                    [texts[row] for row in rows],
                    prompt="",
                    batch_size=self._batch_size,
                    show_progress_bar=False,
                    convert_to_numpy=True,
                    normalize_embeddings=True,
                )
            if tick is not None:
                tick(begin + len(rows))
        return out

    def _load(self) -> Any:
        with warnings.catch_warnings():
            # Importing torch and its friends warns about their own internals; nothing of it is
            # about the model or the caller.
            warnings.simplefilter("ignore", DeprecationWarning)
            warnings.simplefilter("ignore", FutureWarning)
            library = require(
                "sentence_transformers", extra="local", distribution="sentence-transformers"
            )
            with _no_progress_bar():
                model = library.SentenceTransformer(
                    str(self._files.folder),
                    device=self._device,
                    local_files_only=True,
                    trust_remote_code=False,
                    model_kwargs={"use_safetensors": True},
                )
        model.max_seq_length = self._config.max_tokens or model.max_seq_length
        model.float()
        model.eval()
        return model


@contextmanager
def _no_progress_bar() -> Iterator[None]:
    """Keep the library from drawing on the terminal while it reads the weights."""
    logging = require("transformers.utils.logging", extra="local", distribution="transformers")
    drawn = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if drawn:
            logging.enable_progress_bar()
