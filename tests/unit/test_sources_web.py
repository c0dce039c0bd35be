"""Single web pages: types, conditions, failures."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from durable_ingest.conformance.source import Failure, SourceContract
from durable_ingest.errors import (
    DocumentTooLarge,
    DurableIngestError,
    InvalidInput,
    SourceMissing,
    SourceRefused,
    SourceUnavailable,
    SourceUnreadable,
    UnsupportedMediaType,
)
from durable_ingest.models import DocumentRef, DocumentState, PlannedDocument, SourceSpec
from durable_ingest.ports import Fetched, Unchanged
from durable_ingest.settings import WorkerSettings
from durable_ingest.sources.web import WebSource

LIMIT = 10_000


@dataclass(frozen=True)
class Page:
    body: bytes = b"<p>text"
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "text/html"})
    endless: bool = False


@dataclass
class Site:
    """A real server on loopback that honours `If-None-Match`."""

    port: int
    pages: dict[str, Page] = field(default_factory=dict)
    seen: list[dict[str, str]] = field(default_factory=list)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def ref(self, path: str, **fields: Any) -> DocumentRef:
        return DocumentRef(uri=self.url(path), kind="web", **fields)


class QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """A client that hangs up is the normal case here."""


@pytest.fixture
def site() -> Iterator[Site]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            here.seen.append({name.lower(): value for name, value in self.headers.items()})
            page = here.pages.get(self.path, Page(b"", 404, {}))
            unchanged = self.headers["If-None-Match"] == page.headers.get("ETag", "-")
            self.send_response(304 if unchanged else page.status)
            length = {} if page.endless else {"Content-Length": str(len(page.body))}
            for name, value in {**length, **page.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if not unchanged:
                self.wfile.write(page.body)
            while page.endless:
                self.wfile.write(b"x" * 4096)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - inherited name
            """Keep test output free of request lines."""

    server = QuietServer(("127.0.0.1", 0), Handler)
    here = Site(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield here
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


MakeSource = Callable[..., WebSource]


@pytest.fixture
def make_source() -> Iterator[MakeSource]:
    sources: list[WebSource] = []

    def make(**settings: Any) -> WebSource:
        fields = {"allow_private_addresses": True, "http_attempts": 1, **settings}
        sources.append(WebSource(WorkerSettings(**fields)))
        return sources[-1]

    yield make
    for source in sources:
        source.close()


def fetch(source: WebSource, ref: DocumentRef) -> Fetched:
    result = source.fetch(PlannedDocument(ref=ref), max_bytes=LIMIT)
    assert isinstance(result, Fetched)
    return result


class TestContract(SourceContract):
    """A web page fulfils the port."""

    @pytest.fixture
    def source(self, make_source: MakeSource) -> WebSource:
        return make_source()

    @pytest.fixture
    def spec(self, site: Site) -> SourceSpec:
        site.pages["/page"] = Page()
        return SourceSpec(uri=site.url("/x/../page#part").replace("http", "HTTP"), kind="web")

    @pytest.fixture
    def foreign_uris(self, site: Site) -> Sequence[str]:
        return [site.url("/"), site.url("/page/"), site.url("/page?q=1"), "file:///page"]

    @pytest.fixture
    def failures(self, site: Site) -> Sequence[Failure]:
        for status in (403, 410, 429, 503):
            site.pages[f"/{status}"] = Page(b"", status)
        site.pages["/film"] = Page(headers={"Content-Type": "video/mp4"})
        return [
            Failure("missing", site.ref("/404"), SourceMissing),
            Failure("gone", site.ref("/410"), SourceMissing),
            Failure("forbidden", site.ref("/403"), SourceUnreadable),
            Failure("busy", site.ref("/429"), SourceUnavailable),
            Failure("down", site.ref("/503"), SourceUnavailable),
            Failure("film", site.ref("/film"), UnsupportedMediaType),
            Failure("scheme", DocumentRef(uri="ftp://127.0.0.1/", kind="web"), SourceRefused),
        ]

    @pytest.fixture
    def broken_specs(self, site: Site) -> Sequence[SourceSpec]:
        return [
            SourceSpec(uri="file:///etc/hostname", kind="web"),
            SourceSpec(uri="http://user:word@site.example/", kind="web"),
            SourceSpec(uri="http://site.example:port/", kind="web"),
            SourceSpec(uri="http://", kind="web"),
            SourceSpec(uri=site.url("/"), kind="web", options={"depth": 1}),
            SourceSpec(uri=site.url("/"), kind="web", media_type="html"),
        ]


def test_a_private_address_is_refused_before_anything_is_sent(
    make_source: MakeSource, site: Site
) -> None:
    source = make_source(allow_private_addresses=False)
    for read in (
        lambda: list(source.discover(SourceSpec(uri=site.url("/"), kind="web"))),
        lambda: source.fetch(PlannedDocument(ref=site.ref("/")), max_bytes=LIMIT),
    ):
        with pytest.raises(SourceRefused) as caught:
            read()
        assert caught.value.rule == "private-address"
    assert site.seen == []


@dataclass(frozen=True)
class Typed:
    name: str
    header: str | None
    declared: str | None
    expected: tuple[str, str | None]
    path: str = "/page"


TYPED = [
    Typed("html", "text/html; charset=ISO-8859-1", None, ("text/html", "ISO-8859-1")),
    Typed("xhtml", "application/xhtml+xml", None, ("application/xhtml+xml", None)),
    Typed("markdown", "text/markdown; charset=utf-8", None, ("text/markdown", "utf-8")),
    Typed("old markdown", "text/x-markdown", None, ("text/markdown", None)),
    Typed("plain", "text/plain", None, ("text/plain", None)),
    Typed("the server knows better", "text/html", "text/plain", ("text/html", None)),
    Typed("declared for none", None, "text/html", ("text/html", None)),
    Typed("declared for octets", "application/octet-stream", "text/html", ("text/html", None)),
    Typed("octets of a suffix", "binary/octet-stream", None, ("text/markdown", None), "/a.md?x"),
    Typed("none with a suffix", None, None, ("text/plain", None), "/a.TXT"),
]


@pytest.mark.parametrize("case", TYPED, ids=lambda case: case.name)
def test_the_type_is_the_servers_unless_it_says_nothing(
    make_source: MakeSource, site: Site, case: Typed
) -> None:
    headers = {} if case.header is None else {"Content-Type": case.header}
    site.pages[case.path] = Page(headers=headers)
    fetched = fetch(make_source(), site.ref(case.path, media_type=case.declared))
    assert case.expected == (fetched.media_type, fetched.charset)


@dataclass(frozen=True)
class Unread:
    header: str | None
    declared: str | None
    named: str


UNREAD = [
    Unread("application/pdf", None, "application/pdf"),
    Unread("application/pdf", "text/html", "application/pdf"),
    Unread("image/png; q=1", None, "image/png"),
    Unread(None, None, "application/octet-stream"),
    Unread("application/octet-stream", None, "application/octet-stream"),
    Unread(None, "application/pdf", "application/pdf"),
]


@pytest.mark.parametrize("case", UNREAD, ids=lambda case: f"{case.header} {case.declared}")
def test_s0_26_a_type_that_no_converter_reads_is_refused_without_reading_it(
    make_source: MakeSource, site: Site, case: Unread
) -> None:
    headers = {} if case.header is None else {"Content-Type": case.header}
    site.pages["/page"] = Page(headers=headers, endless=True)
    planned = PlannedDocument(ref=site.ref("/page", media_type=case.declared))
    with pytest.raises(UnsupportedMediaType, match=f"/page is '{case.named}'"):
        make_source().fetch(planned, max_bytes=LIMIT)


def state_of(ref: DocumentRef, **fields: Any) -> DocumentState:
    return DocumentState(document_id=ref.uri, content_sha256="0" * 64, fingerprint="f", **fields)


def test_a_page_that_did_not_change_is_not_sent_again(make_source: MakeSource, site: Site) -> None:
    etag, date = '"v1"', "Thu, 01 Jan 2026 00:00:00 GMT"
    headers = {"Content-Type": "text/html", "ETag": etag, "Last-Modified": date}
    site.pages["/page"] = Page(headers=headers)
    source, ref = make_source(), site.ref("/page")
    fetched = fetch(source, ref)
    assert (fetched.etag, fetched.last_modified) == (etag, date)
    known = state_of(ref, etag=fetched.etag, last_modified=fetched.last_modified)
    result = source.fetch(PlannedDocument(ref=ref, known=known), max_bytes=LIMIT)
    assert isinstance(result, Unchanged)
    assert (result.etag, result.last_modified) == (etag, date)
    assert "if-none-match" not in site.seen[0]
    assert (site.seen[1]["if-none-match"], site.seen[1]["if-modified-since"]) == (etag, date)


def test_a_page_that_changed_is_sent_whole(make_source: MakeSource, site: Site) -> None:
    site.pages["/page"] = Page(headers={"Content-Type": "text/html", "ETag": '"v2"'})
    ref = site.ref("/page")
    known = state_of(ref, etag='"v1"')
    result = make_source().fetch(PlannedDocument(ref=ref, known=known), max_bytes=LIMIT)
    assert isinstance(result, Fetched)
    assert (result.content, result.etag) == (b"<p>text", '"v2"')


def test_a_known_page_without_validators_is_read_again(make_source: MakeSource, site: Site) -> None:
    site.pages["/page"] = Page()
    ref = site.ref("/page")
    planned = PlannedDocument(ref=ref, known=state_of(ref))
    assert isinstance(make_source().fetch(planned, max_bytes=LIMIT), Fetched)
    assert not {"if-none-match", "if-modified-since"} & set(site.seen[0])


def test_an_endless_page_is_cut_at_the_limit(make_source: MakeSource, site: Site) -> None:
    site.pages["/page"] = Page(endless=True)
    with pytest.raises(DocumentTooLarge, match=f"more than {LIMIT} bytes"):
        make_source().fetch(PlannedDocument(ref=site.ref("/page")), max_bytes=LIMIT)


def test_s0_20_one_address_is_one_document_and_no_link_is_followed(
    make_source: MakeSource, site: Site
) -> None:
    site.pages["/page"] = Page(b'<a href="/other">other</a>')
    source = make_source()
    [ref] = source.discover(SourceSpec(uri=site.url("/page"), kind="web"))
    assert isinstance(ref, DocumentRef)
    fetch(source, ref)
    assert len(site.seen) == 1


@pytest.mark.parametrize(
    ("uri", "error"),
    [
        ("http://user:word@site.example/", SourceRefused),
        ("javascript:alert(1)", SourceRefused),
        ("http://[::1", InvalidInput),
    ],
)
def test_what_is_no_web_address_is_never_sent_nor_covered(
    make_source: MakeSource, uri: str, error: type[DurableIngestError]
) -> None:
    source = make_source()
    spec = SourceSpec(uri=uri, kind="web")
    with pytest.raises(error) as caught:
        list(source.discover(spec))
    assert "word" not in str(caught.value).replace("password", "")
    assert source.covers(spec, "http://other.example/") is False
