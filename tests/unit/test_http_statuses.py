"""What each status means, and when the client tries again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import respx

from durable_ingest.errors import (
    DurableIngestError,
    SourceMissing,
    SourceUnavailable,
    SourceUnreadable,
)
from durable_ingest.http import HttpClient
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


@dataclass(frozen=True)
class Status:
    status: int
    error: type[DurableIngestError]
    requests: int = 1


STATUSES = [
    *(Status(status, SourceMissing) for status in (404, 410)),
    *(Status(status, SourceUnreadable) for status in (400, 401, 403, 405, 406, 418, 451)),
    *(Status(status, SourceUnreadable) for status in (204, 206, 300, 304)),
    *(Status(status, SourceUnavailable, 3) for status in (408, 425, 429, 500, 502, 503, 504)),
]


@pytest.mark.parametrize("case", STATUSES, ids=lambda case: str(case.status))
def test_each_status_is_terminal_or_tried_again(make_client: MakeClient, case: Status) -> None:
    clock = Clock()
    with respx.mock:
        route = respx.get(URL).respond(case.status)
        with pytest.raises(case.error, match=f"{URL} answered {case.status}"):
            make_client(clock).get(URL, max_bytes=LIMIT)
    assert (case.requests, case.requests - 1) == (route.call_count, len(clock.slept))


def test_s0_d04_a_page_that_comes_back_after_503_and_429_is_read(make_client: MakeClient) -> None:
    clock = Clock()
    with respx.mock:
        respx.get(URL).mock(
            side_effect=[
                httpx.Response(503),
                httpx.Response(429, headers={"Retry-After": "7"}),
                httpx.Response(200, text="back"),
            ]
        )
        response = make_client(clock).get(URL, max_bytes=LIMIT)
    assert response.content == b"back"
    assert clock.slept[0] <= 0.5
    assert clock.slept[1] == 7.0


@dataclass(frozen=True)
class Wait:
    name: str
    header: str
    slept: list[float]
    retry_after: float


WAITS = [
    Wait("seconds", "20", [20.0, 20.0], 20.0),
    Wait("date", "Thu, 01 Jan 2026 00:00:25 GMT", [25.0, 25.0], 25.0),
    Wait("longest", "30", [30.0, 30.0], 30.0),
    Wait("too long", "31", [], 31.0),
    Wait("far too long", "999999999", [], 86_400.0),
]


@pytest.mark.parametrize("case", WAITS, ids=lambda case: case.name)
def test_retry_after_is_waited_for_in_place_or_passed_on(
    make_client: MakeClient, case: Wait
) -> None:
    clock = Clock()
    with respx.mock:
        respx.get(URL).respond(429, headers={"Retry-After": case.header})
        with pytest.raises(SourceUnavailable) as caught:
            make_client(clock).get(URL, max_bytes=LIMIT)
    assert (case.slept, case.retry_after) == (clock.slept, caught.value.retry_after)


def test_without_retry_after_no_wait_is_passed_on(make_client: MakeClient) -> None:
    clock = Clock()
    with respx.mock:
        respx.get(URL).respond(503)
        with pytest.raises(SourceUnavailable, match="tries: 3") as caught:
            make_client(clock).get(URL, max_bytes=LIMIT)
    assert caught.value.retry_after is None


def test_no_wait_goes_past_the_deadline(make_client: MakeClient) -> None:
    clock = Clock()
    with respx.mock:
        respx.get(URL).respond(503, headers={"Retry-After": "20"})
        with pytest.raises(SourceUnavailable) as caught:
            make_client(clock, http_deadline=30.0).get(URL, max_bytes=LIMIT)
    assert ([20.0], 20.0) == (clock.slept, caught.value.retry_after)


@pytest.mark.parametrize(
    "error",
    [httpx.ConnectTimeout, httpx.ReadTimeout, httpx.ConnectError, httpx.RemoteProtocolError],
)
def test_lost_connections_are_tried_again(
    make_client: MakeClient, error: type[httpx.TransportError]
) -> None:
    clock = Clock()
    with respx.mock:
        route = respx.get(URL).mock(side_effect=error("lost"))
        with pytest.raises(SourceUnavailable, match=f"{URL}: .*: lost; tries: 3"):
            make_client(clock).get(URL, max_bytes=LIMIT)
    assert (route.call_count, len(clock.slept)) == (3, 2)


def test_a_refused_connection_is_tried_again(make_client: MakeClient) -> None:
    clock = Clock()
    with pytest.raises(SourceUnavailable, match="connection failed"):
        make_client(clock).get("http://127.0.0.1:1/", max_bytes=LIMIT)
    assert len(clock.slept) == 2
