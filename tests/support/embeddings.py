"""An OpenAI-compatible embedding service on loopback, for what no test can reach."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DIMENSION = 1536


def vector_of(text: str) -> list[float]:
    """A fixed vector per text."""
    seed = hashlib.sha256(text.encode()).digest()
    return [(seed[place % 32] - 127.5) / 128 for place in range(DIMENSION)]


@contextmanager
def running_service(*, away: int = 0, retry_after: int = 0) -> Iterator[str]:
    """The service in a thread; yields its base address.

    Args:
        away: How many requests are answered by 429 first.
        retry_after: Seconds that those answers ask to wait.
    """
    refusals = deque(range(away))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            if refusals:
                refusals.pop()
                self.rfile.read(length)
                self.send_response(429)
                self.send_header("Retry-After", str(retry_after))
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            texts = json.loads(self.rfile.read(length))["input"]
            texts = [texts] if isinstance(texts, str) else texts
            data = [{"index": n, "embedding": vector_of(text)} for n, text in enumerate(texts)]
            body = json.dumps({"object": "list", "data": data}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - inherited name
            """Keep test output free of request lines."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
