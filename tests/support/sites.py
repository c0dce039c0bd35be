"""A web site on loopback that answers as told."""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Answer:
    """One response; `times` uses, None for ever."""

    status: int
    body: bytes
    headers: Mapping[str, str]
    times: int | None


@dataclass
class Site:
    """Answers of a running site, in the order given; the last one stays."""

    port: int
    _answers: dict[str, deque[Answer]] = field(default_factory=lambda: defaultdict(deque))
    _requests: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    _used: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def url(self, path: str) -> str:
        """The address of a path."""
        return f"http://127.0.0.1:{self.port}{path}"

    def answer(
        self,
        path: str,
        *,
        status: int = 200,
        body: bytes = b"",
        media_type: str = "text/plain",
        headers: Mapping[str, str] | None = None,
        times: int | None = None,
    ) -> None:
        """Say how to answer a path after the answers given before are used up."""
        entry = Answer(status, body, {"Content-Type": media_type, **(headers or {})}, times)
        self._answers[path].append(entry)

    def requests(self, path: str) -> int:
        """How often a path was asked for."""
        return self._requests[path]

    def next(self, path: str) -> Answer:
        """The answer to the next request."""
        with self._lock:
            self._requests[path] += 1
            queue = self._answers.get(path)
            if not queue:
                return Answer(404, b"", {}, None)
            first = queue[0]
            self._used[path] += 1
            if first.times is not None and self._used[path] >= first.times and len(queue) > 1:
                queue.popleft()
                self._used[path] = 0
            return first


@contextmanager
def running_site() -> Iterator[Site]:
    """A site in a thread of this process."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = site.next(self.path)
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - inherited name
            """Keep test output free of request lines."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    site = Site(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
