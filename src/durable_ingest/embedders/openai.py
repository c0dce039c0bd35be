"""Embedding by a service that speaks OpenAI's `POST /embeddings`."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

import httpx

from durable_ingest._optional import require
from durable_ingest.embedders.credentials import read_key
from durable_ingest.embedders.openai_wire import ATTEMPTS, Service
from durable_ingest.errors import EmbedderRejected, InvalidInput
from durable_ingest.ids import digest
from durable_ingest.models import EmbedderInfo, EmbedderSpec
from durable_ingest.ports import Tick
from durable_ingest.settings import WorkerSettings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["OpenAIEmbedder", "create"]

DEFAULT_URL = "https://api.openai.com/v1"
_OPTIONS = frozenset(
    {"base_url", "api_key", "batch_size", "batch_characters", "timeout", "send_dimensions"}
    | {"max_tokens"}
)
_BATCH = 128
# The service takes 300,000 tokens a request; even one token per character stays well below.
_BATCH_CHARACTERS = 200_000
_TIMEOUT = 60.0


@dataclass(frozen=True, slots=True)
class _Known:
    """Published properties of a model: full dimension, longest input, whether it can be shorter."""

    dimension: int
    max_tokens: int
    shortens: bool


_MODELS = {
    "text-embedding-3-small": _Known(1536, 8191, shortens=True),
    "text-embedding-3-large": _Known(3072, 8191, shortens=True),
    "text-embedding-ada-002": _Known(1536, 8191, shortens=False),
}


@dataclass(frozen=True, slots=True)
class _Options:
    """Checked options of a spec."""

    base_url: str
    api_key: str | None
    batch_size: int
    batch_characters: int
    timeout: float
    send_dimensions: bool
    max_tokens: int | None


def create(spec: EmbedderSpec, settings: WorkerSettings) -> OpenAIEmbedder:
    """Check the spec; nothing is sent yet.

    Options of the spec: `base_url` (default: `$OPENAI_BASE_URL`, else OpenAI's own), `api_key`
    (`env:NAME` or `file:/path`, default `env:OPENAI_API_KEY`), `batch_size` (texts per request,
    128), `batch_characters` (200,000), `timeout` (seconds, 60), `max_tokens` (longest input the
    model takes) and `send_dimensions` (ask an unknown model for `dimension`).

    Raises:
        InvalidInput: An option is unknown or wrong, a key is given in clear or cannot be found,
            or the address is not one that the worker lists.
    """
    unknown = sorted(set(spec.options) - _OPTIONS)
    if unknown:
        raise InvalidInput(
            f"the openai embedder has no options {unknown!r}; it has {sorted(_OPTIONS)!r}"
        )
    known = _MODELS.get(spec.model)
    dimension = spec.dimension or (None if known is None else known.dimension)
    if known is not None and dimension != known.dimension and not known.shortens:
        raise InvalidInput(
            f"model {spec.model!r} has vectors of dimension {known.dimension}, not "
            f"{spec.dimension!r}: leave the dimension out"
        )
    if known is not None and spec.dimension is not None and spec.dimension > known.dimension:
        raise InvalidInput(
            f"model {spec.model!r} has vectors of at most {known.dimension} dimensions, not "
            f"{spec.dimension!r}"
        )
    options = _read_options(spec, settings)
    if known is not None:
        options = replace(
            options,
            send_dimensions=options.send_dimensions or dimension != known.dimension,
            max_tokens=options.max_tokens or known.max_tokens,
        )
    return OpenAIEmbedder(spec.model, options, dimension=dimension, revision=spec.revision)


def _read_options(spec: EmbedderSpec, settings: WorkerSettings) -> _Options:
    given = spec.options
    base_url = _base_url(given.get("base_url"), settings)
    reference = given.get("api_key")
    key = read_key(reference or "env:OPENAI_API_KEY", allowed_roots=settings.allowed_roots)
    if key is None and (reference is not None or base_url == DEFAULT_URL):
        raise InvalidInput(
            f"{reference or 'env:OPENAI_API_KEY'!s} is not set on this worker: set the variable "
            "where the worker runs, or name another one by option api_key"
        )
    return _Options(
        base_url=base_url,
        api_key=key,
        batch_size=_whole(given, "batch_size") or _BATCH,
        batch_characters=_whole(given, "batch_characters") or _BATCH_CHARACTERS,
        timeout=float(_whole(given, "timeout") or _TIMEOUT),
        send_dimensions=given.get("send_dimensions") is True,
        max_tokens=_whole(given, "max_tokens"),
    )


def _whole(given: dict[str, Any], name: str) -> int | None:
    value = given.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidInput(f"option {name} must be a whole number from 1, not {value!r}")
    return value


def _base_url(given: object, settings: WorkerSettings) -> str:
    """The address of the service: the worker's own, or one that the worker lists.

    A request that could name any address could have the worker's key sent there.
    """
    own = os.environ.get("OPENAI_BASE_URL", "").strip().rstrip("/")
    own = _checked("OPENAI_BASE_URL", own).geturl() if own else DEFAULT_URL
    if given is None:
        return own
    if not isinstance(given, str):
        raise InvalidInput(f"option base_url must be an address, not {given!r}")
    url = _checked("option base_url", given.strip().rstrip("/")).geturl()
    if url != own and url not in {listed.rstrip("/") for listed in settings.embedder_urls}:
        raise InvalidInput(
            f"option base_url {url!r} is not an address that this worker sends keys to: list it "
            "in DURABLE_INGEST_EMBEDDER_URLS where the worker runs, or leave the option out"
        )
    return url


def _checked(name: str, url: str) -> SplitResult:
    """Take an address apart; the messages never repeat it, since it may hold a password."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise InvalidInput(f"{name} must be an http or https address")
    if parts.username is not None or parts.password is not None or parts.query:
        raise InvalidInput(
            f"{name} must carry no user name, password or query: give the key by option api_key "
            "as 'env:NAME' or 'file:/path'"
        )
    return parts


class OpenAIEmbedder:
    """An OpenAI-compatible embedding service.

    Several threads may call it at the same time. Vectors are scaled to unit length here, whatever
    the service returns.
    """

    def __init__(
        self,
        model: str,
        options: _Options,
        *,
        dimension: int | None = None,
        revision: str | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._model = model
        self._options = options
        self._dimension = dimension
        self._revision = revision
        self._sleep = sleep
        self._lock = threading.Lock()

    def with_sleep(self, sleep: Callable[[float], None]) -> OpenAIEmbedder:
        """The same embedder, waiting between attempts by `sleep(seconds)`."""
        return OpenAIEmbedder(
            self._model,
            self._options,
            dimension=self._dimension,
            revision=self._revision,
            sleep=sleep,
        )

    def describe(self) -> EmbedderInfo:
        """Model, dimension and limits.

        The first call embeds one short text if neither the spec nor the table of known models
        says the dimension.

        Raises:
            EmbedderUnavailable: The service had to be asked and does not answer.
            EmbedderRejected: The service had to be asked and refuses.
        """
        dimension = self._known_dimension()
        return EmbedderInfo(
            fingerprint=digest(
                "openai/1",
                self._options.base_url,
                self._model,
                self._revision or "",
                str(dimension),
            ),
            model=self._model,
            dimension=dimension,
            max_tokens=self._options.max_tokens,
            special_tokens=0,
            normalised=True,
        )

    def tokenizer_json(self) -> bytes | None:
        """None: the service keeps its tokenizer, so chunk sizes are in characters."""
        return None

    def embed(self, texts: Sequence[str], *, tick: Tick | None = None) -> NDArray[np.float32]:
        """Embed texts; the empty text, which services refuse, is sent as one space.

        Returns:
            Contiguous `(len(texts), dimension)` float32 of unit length.

        Raises:
            EmbedderUnavailable: Rate limit, server error or no answer in three attempts.
            EmbedderRejected: Wrong key, unknown model, text too long, or an answer that does not
                fit the request.
        """
        numpy = require("numpy", extra="openai")
        dimension = self._known_dimension()
        out: NDArray[np.float32] = numpy.empty((len(texts), dimension), dtype=numpy.float32)
        done = 0
        with self._service() as service:
            for batch in self._batches(texts):
                rows = numpy.asarray(service.embed(batch), dtype=numpy.float64)
                if rows.shape[1] != dimension:
                    raise EmbedderRejected(
                        f"{self._model!r} at {self._options.base_url} returned vectors of "
                        f"dimension {rows.shape[1]}, not {dimension}: correct the dimension of "
                        "the request, or leave it out"
                    )
                out[done : done + len(batch)] = _unit_rows(numpy, rows, self._model)
                done += len(batch)
                if tick is not None:
                    tick(done)
        return out

    def _known_dimension(self) -> int:
        with self._lock:
            if self._dimension is None:
                with self._service() as service:
                    self._dimension = len(service.embed(["dimension"])[0])
            return self._dimension

    def _service(self) -> Service:
        options = self._options
        return Service(
            client=httpx.Client(timeout=options.timeout),
            url=f"{options.base_url}/embeddings",
            key=options.api_key,
            model=self._model,
            dimensions=self._dimension if options.send_dimensions else None,
            attempts=ATTEMPTS,
            sleep=self._sleep,
        )

    def _batches(self, texts: Sequence[str]) -> Iterator[list[str]]:
        batch: list[str] = []
        size = 0
        for text in texts:
            full = len(batch) >= self._options.batch_size
            if batch and (full or size + len(text) > self._options.batch_characters):
                yield batch
                batch, size = [], 0
            batch.append(text or " ")
            size += len(text)
        if batch:
            yield batch


def _unit_rows(numpy: Any, rows: Any, model: str) -> Any:
    lengths = numpy.linalg.norm(rows, axis=1, keepdims=True)
    if not bool(numpy.isfinite(lengths).all()) or not bool((lengths > 0).all()):
        raise EmbedderRejected(f"{model!r} returned a vector that is zero or not finite")
    return rows / lengths
