"""What a request may reach: checked on the address that is really connected to.

The check sits in the network backend, below name resolution, connection pool and redirects: the
addresses of a host are looked up once, all of them are checked, and the connection is made to one
of those very addresses. A name that answers differently the next time gains nothing.
"""

from __future__ import annotations

import re
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import httpcore

from durable_ingest.errors import InvalidInput, SourceRefused
from durable_ingest.http.addresses import Address, is_metadata, is_public, literal

__all__ = ["Deadline", "GuardedBackend", "Resolver", "check_address", "check_url", "redacted"]

# What URL parsers treat differently from each other must not reach one.
_NO_HOST = re.compile(r"[\s\x00-\x20<>\"\\^`{|}%\x7f]")

Resolver = Callable[[str, int], list[str]]
"""Host and port to addresses; raises OSError when it cannot be looked up just now."""


def redacted(url: str) -> str:
    """The URL without user name and password, for messages."""
    head, separator, tail = url.partition("://")
    if not separator:
        return url
    authority, slash, rest = tail.partition("/")
    return head + separator + authority.rpartition("@")[2] + slash + rest


def check_url(url: str, *, allow_private: bool) -> None:
    """Refuse what can be refused without asking any name server.

    Raises:
        SourceRefused: Another scheme than http or https (`scheme`), a user name or password in
            the address (`userinfo`), or a literal address that is not allowed (`private-address`).
        InvalidInput: It is no web address at all.
    """
    shown = redacted(url)
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        if "@" in url:
            # Where the password ends cannot be told, so none of it is repeated, nor the reason.
            raise InvalidInput(
                f"an address that begins with {url.partition('://')[0]!r} is not a web address"
            ) from None
        raise InvalidInput(
            f"{shown!r} is not a web address: {error}; write it like 'https://host/page'"
        ) from error
    if parts.scheme not in ("http", "https"):
        raise SourceRefused(
            f"{shown!r} has the scheme {parts.scheme!r}; only http and https are read",
            rule="scheme",
        )
    if "@" in parts.netloc:
        raise SourceRefused(
            f"{shown!r} carries a user name or password; web addresses with credentials are not "
            "read, because they would be kept in logs and histories: remove them",
            rule="userinfo",
        )
    if not host:
        raise InvalidInput(f"{shown!r} names no host; write it like 'https://host/page'")
    address = literal(host)
    if address is not None:
        check_address(host, address, allow_private=allow_private)
    elif _NO_HOST.search(host):
        raise InvalidInput(f"{shown!r} names the host {host!r}, which no host can be called")


def check_address(host: str, address: Address, *, allow_private: bool) -> None:
    """Refuse an address that the worker may not reach.

    Raises:
        SourceRefused: With the rule `private-address`.
    """
    spoken = host if host.strip("[]") == str(address) else f"{host} ({address})"
    if is_metadata(address):
        raise SourceRefused(
            f"{spoken} is an address where clouds hand out credentials; it is never read",
            rule="private-address",
        )
    if not allow_private and not is_public(address):
        raise SourceRefused(
            f"{spoken} is not a public address: --allow-private, or the worker's setting "
            "allow_private_addresses, lets web sources reach private networks",
            rule="private-address",
        )


class Deadline:
    """A moment after which no network call of the running request may go on.

    Kept per thread, because one connection serves the requests of many threads in turn.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._local = threading.local()

    @contextmanager
    def until(self, expires: float) -> Iterator[None]:
        """Apply to all network calls made inside the block."""
        self._local.expires = expires
        try:
            yield
        finally:
            self._local.expires = None

    def cut(self, timeout: float | None, passed: type[httpcore.TimeoutException]) -> float | None:
        """The timeout, shortened to what is left.

        Raises:
            httpcore.TimeoutException: Nothing is left; as the class `passed`.
        """
        expires: float | None = getattr(self._local, "expires", None)
        if expires is None:
            return timeout
        left = expires - self._clock()
        if left <= 0:
            raise passed("the deadline of the request has passed")
        return left if timeout is None else min(timeout, left)


class GuardedBackend(httpcore.NetworkBackend):
    """Connects to checked addresses only, and to the very address that was checked.

    Attributes:
        allow_private: Let connections go to loopback and private networks.
        resolve: Looks up a host's addresses.
        inner: Makes the connections, given an address instead of a name.
        deadline: Ends reads that trickle.
    """

    def __init__(
        self,
        *,
        allow_private: bool,
        resolve: Resolver,
        inner: httpcore.NetworkBackend,
        deadline: Deadline,
    ) -> None:
        self.allow_private = allow_private
        self.resolve = resolve
        self.inner = inner
        self.deadline = deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Look up, check every address, connect to the first that answers.

        Raises:
            SourceRefused: One of the host's addresses is not allowed; none is connected to.
            SourceUnreadable: There is no such host.
            httpcore.ConnectError: The host could not be looked up or reached.
        """
        addresses = self._checked(host, port)
        failure: Exception = httpcore.ConnectError(f"{host!r} has no address")
        for address in addresses:
            try:
                stream = self.inner.connect_tcp(
                    address,
                    port,
                    timeout=self.deadline.cut(timeout, httpcore.ConnectTimeout),
                    local_address=local_address,
                    socket_options=socket_options,
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                return _DeadlineStream(stream, self.deadline)
        raise failure

    def _checked(self, host: str, port: int) -> list[str]:
        try:
            addresses = self.resolve(host, port)
        except OSError as error:
            raise httpcore.ConnectError(f"the host {host!r} could not be looked up: {error}") from (
                error
            )
        for address in addresses:
            check_address(host, ip_address(address), allow_private=self.allow_private)
        return addresses

    def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ARG002 - the signature is httpcore's
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002 - the signature is httpcore's
    ) -> httpcore.NetworkStream:
        """Refuse: no source is read over a local socket."""
        raise SourceRefused(f"local socket {path!r} is not read", rule="scheme")


class _DeadlineStream(httpcore.NetworkStream):
    """A connection whose every call ends at the deadline of the request that uses it."""

    def __init__(self, inner: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._inner = inner
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._deadline.cut(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._deadline.cut(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        left = self._deadline.cut(timeout, httpcore.ConnectTimeout)
        return _DeadlineStream(
            self._inner.start_tls(ssl_context, server_hostname, left), self._deadline
        )

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
