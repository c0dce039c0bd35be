"""A request cannot reach what the worker was not given, whatever it is called."""

from __future__ import annotations

import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpcore
import pytest
import respx

from durable_ingest.errors import (
    DurableIngestError,
    InvalidInput,
    SourceRefused,
    SourceUnavailable,
    SourceUnreadable,
)
from durable_ingest.http import HttpClient
from durable_ingest.settings import WorkerSettings

PUBLIC = "93.184.216.34"
LIMIT = 10_000


@dataclass
class Site:
    """A real server on loopback; paths under /to/ redirect to what follows."""

    port: int
    hosts: list[str] = field(default_factory=list)


@pytest.fixture
def site() -> Iterator[Site]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            here.hosts.append(self.headers["Host"])
            if self.path.startswith("/to/"):
                self.send_response(302)
                self.send_header("Location", self.path.removeprefix("/to/"))
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(200)
            self.send_header("Content-Length", "6")
            self.end_headers()
            self.wfile.write(b"secret")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - inherited name
            """Keep test output free of request lines."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    here = Site(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield here
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Switchboard(httpcore.NetworkBackend):
    """Records which address is dialled, and puts public ones through to loopback."""

    def __init__(self) -> None:
        self.dialled: list[str] = []
        self._line = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        self.dialled.append(host)
        reached = "127.0.0.1" if host == PUBLIC else host
        return self._line.connect_tcp(reached, port, timeout, local_address, socket_options)


@dataclass
class NameServer:
    """Answers the lookups of each host in turn; the last answer stays."""

    answers: dict[str, list[list[str]]]
    asked: list[str] = field(default_factory=list)

    def __call__(self, host: str, _: int) -> list[str]:
        self.asked.append(host)
        turns = self.answers[host]
        return turns.pop(0) if len(turns) > 1 else turns[0]


MakeClient = Callable[..., HttpClient]


@pytest.fixture
def make_client() -> Iterator[MakeClient]:
    clients: list[HttpClient] = []

    def make(*, allow: bool = False, **parts: Any) -> HttpClient:
        settings = WorkerSettings(
            allow_private_addresses=allow, http_timeout=5, http_deadline=20, http_attempts=1
        )
        clients.append(HttpClient(settings, **parts))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


def refusal(client: HttpClient, url: str) -> SourceRefused:
    with pytest.raises(SourceRefused) as caught:
        client.get(url, max_bytes=LIMIT)
    return caught.value


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "017700000001",
        "localhost",
        "LOCALHOST",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "0.0.0.0",
        "10.0.0.1",
        "169.254.169.254",
        "[fd00:ec2::254]",
        "[fe80::1]",
    ],
)
def test_no_spelling_of_a_private_address_is_connected_to(
    make_client: MakeClient, site: Site, host: str
) -> None:
    board = Switchboard()
    error = refusal(make_client(backend=board), f"http://{host}:{site.port}/")
    assert (error.rule, board.dialled, site.hosts) == ("private-address", [], [])


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "2130706433"])
def test_private_addresses_are_read_when_the_worker_allows_them(
    make_client: MakeClient, site: Site, host: str
) -> None:
    response = make_client(allow=True).get(f"http://{host}:{site.port}/", max_bytes=LIMIT)
    assert (response.content, site.hosts) == (b"secret", [f"{host}:{site.port}"])


@pytest.mark.parametrize("host", ["169.254.169.254", "[::ffff:169.254.169.254]", "168.63.129.16"])
def test_addresses_that_hand_out_credentials_are_refused_even_when_private_ones_are_allowed(
    make_client: MakeClient, host: str
) -> None:
    board = Switchboard()
    error = refusal(make_client(allow=True, backend=board), f"http://{host}/latest/meta-data")
    assert (error.rule, board.dialled) == ("private-address", [])


def test_a_public_name_with_one_private_address_is_refused(
    make_client: MakeClient, site: Site
) -> None:
    names = NameServer({"mixed.example": [[PUBLIC, "10.0.0.7"]]})
    board = Switchboard()
    error = refusal(make_client(resolve=names, backend=board), f"http://mixed.example:{site.port}/")
    assert (error.rule, board.dialled) == ("private-address", [])
    assert "10.0.0.7" in str(error)


def test_the_address_that_was_checked_is_the_one_connected_to(
    make_client: MakeClient, site: Site
) -> None:
    names = NameServer({"rebinding.example": [[PUBLIC], ["127.0.0.1"]]})
    board = Switchboard()
    client = make_client(resolve=names, backend=board)
    response = client.get(f"http://rebinding.example:{site.port}/", max_bytes=LIMIT)
    assert response.content == b"secret"
    assert (names.asked, board.dialled) == (["rebinding.example"], [PUBLIC])
    assert site.hosts == [f"rebinding.example:{site.port}"]


def test_a_name_that_turns_private_is_refused_at_the_next_connection(
    make_client: MakeClient, site: Site
) -> None:
    names = NameServer({"rebinding.example": [[PUBLIC], ["127.0.0.1"]]})
    board = Switchboard()
    url = f"http://rebinding.example:{site.port}/"
    make_client(resolve=names, backend=board).get(url, max_bytes=LIMIT)
    error = refusal(make_client(resolve=names, backend=board), url)
    assert (error.rule, board.dialled) == ("private-address", [PUBLIC])


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.1:{port}/",
        "http://inside.example:{port}/",
        "http://0x7f.1:{port}/",
        "//localhost:{port}/",
        "http://169.254.169.254/latest",
    ],
)
def test_a_redirect_from_a_public_to_a_private_address_is_refused(
    make_client: MakeClient, site: Site, target: str
) -> None:
    names = NameServer(
        {
            "public.example": [[PUBLIC]],
            "inside.example": [["10.0.0.7"]],
            "localhost": [["127.0.0.1"]],
        }
    )
    board = Switchboard()
    url = f"http://public.example:{site.port}/to/{target.format(port=site.port)}"
    error = refusal(make_client(resolve=names, backend=board), url)
    assert (error.rule, board.dialled) == ("redirect-to-private", [PUBLIC])
    assert url in str(error)


@pytest.mark.parametrize(
    ("target", "rule"),
    [
        ("file:///etc/passwd", "scheme"),
        ("ftp://public.example/", "scheme"),
        ("gopher://127.0.0.1/", "scheme"),
        ("http://user:hunter2@public.example/", "userinfo"),
    ],
)
def test_a_redirect_is_held_to_the_rules_of_the_first_address(
    make_client: MakeClient, site: Site, target: str, rule: str
) -> None:
    names = NameServer({"public.example": [[PUBLIC]]})
    client = make_client(resolve=names, backend=Switchboard())
    error = refusal(client, f"http://public.example:{site.port}/to/{target}")
    assert error.rule == rule
    assert "hunter2" not in str(error)


@dataclass(frozen=True)
class Address:
    url: str
    error: type[DurableIngestError]
    rule: str | None = None


ADDRESSES = [
    Address("file:///etc/passwd", SourceRefused, "scheme"),
    Address("ftp://site.example/", SourceRefused, "scheme"),
    Address("site.example/page", SourceRefused, "scheme"),
    Address("", SourceRefused, "scheme"),
    Address("http://user:hunter2@site.example/", SourceRefused, "userinfo"),
    Address("https://@site.example/", SourceRefused, "userinfo"),
    Address("http://", InvalidInput),
    Address("http:///page", InvalidInput),
    Address("http://site.example:99999/", InvalidInput),
    Address("http://site.example:port/", InvalidInput),
    Address("http://[::1/", InvalidInput),
    Address("http://a b.example/", InvalidInput),
    Address("http://xn--iñvalid.example/", InvalidInput),
]


@pytest.mark.parametrize("case", ADDRESSES, ids=lambda case: case.url or "empty")
def test_what_is_no_plain_web_address_is_refused_without_a_lookup(
    make_client: MakeClient, case: Address
) -> None:
    names = NameServer({})
    with pytest.raises(case.error) as caught:
        make_client(resolve=names).get(case.url, max_bytes=LIMIT)
    assert (case.rule, []) == (getattr(caught.value, "rule", None), names.asked)
    assert "hunter2" not in str(caught.value)


def test_the_check_is_not_asked_when_a_test_answers_in_the_pools_place(
    make_client: MakeClient,
) -> None:
    names = NameServer({})
    with respx.mock:
        respx.get("https://mocked.example/page").respond(200, text="mocked")
        response = make_client(resolve=names).get("https://mocked.example/page", max_bytes=LIMIT)
    assert (response.content, names.asked) == (b"mocked", [])


def test_the_next_address_is_tried_when_the_first_does_not_answer(
    make_client: MakeClient, site: Site
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound, not listening: connecting is refused
        names = NameServer({"two.example": [["127.0.0.2", "127.0.0.1"]]})
        board = Switchboard()
        client = make_client(allow=True, resolve=names, backend=board)
        response = client.get(f"http://two.example:{site.port}/", max_bytes=LIMIT)
    assert (response.content, board.dialled) == (b"secret", ["127.0.0.2", "127.0.0.1"])


def test_proxies_of_the_environment_are_not_used(
    make_client: MakeClient, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setitem(os.environ, name, "http://127.0.0.1:9")
    response = make_client(allow=True).get(f"http://127.0.0.1:{site.port}/", max_bytes=LIMIT)
    assert response.content == b"secret"


def test_a_name_server_that_fails_is_tried_again_later(make_client: MakeClient) -> None:
    def fail(host: str, _: int) -> list[str]:
        raise socket.gaierror(socket.EAI_AGAIN, f"no answer about {host}")

    with pytest.raises(SourceUnavailable, match="could not be looked up"):
        make_client(resolve=fail).get("http://site.example/", max_bytes=LIMIT)


def test_a_host_without_addresses_is_tried_again_later(make_client: MakeClient) -> None:
    names = NameServer({"empty.example": [[]]})
    with pytest.raises(SourceUnavailable, match="has no address"):
        make_client(resolve=names).get("http://empty.example/", max_bytes=LIMIT)


def test_plain_text_on_a_secure_port_is_a_connection_error(
    make_client: MakeClient, site: Site
) -> None:
    with pytest.raises(SourceUnavailable, match="connection failed"):
        make_client(allow=True).get(f"https://127.0.0.1:{site.port}/", max_bytes=LIMIT)


class Stranger(httpcore.NetworkStream):
    """Shows a certificate that nobody signed."""

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        assert (ssl_context.verify_mode, ssl_context.check_hostname) == (ssl.CERT_REQUIRED, True)
        assert server_hostname == "stranger.example"
        assert timeout is not None
        problem = ssl.SSLCertVerificationError(1, "certificate verify failed")
        problem.verify_message = "self-signed certificate"
        try:
            raise problem
        except ssl.SSLError as error:
            raise httpcore.ConnectError(error) from error

    def close(self) -> None:
        """Nothing is open."""


class StrangerBackend(httpcore.NetworkBackend):
    def connect_tcp(self, *_: Any, **__: Any) -> httpcore.NetworkStream:
        return Stranger()


def test_an_untrusted_certificate_is_terminal_and_its_name_is_checked(
    make_client: MakeClient,
) -> None:
    names = NameServer({"stranger.example": [[PUBLIC]]})
    client = make_client(resolve=names, backend=StrangerBackend())
    with pytest.raises(SourceUnreadable, match=r"not trusted: self-signed certificate"):
        client.get("https://stranger.example/", max_bytes=LIMIT)
    assert names.asked == ["stranger.example"]
