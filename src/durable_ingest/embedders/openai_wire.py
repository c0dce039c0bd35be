"""Requests and answers of `POST /embeddings`, with retries."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Self

import httpx

from durable_ingest.errors import EmbedderRejected, EmbedderUnavailable

__all__ = ["ATTEMPTS", "Service"]

ATTEMPTS = 3
# Longer waits are left to whoever runs the stage: a thread that sleeps does no work.
_LONGEST_WAIT = 20.0
_FIRST_WAIT = 0.5
_RETRIED = frozenset({408, 409, 425, 429})
_SERVER_ERROR = 500
# Rate limit by status, but no waiting helps.
_FINAL_CODES = frozenset({"insufficient_quota", "billing_hard_limit_reached"})
_LONGEST_MESSAGE = 500


@dataclass(frozen=True, slots=True)
class Service:
    """An open connection to one embedding service.

    Attributes:
        client: Sends the requests; closed at the end of a `with` block.
        url: Full address.
        key: Sent as a bearer token; no message ever holds it.
        model: Sent with each request.
        dimensions: Sent if not None.
        attempts: How often a request is sent at most.
        sleep: Waits so many seconds.
    """

    client: httpx.Client
    url: str
    key: str | None
    model: str
    dimensions: int | None = None
    attempts: int = ATTEMPTS
    sleep: Callable[[float], None] = time.sleep

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.client.close()

    def embed(self, texts: list[str]) -> list[list[float]]:
        """Vectors of one request, in the order of `texts`, all of one dimension.

        Raises:
            EmbedderUnavailable: No good answer in so many attempts.
            EmbedderRejected: The service refused, or the answer does not fit the request.
        """
        body: dict[str, Any] = {"model": self.model, "input": texts, "encoding_format": "float"}
        if self.dimensions is not None:
            body["dimensions"] = self.dimensions
        return self._vectors(self._post(body), len(texts))

    def _post(self, body: dict[str, Any]) -> httpx.Response:
        headers = {} if self.key is None else {"Authorization": f"Bearer {self.key}"}
        wait = _FIRST_WAIT
        for attempt in range(1, self.attempts + 1):
            retry_after: float | None = None
            try:
                response = self.client.post(self.url, json=body, headers=headers)
            except httpx.TransportError as error:
                reason = f"{type(error).__name__}: {error}"
            else:
                if response.is_success:
                    return response
                reason = f"HTTP {response.status_code}: {self._message(response)}"
                if not _may_pass(response):
                    raise EmbedderRejected(f"{self.model!r} at {self.url} was refused, {reason}")
                retry_after = _retry_after(response)
            pause = wait if retry_after is None else retry_after
            if attempt == self.attempts or pause > _LONGEST_WAIT:
                raise EmbedderUnavailable(
                    f"{self.model!r} at {self.url} gave no answer, attempt {attempt} of "
                    f"{self.attempts}, {reason}",
                    retry_after=retry_after,
                )
            self.sleep(pause)
            wait *= 4
        raise AssertionError("attempts is at least 1")

    def _message(self, response: httpx.Response) -> str:
        """The service's own words, without the key in case it repeats it."""
        content = _json(response)
        message: object = None
        if isinstance(content, dict):
            error = content.get("error", content.get("detail", content.get("message")))
            message = error.get("message") if isinstance(error, dict) else error
        text = " ".join(str(message or response.text or response.reason_phrase).split())
        if self.key:
            text = text.replace(self.key, "[key]")
        return text[:_LONGEST_MESSAGE]

    def _vectors(self, response: httpx.Response, count: int) -> list[list[float]]:
        content = _json(response)
        data = content.get("data") if isinstance(content, dict) else None
        if not isinstance(data, list) or not all(isinstance(one, dict) for one in data):
            raise EmbedderRejected(
                f"{self.url} answered without a list 'data': is it an embeddings endpoint?"
            )
        rows: dict[int, list[float]] = {}
        for position, one in enumerate(data):
            index, vector = one.get("index", position), one.get("embedding")
            numbers = isinstance(vector, list) and all(_is_number(value) for value in vector)
            if isinstance(index, int) and numbers and vector:
                rows[index] = vector
        if len(data) != count or sorted(rows) != list(range(count)):
            raise EmbedderRejected(
                f"{self.url} answered with {len(data)} entries, {len(rows)} of them vectors of "
                f"different places, for {count} texts"
            )
        if len({len(vector) for vector in rows.values()}) != 1:
            raise EmbedderRejected(f"{self.url} answered with vectors of different dimensions")
        return [rows[index] for index in range(count)]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _json(response: httpx.Response) -> object:
    try:
        content: object = response.json()
    except ValueError:
        return None
    return content


def _may_pass(response: httpx.Response) -> bool:
    """Whether the same request may succeed later."""
    content = _json(response)
    error = content.get("error") if isinstance(content, dict) else None
    if isinstance(error, dict) and error.get("code") in _FINAL_CODES:
        return False
    return response.status_code in _RETRIED or response.status_code >= _SERVER_ERROR


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds that the service asks to wait, given as a number or as a date."""
    value = response.headers.get("retry-after", "").strip()
    if not value:
        return None
    if value.replace(".", "", 1).isdecimal():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None
