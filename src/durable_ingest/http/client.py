"""Reads one web address: guarded, bounded, redirected and retried by stated rules."""

from __future__ import annotations

import ssl
import time
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from types import TracebackType
from typing import NoReturn, Self

import httpcore
import httpx

from durable_ingest.errors import (
    InvalidInput,
    SourceMissing,
    SourceRefused,
    SourceUnavailable,
    SourceUnreadable,
)
from durable_ingest.http.addresses import resolve as resolve_by_system
from durable_ingest.http.body import ACCEPT_ENCODING, read_body
from durable_ingest.http.guard import Deadline, GuardedBackend, Resolver, check_url, redacted
from durable_ingest.http.retrying import LONGEST_WAIT, backoff, is_retryable, parse_retry_after
from durable_ingest.http.transport import PoolTransport
from durable_ingest.settings import WorkerSettings

__all__ = ["Head", "HttpClient", "HttpResponse"]

MAX_REDIRECTS = 10
_NOT_MODIFIED = 304
_MISSING = frozenset({404, 410})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_WITH_BODY = frozenset({200, 203})

_BROKEN = (
    httpx.TransportError,
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
)


@dataclass(frozen=True, slots=True)
class Head:
    """What is known of a document before its body is read.

    Attributes:
        url: Where it was found in the end.
        status: HTTP status.
        headers: Its headers.
    """

    url: str
    status: int
    headers: httpx.Headers


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A whole answer.

    Attributes:
        url: Where it was found in the end.
        status: 200, 203, or 304 when the request was conditional.
        headers: Its headers.
        content: The decoded body; empty for 304.
        redirects: Addresses that led there, the first one first.
    """

    url: str
    status: int
    headers: httpx.Headers
    content: bytes
    redirects: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a call of `get` asks for, the same on every hop."""

    headers: Mapping[str, str]
    max_bytes: int
    inspect: Callable[[Head], None] | None

    @property
    def conditional(self) -> bool:
        names = {name.lower() for name in self.headers}
        return not names.isdisjoint({"if-none-match", "if-modified-since"})


