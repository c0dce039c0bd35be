"""The download protocol against a server on loopback that does everything wrong that can be."""

from __future__ import annotations

import contextlib
import io
import json
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from durable_ingest.devserver import Executable, find_executable
from durable_ingest.devserver.cache import cached_path
from durable_ingest.errors import ServerUnavailable

GOOD = b'#!/bin/sh\necho "temporal version 1.9.1 (Server 1.32.0, UI 2.54.1)"\n'
OLD = GOOD.replace(b"1.9.1", b"1.9.0")


def tape(**members: bytes) -> bytes:
    """Return a .tar.gz; `_` in a name stands for `/` and a member `LINK` is a link to /bin/sh."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name.replace("_", "/"))
            if content == b"LINK":
                info.type, info.linkname = tarfile.SYMTYPE, "/bin/sh"
            info.size = len(content) if info.isfile() else 0
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def box(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@dataclass
class Shop:
    """A stand-in for the service: what it answers, and what it was asked."""

    base: str = ""
    answer: Any = None
    status: int = 200
    archive: bytes = b""
    archive_url: str = ""
    answer_delay: bool = False
    pause_after: int | None = None
    drip: bool = False
    asked: list[str] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)

    def sells(self, archive: bytes, wanted: str = "temporal") -> None:
        self.archive = archive
        self.answer = {"archiveUrl": f"{self.base}/archive", "fileToExtract": wanted}


class Counter(BaseHTTPRequestHandler):
    """Hands out what the shop of its server has."""

    def log_message(self, *_: object) -> None:
        """Keep quiet."""

    @property
    def shop(self) -> Shop:
        assert isinstance(self.server, Street)
        return self.server.shop

    def do_GET(self) -> None:
        self.shop.asked.append(self.path)
        if self.path == "/archive":
            with contextlib.suppress(OSError):  # the client had enough
                self.send_archive()
        elif self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/archive")
            self.end_headers()
        else:
            self.send_answer()

    def send_answer(self) -> None:
        if self.shop.answer_delay:
            self.shop.closing.wait(30)
        answer = self.shop.answer
        raw = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        with contextlib.suppress(OSError):
            self.send_response(self.shop.status)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

    def send_archive(self) -> None:
        archive, shop = self.shop.archive, self.shop
        self.send_response(200)
        self.send_header("Content-Length", str(len(archive)))
        self.end_headers()
        if shop.drip:
            for number in range(len(archive)):
                self.wfile.write(archive[number : number + 1])
                if shop.closing.wait(0.02):
                    return
        self.wfile.write(archive[: shop.pause_after])
        if shop.pause_after is not None:
            shop.closing.wait(30)


class Street(ThreadingHTTPServer):
    """A server on loopback with one shop in it."""

    def __init__(self, shop: Shop) -> None:
        super().__init__(("127.0.0.1", 0), Counter)
        self.shop = shop


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    made = Shop()
    server = Street(made)
    made.base = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("DURABLE_INGEST_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("DURABLE_INGEST_TEMPORAL_DOWNLOAD", f"{made.base}/")
    monkeypatch.delenv("DURABLE_INGEST_TEMPORAL", raising=False)
    yield made
    made.closing.set()
    server.shutdown()
    thread.join()
    server.server_close()


def downloaded(timeout: float = 5.0) -> Executable:
    return find_executable(build=False, download_timeout=timeout)


def refusal(timeout: float = 5.0) -> str:
    """Return the download's line of the error, after checking that nothing was left behind."""
    with pytest.raises(ServerUnavailable) as caught:
        downloaded(timeout)
    assert not cached_path().exists()
    assert list(cached_path().parent.glob("partial-*")) == []
    (line,) = [line for line in str(caught.value).splitlines() if ". download: " in line]
    return line.partition("download: ")[2]


@dataclass(frozen=True)
class Archive:
    id: str
    content: bytes
    wanted: str = "temporal"


ARCHIVES = [
    Archive("tar.gz", tape(LICENSE=b"text", temporal=GOOD)),
    Archive("zip", box(LICENSE=b"text", temporal=GOOD)),
    Archive("inside a folder", tape(cli_temporal=GOOD), wanted="cli/temporal"),
    Archive("named with a dot", tape(**{"._temporal": GOOD})),
]


