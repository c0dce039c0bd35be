"""An httpx transport over httpcore's connection pool, with a network backend of our choice.

httpx's own transport offers no way to choose the network backend, which is where addresses are
checked. Errors of httpcore pass through as they are. `respx` replaces the pool's
`handle_request`, so a mocked request never reaches the backend, and no name is looked up.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Iterator

import httpcore
import httpx

__all__ = ["PoolTransport"]


class PoolTransport(httpx.BaseTransport):
    """Sends requests through a connection pool that several threads may share."""

    def __init__(
        self,
        *,
        backend: httpcore.NetworkBackend,
        ssl_context: ssl.SSLContext,
        max_connections: int,
    ) -> None:
        self._pool = httpcore.ConnectionPool(
            ssl_context=ssl_context,
            max_connections=max_connections,
            keepalive_expiry=5.0,
            network_backend=backend,
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; the response's body has not been read yet."""
        if not isinstance(request.stream, httpx.SyncByteStream):
            raise TypeError(f"a synchronous request body is needed, not {request.stream!r}")
        response = self._pool.handle_request(
            httpcore.Request(
                method=request.method,
                url=httpcore.URL(
                    scheme=request.url.raw_scheme,
                    host=request.url.raw_host,
                    port=request.url.port,
                    target=request.url.raw_path,
                ),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        if not isinstance(response.stream, Iterable):
            raise TypeError(f"a synchronous response body is needed, not {response.stream!r}")
        return httpx.Response(
            status_code=response.status,
            headers=response.headers,
            stream=_Body(response.stream),
            extensions=response.extensions,
        )

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()


class _Body(httpx.SyncByteStream):
    def __init__(self, stream: Iterable[bytes]) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        yield from self._stream

    def close(self) -> None:
        close = getattr(self._stream, "close", None)
        if close is not None:
            close()
