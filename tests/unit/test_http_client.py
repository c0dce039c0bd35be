"""Redirects, limits and deadlines of the HTTP client."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from durable_ingest.errors import (
    DocumentTooLarge,
    InvalidInput,
    SourceMissing,
    SourceUnavailable,
    SourceUnreadable,
    UnsupportedMediaType,
)
from durable_ingest.http import Head, HttpClient
from durable_ingest.settings import WorkerSettings

URL = "https://site.example/page"
LIMIT = 10_000
NOW = 1_767_225_600.0  # Thu, 01 Jan 2026 00:00:00 GMT


@dataclass
class Clock:
    """Time that passes only when someone sleeps."""

    now: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


Handler = BaseHTTPRequestHandler
Respond = Callable[[Handler], None]


@dataclass
class Site:
    """A real server on loopback; each path has a function that answers."""

    port: int
    paths: dict[str, Respond] = field(default_factory=dict)
    seen: list[dict[str, str]] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"


class QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """A client that hangs up is the normal case here."""


@pytest.fixture
def site() -> Iterator[Site]:
    class Answers(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            here.seen.append({name.lower(): value for name, value in self.headers.items()})
            here.paths[self.path](self)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - inherited name
            """Keep test output free of request lines."""

    server = QuietServer(("127.0.0.1", 0), Answers)
    here = Site(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield here
    finally:
        here.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()


def answer(body: bytes = b"", status: int = 200, **headers: str) -> Respond:
    def respond(handler: Handler) -> None:
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return respond


def redirect(target: str, status: int = 302) -> Respond:
    return answer(status=status, Location=target)


MakeClient = Callable[..., HttpClient]


@pytest.fixture
def make_client() -> Iterator[MakeClient]:
    clients: list[HttpClient] = []

    def make(clock: Clock | None = None, **settings: Any) -> HttpClient:
        fields = {"allow_private_addresses": True, "http_timeout": 5.0, **settings}
        parts: dict[str, Any] = {} if clock is None else {"clock": clock, "sleep": clock.sleep}
        clients.append(HttpClient(WorkerSettings(**fields), wall=lambda: NOW, **parts))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


def test_a_body_that_ends_early_is_read_again(make_client: MakeClient, site: Site) -> None:
    tries: list[int] = []

    def respond(handler: Handler) -> None:
        tries.append(1)
        if len(tries) > 1:
            answer(b"whole text")(handler)
            return
        handler.send_response(200)
        handler.send_header("Content-Length", "10")
        handler.end_headers()
        handler.wfile.write(b"whole")
        handler.close_connection = True

    site.paths["/"] = respond
    clock = Clock()
    response = make_client(clock).get(site.url("/"), max_bytes=LIMIT)
    assert (response.content, len(clock.slept)) == (b"whole text", 1)


def test_gzip_that_ends_early_is_read_again(make_client: MakeClient, site: Site) -> None:
    packed = gzip.compress(b"whole text")
    bodies = [packed[:-3], packed]

    def respond(handler: Handler) -> None:
        answer(bodies.pop(0), Content_Encoding="gzip")(handler)

    site.paths["/"] = respond
    clock = Clock()
    response = make_client(clock).get(site.url("/"), max_bytes=LIMIT)
    assert (response.content, len(clock.slept)) == (b"whole text", 1)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed_to_the_end(
    make_client: MakeClient, site: Site, status: int
) -> None:
    site.paths["/a"] = redirect("b?q=1#part", status)
    site.paths["/b?q=1"] = redirect(site.url("/c"), status)
    site.paths["/c"] = answer(b"text")
    response = make_client().get(site.url("/a"), max_bytes=LIMIT)
    assert (b"text", site.url("/c"), (site.url("/a"), site.url("/b?q=1"))) == (
        response.content,
        response.url,
        response.redirects,
    )


def test_a_redirect_loop_names_its_addresses(make_client: MakeClient, site: Site) -> None:
    site.paths["/a"] = redirect("/b")
    site.paths["/b"] = redirect("/a")
    with pytest.raises(SourceUnreadable) as caught:
        make_client().get(site.url("/a"), max_bytes=LIMIT)
    chain = " -> ".join([site.url("/a"), site.url("/b"), site.url("/a")])
    assert str(caught.value) == f"redirect loop: {chain}"
    assert len(site.seen) == 2


def test_an_address_that_redirects_to_itself_is_a_loop(make_client: MakeClient, site: Site) -> None:
    site.paths["/a"] = redirect("/a")
    with pytest.raises(SourceUnreadable, match="redirect loop"):
        make_client().get(site.url("/a"), max_bytes=LIMIT)


@pytest.mark.parametrize(("hops", "good"), [(10, True), (11, False)])
def test_ten_redirects_are_followed_and_no_more(
    make_client: MakeClient, site: Site, hops: int, good: bool
) -> None:
    for hop in range(hops):
        site.paths[f"/{hop}"] = redirect(f"/{hop + 1}")
    site.paths[f"/{hops}"] = answer(b"text")
    if good:
        response = make_client().get(site.url("/0"), max_bytes=LIMIT)
        assert len(response.redirects) == 10
    else:
        with pytest.raises(SourceUnreadable, match="more than 10 redirects"):
            make_client().get(site.url("/0"), max_bytes=LIMIT)


@pytest.mark.parametrize("location", ["", "http://[::1", "http://site.example:x/", "http://"])
def test_a_redirect_to_nowhere_is_terminal(
    make_client: MakeClient, site: Site, location: str
) -> None:
    site.paths["/a"] = redirect(location)
    with pytest.raises((SourceUnreadable, InvalidInput)):
        make_client().get(site.url("/a"), max_bytes=LIMIT)


def test_a_redirect_that_leads_to_a_missing_page_is_missing(
    make_client: MakeClient, site: Site
) -> None:
    site.paths["/a"] = redirect("/gone")
    site.paths["/gone"] = answer(status=410)
    with pytest.raises(SourceMissing, match=r"/gone answered 410"):
        make_client().get(site.url("/a"), max_bytes=LIMIT)


def endless(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    while True:
        handler.wfile.write(b"400\r\n" + b"x" * 1024 + b"\r\n")


def test_an_endless_body_is_cut_at_the_limit(make_client: MakeClient, site: Site) -> None:
    site.paths["/endless"] = endless
    with pytest.raises(DocumentTooLarge, match=f"more than {LIMIT} bytes"):
        make_client().get(site.url("/endless"), max_bytes=LIMIT)
    assert len(site.seen) == 1


@pytest.mark.parametrize(("size", "good"), [(LIMIT, True), (LIMIT + 1, False)])
def test_the_limit_itself_is_allowed(
    make_client: MakeClient, site: Site, size: int, good: bool
) -> None:
    site.paths["/"] = answer(b"x" * size)
    client = make_client()
    if good:
        assert len(client.get(site.url("/"), max_bytes=LIMIT).content) == size
    else:
        with pytest.raises(DocumentTooLarge, match=f"has {size} bytes"):
            client.get(site.url("/"), max_bytes=LIMIT)


def test_a_compressed_page_is_unpacked_and_a_bomb_is_cut(
    make_client: MakeClient, site: Site
) -> None:
    site.paths["/page"] = answer(gzip.compress(b"text"), Content_Encoding="gzip")
    site.paths["/bomb"] = answer(gzip.compress(bytes(50_000_000), 9), Content_Encoding="gzip")
    client = make_client()
    assert client.get(site.url("/page"), max_bytes=LIMIT).content == b"text"
    with pytest.raises(DocumentTooLarge):
        client.get(site.url("/bomb"), max_bytes=1_000_000)
    assert [seen["accept-encoding"] for seen in site.seen] == ["gzip", "gzip"]


def drip(site: Site, head: bytes, forever: bytes) -> Respond:
    """Send a byte now and then, more often than any timeout allows, until the test is over."""

    def respond(handler: Handler) -> None:
        handler.wfile.write(head)
        while not site.closing.wait(0.05):
            handler.wfile.write(forever)
            handler.wfile.flush()

    return respond


@pytest.mark.parametrize(
    ("head", "forever"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
        (b"", b"H"),
    ],
    ids=["body", "chunks", "headers", "status line"],
)
def test_a_trickle_ends_at_the_deadline_of_the_whole_document(
    make_client: MakeClient, site: Site, head: bytes, forever: bytes
) -> None:
    site.paths["/drip"] = drip(site, head, forever)
    with pytest.raises(SourceUnavailable, match=r"gave up after 0.4 s, the deadline"):
        make_client(http_deadline=0.4, http_timeout=10).get(site.url("/drip"), max_bytes=LIMIT)
    assert len(site.seen) == 1


def wait_for_the_end(site: Site) -> Respond:
    def respond(_: Handler) -> None:
        site.closing.wait()

    return respond


def test_a_server_that_says_nothing_times_out(make_client: MakeClient, site: Site) -> None:
    site.paths["/silent"] = wait_for_the_end(site)
    with pytest.raises(SourceUnavailable, match="timed out"):
        make_client(http_timeout=0.2, http_attempts=1).get(site.url("/silent"), max_bytes=LIMIT)


def test_the_head_is_inspected_before_the_body_is_read(make_client: MakeClient, site: Site) -> None:
    def refuse(head: Head) -> None:
        raise UnsupportedMediaType(f"{head.status} {head.headers['Content-Type']}")

    site.paths["/"] = answer(b"x" * 100_000, Content_Type="video/mp4", Content_Length="100000")
    with pytest.raises(UnsupportedMediaType, match="200 video/mp4"):
        make_client().get(site.url("/"), max_bytes=10, inspect=refuse)


def test_not_modified_is_an_answer_to_a_condition_only(make_client: MakeClient, site: Site) -> None:
    site.paths["/"] = answer(status=304, ETag='"v1"')
    client = make_client()
    response = client.get(site.url("/"), max_bytes=LIMIT, headers={"If-None-Match": '"v1"'})
    assert (response.status, response.content, response.headers["ETag"]) == (304, b"", '"v1"')
    with pytest.raises(SourceUnreadable, match="answered 304"):
        client.get(site.url("/"), max_bytes=LIMIT)


def test_no_cookie_is_sent_back(make_client: MakeClient, site: Site) -> None:
    site.paths["/a"] = answer(status=302, Location="/b", Set_Cookie="id=1; Path=/")
    site.paths["/b"] = answer(b"text")
    make_client().get(site.url("/a"), max_bytes=LIMIT)
    assert ["cookie" in seen for seen in site.seen] == [False, False]


def test_the_worker_says_who_it_is(make_client: MakeClient, site: Site) -> None:
    site.paths["/"] = answer(b"text")
    make_client(user_agent="reader/1").get(site.url("/"), max_bytes=LIMIT)
    assert site.seen[0]["user-agent"] == "reader/1"


def test_several_threads_share_a_client(make_client: MakeClient, site: Site) -> None:
    for page in range(40):
        site.paths[f"/{page}"] = answer(f"page {page}".encode())
    client = make_client()
    with ThreadPoolExecutor(8) as pool:
        found = list(
            pool.map(lambda n: client.get(site.url(f"/{n}"), max_bytes=LIMIT).content, range(40))
        )
    assert found == [f"page {page}".encode() for page in range(40)]


def test_one_threads_deadline_does_not_end_anothers_request(
    make_client: MakeClient, site: Site
) -> None:
    site.paths["/drip"] = drip(site, b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b"x")
    site.paths["/"] = answer(b"text")
    client = make_client(http_deadline=0.4)
    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(client.get, site.url("/drip"), max_bytes=LIMIT)
        assert client.get(site.url("/"), max_bytes=LIMIT).content == b"text"
        assert isinstance(slow.exception(), SourceUnavailable)
    assert client.get(site.url("/"), max_bytes=LIMIT).content == b"text"


def test_a_closed_client_may_be_closed_again(make_client: MakeClient) -> None:
    with make_client() as client:
        client.close()
    client.close()