@pytest.mark.parametrize("case", ARCHIVES, ids=lambda case: case.id)
def test_the_executable_in_the_archive_is_cached(case: Archive, shop: Shop) -> None:
    shop.sells(case.content, case.wanted)
    assert downloaded() == Executable(cached_path(), "1.9.1", "download")
    assert downloaded() == Executable(cached_path(), "1.9.1", "cache")
    asked = urlsplit(shop.asked[0])
    assert asked.path == "/cli/v1.9.1"
    assert set(parse_qs(asked.query)) == {"arch", "platform", "format"}
    assert len(shop.asked) == 2


def test_a_redirect_is_followed(shop: Shop) -> None:
    shop.sells(tape(temporal=GOOD))
    shop.answer["archiveUrl"] = f"{shop.base}/moved"
    assert downloaded().origin == "download"


@dataclass(frozen=True)
class Refused:
    id: str
    arrange: Callable[[Shop], Any]
    said: str


def answering(answer: Any) -> Callable[[Shop], None]:
    return lambda shop: setattr(shop, "answer", answer)


def selling(archive: bytes, wanted: str = "temporal") -> Callable[[Shop], None]:
    return lambda shop: shop.sells(archive, wanted)


def broken_in_the_middle(archive: bytes) -> bytes:
    middle = len(archive) // 2
    return archive[:middle] + bytes(40) + archive[middle + 40 :]


LARGE = tape(temporal=GOOD + b"#" + bytes(range(256)) * 400)
REFUSED = [
    Refused("not found", lambda shop: setattr(shop, "status", 404), "404 Not Found"),
    Refused("server error", lambda shop: setattr(shop, "status", 503), "503 Service Unavailable"),
    Refused("no JSON", answering(b"<html>sign in</html>"), "'<html>sign in</html>'"),
    Refused("other JSON", answering({"url": "x"}), "names no archiveUrl and fileToExtract"),
    Refused("a list", answering([1]), "names no archiveUrl and fileToExtract"),
    Refused("numbers", answering({"archiveUrl": 1, "fileToExtract": 2}), "are no texts"),
    Refused(
        "another scheme",
        answering({"archiveUrl": "file:///etc/passwd", "fileToExtract": "temporal"}),
        "'file:///etc/passwd' is not https",
    ),
    Refused("outside, relative", selling(tape(temporal=GOOD), "../temporal"), "lies outside"),
    Refused("outside, absolute", selling(tape(temporal=GOOD), "/temporal"), "lies outside"),
    Refused("no such member", selling(tape(other=GOOD)), "holds no file 'temporal'"),
    Refused("a member that climbs", selling(tape(**{".._temporal": GOOD})), "holds no file"),
    Refused("a link", selling(tape(temporal=b"LINK")), "holds no file 'temporal'"),
    Refused("truncated", selling(LARGE[: len(LARGE) // 2]), "damaged or cut short"),
    Refused("corrupt", selling(broken_in_the_middle(LARGE)), "damaged or cut short"),
    Refused("no archive", selling(b"hello"), "damaged or cut short"),
    Refused("empty", selling(b""), "damaged or cut short"),
    Refused("truncated zip", selling(box(temporal=GOOD)[:-30]), "damaged or cut short"),
    Refused("another program", selling(tape(temporal=b"#!/bin/sh\n")), "not a working Temporal"),
    Refused("another version", selling(tape(temporal=OLD)), "gave version 1.9.0"),
]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.id)
def test_a_wrong_answer_is_one_sentence_and_leaves_nothing(case: Refused, shop: Shop) -> None:
    shop.sells(tape(temporal=GOOD))
    case.arrange(shop)
    assert case.said in refusal()


SLOW = [
    Refused("no answer", lambda shop: setattr(shop, "answer_delay", True), "no answer from http"),
    Refused("a pause", lambda shop: setattr(shop, "pause_after", 50), "no answer from http"),
    Refused("a drip", lambda shop: setattr(shop, "drip", True), "too slow"),
]


@pytest.mark.parametrize("case", SLOW, ids=lambda case: case.id)
def test_a_slow_service_is_given_up_soon(
    case: Refused, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("durable_ingest.devserver.download._CHUNK", 4)
    shop.sells(LARGE)
    case.arrange(shop)
    begun = time.monotonic()
    assert case.said in refusal(timeout=0.1)
    assert time.monotonic() - begun < 5


def test_too_many_bytes_are_refused(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("durable_ingest.devserver.download._MAX_BYTES", len(LARGE))
    monkeypatch.setattr("durable_ingest.devserver.download._CHUNK", 64)
    shop.sells(LARGE + b"more")
    assert "the archive is over" in refusal()
    shop.sells(LARGE)  # 100 KB of a pattern, in much less
    assert "the file in the archive is over" in refusal()