class _Busy(Exception):
    """The server asks to come back."""

    def __init__(self, message: str, retry_after: float | None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class HttpClient:
    """Reads web addresses for sources; several threads may share one.

    No cookies are kept, no environment proxy is used, certificates are verified. Waiting for a
    name server is bounded by the system's resolver alone, all else by the deadline.

    Args:
        settings: Limits, and whether private addresses may be reached.
        clock: Monotonic seconds, for the deadline.
        wall: Seconds since the epoch, for dates in `Retry-After`.
        sleep: Waits between tries.
        resolve: Looks up a host's addresses; the system's resolver by default.
        backend: Makes the connections, to addresses that were checked.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        resolve: Resolver = resolve_by_system,
        backend: httpcore.NetworkBackend | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._wall = wall
        self._sleep = sleep
        self._deadline = Deadline(clock)
        transport = PoolTransport(
            backend=GuardedBackend(
                allow_private=settings.allow_private_addresses,
                resolve=resolve,
                inner=httpcore.SyncBackend() if backend is None else backend,
                deadline=self._deadline,
            ),
            ssl_context=httpx.create_ssl_context(),
            max_connections=max(100, settings.http_concurrency),
        )
        self._client = httpx.Client(
            transport=transport,
            trust_env=False,
            follow_redirects=False,
            timeout=httpx.Timeout(settings.http_timeout, pool=settings.http_deadline),
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            headers={"User-Agent": settings.user_agent, "Accept-Encoding": ACCEPT_ENCODING},
        )
        # Idle connections are closed even if nobody calls `close`.
        self._close = weakref.finalize(self, self._client.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections; the client cannot be used after."""
        self._close()

    def get(
        self,
        url: str,
        *,
        max_bytes: int,
        headers: Mapping[str, str] | None = None,
        inspect: Callable[[Head], None] | None = None,
    ) -> HttpResponse:
        """Read one address, following redirects and trying again where that may help.

        Args:
            url: An http or https address without user name or password.
            max_bytes: Most bytes of the decoded body.
            headers: Sent with every hop, such as `If-None-Match`.
            inspect: Called with the final answer's head before its body is read; what it raises
                ends the request.

        Raises:
            SourceMissing: 404 or 410.
            SourceRefused: A safety rule: `scheme`, `userinfo`, `private-address` or
                `redirect-to-private`.
            SourceUnreadable: Another 4xx, a redirect loop, more than 10 redirects, an untrusted
                certificate, no such host, a damaged body.
            DocumentTooLarge: The body is over `max_bytes`.
            SourceUnavailable: 408, 425, 429, 5xx, a timeout or a lost connection, after
                `http_attempts` tries, past the deadline, or when the server asks for a longer
                wait than 30 s; `retry_after` says for how long.
            InvalidInput: It is no web address.
        """
        wanted = _Wanted(headers or {}, max_bytes, inspect)
        expires = self._clock() + self._settings.http_deadline
        attempt = 0
        while True:
            attempt += 1
            asked: float | None = None
            try:
                with self._deadline.until(expires):
                    return self._follow(url, wanted)
            except _Busy as busy:
                reason, asked = str(busy), busy.retry_after
                cause: Exception = busy
            except SourceUnavailable as error:
                reason, cause = str(error), error
            except _BROKEN as error:
                _raise_if_hopeless(url, error)
                reason = f"{url}: {_spoken(error)}"
                cause = error
            self._wait_or_give_up(attempt, reason, asked, expires, cause)

    def _wait_or_give_up(
        self, attempt: int, reason: str, asked: float | None, expires: float, cause: Exception
    ) -> None:
        if self._clock() >= expires:
            raise SourceUnavailable(
                f"{reason}; gave up after {self._settings.http_deadline:g} s, the deadline",
                retry_after=asked,
            ) from cause
        if attempt >= self._settings.http_attempts:
            raise SourceUnavailable(f"{reason}; tries: {attempt}", retry_after=asked) from cause
        wait = max(backoff(attempt), asked or 0.0)
        if wait > LONGEST_WAIT or self._clock() + wait >= expires:
            raise SourceUnavailable(
                f"{reason}; the next try is due in {wait:g} s", retry_after=asked or wait
            ) from cause
        self._sleep(wait)

    def _follow(self, start: str, wanted: _Wanted) -> HttpResponse:
        chain: list[str] = []
        url = start
        while True:
            answer = self._hop(url, chain, wanted)
            if isinstance(answer, HttpResponse):
                return answer
            chain.append(url)
            if answer in chain:
                raise SourceUnreadable(f"redirect loop: {' -> '.join([*chain, answer])}")
            if len(chain) > MAX_REDIRECTS:
                raise SourceUnreadable(
                    f"more than {MAX_REDIRECTS} redirects: {' -> '.join([*chain, answer])}"
                )
            url = answer

    def _hop(self, url: str, chain: list[str], wanted: _Wanted) -> HttpResponse | str:
        """Send one request: the whole answer, or the address that it redirects to."""
        try:
            check_url(url, allow_private=self._settings.allow_private_addresses)
            with self._client.stream("GET", url, headers=wanted.headers) as response:
                return self._read(url, response, chain, wanted)
        except SourceRefused as refusal:
            if chain and refusal.rule == "private-address":
                raise SourceRefused(
                    f"{' -> '.join([*chain, redacted(url)])}: {refusal}",
                    rule="redirect-to-private",
                ) from refusal
            raise
        except (httpx.InvalidURL, UnicodeError) as error:
            if chain:
                raise SourceUnreadable(
                    f"{chain[-1]} redirects to {url!r}, which is no web address: {error}"
                ) from error
            raise InvalidInput(f"{url!r} is not a web address: {error}") from error

    def _read(
        self, url: str, response: httpx.Response, chain: list[str], wanted: _Wanted
    ) -> HttpResponse | str:
        status = response.status_code
        if status in _REDIRECTS:
            return _target(url, response)
        if status == _NOT_MODIFIED and wanted.conditional:
            return HttpResponse(url, status, response.headers, b"", tuple(chain))
        if status not in _WITH_BODY:
            self._raise_for(url, response)
        if wanted.inspect is not None:
            wanted.inspect(Head(url, status, response.headers))
        content = read_body(
            response.iter_raw(),
            encoding=response.headers.get("Content-Encoding", ""),
            length=response.headers.get("Content-Length"),
            max_bytes=wanted.max_bytes,
            url=url,
        )
        return HttpResponse(url, status, response.headers, content, tuple(chain))

    def _raise_for(self, url: str, response: httpx.Response) -> NoReturn:
        status = response.status_code
        spoken = f"{url} answered {status} {response.reason_phrase}".rstrip()
        if status in _MISSING:
            raise SourceMissing(spoken)
        if is_retryable(status):
            header = response.headers.get("Retry-After")
            raise _Busy(spoken, parse_retry_after(header, now=self._wall()))
        raise SourceUnreadable(spoken)


def _target(url: str, response: httpx.Response) -> str:
    location = response.headers.get("Location")
    if not location:
        raise SourceUnreadable(f"{url} answered {response.status_code} without a Location")
    try:
        return str(httpx.URL(url).join(location).copy_with(fragment=None))
    except (httpx.InvalidURL, ValueError) as error:
        raise SourceUnreadable(
            f"{url} redirects to {location!r}, which is no web address: {error}"
        ) from error


def _raise_if_hopeless(url: str, error: Exception) -> None:
    if isinstance(error, (httpx.LocalProtocolError, httpcore.LocalProtocolError)):
        raise SourceUnreadable(f"{url}: the request cannot be sent: {error}") from error
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            raise SourceUnreadable(
                f"{url}: its certificate is not trusted: {cause.verify_message}"
            ) from error
        if isinstance(cause, httpx.InvalidURL):
            # httpx reads the Location header even when it is told to follow no redirect.
            raise SourceUnreadable(f"{url} redirects to no web address: {cause}") from error
        cause = cause.__cause__ or cause.__context__


def _spoken(error: Exception) -> str:
    kind = "timed out" if _is_timeout(error) else "connection failed"
    return f"{kind}: {error}" if str(error) else kind


def _is_timeout(error: Exception) -> bool:
    return isinstance(error, (httpx.TimeoutException, httpcore.TimeoutException))
