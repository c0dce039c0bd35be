"""The OpenAI-compatible embedder against a service that respx plays."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import respx

from durable_ingest.conformance.embedder import EmbedderContract
from durable_ingest.embedders.openai import OpenAIEmbedder, create
from durable_ingest.errors import EmbedderRejected, EmbedderUnavailable, InvalidInput
from durable_ingest.models import EmbedderInfo, EmbedderSpec
from durable_ingest.ports import Embedder
from durable_ingest.settings import WorkerSettings

URL = "https://api.openai.com/v1/embeddings"
KEY = "sk-test-0123456789"
WIDE = 3072


def vector_of(text: str, dimension: int) -> list[float]:
    """A vector of a text, of no particular length."""
    seed = hashlib.sha256(text.encode()).digest()
    return [seed[at % 32] + 1.0 + at for at in range(dimension)]


def answer(request: httpx.Request, *, dimension: int | None = None) -> httpx.Response:
    body = json.loads(request.content)
    size = dimension or body.get("dimensions", 1536)
    data = [
        {"object": "embedding", "index": place, "embedding": vector_of(text, size)}
        for place, text in enumerate(body["input"])
    ]
    data.reverse()
    return httpx.Response(200, json={"object": "list", "data": data, "model": body["model"]})


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[respx.MockRouter]:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with respx.mock(assert_all_called=False) as router:
        router.post(URL).mock(side_effect=answer)
        yield router


def spec(model: str = "text-embedding-3-small", **fields: Any) -> EmbedderSpec:
    return EmbedderSpec(kind="openai", model=model, **fields)


def embedder(waits: list[float] | None = None, **fields: Any) -> OpenAIEmbedder:
    listed = WorkerSettings(embedder_urls=("https://embed.example/v1",))
    made = create(spec(**fields), listed)
    return made.with_sleep((waits if waits is not None else []).append)


def bodies(router: respx.MockRouter) -> list[dict[str, Any]]:
    return [json.loads(call.request.content) for call in router.calls]


@pytest.mark.usefixtures("service")
class TestOpenAIEmbedder(EmbedderContract):
    def create(self) -> Embedder:
        return create(spec(dimension=8, options={"batch_size": 3}), WorkerSettings())


def test_request_is_the_published_one(service: respx.MockRouter) -> None:
    embedder().embed(["one", ""])
    request = service.calls.last.request
    assert bodies(service) == [
        {"model": "text-embedding-3-small", "input": ["one", " "], "encoding_format": "float"}
    ]
    assert f"Bearer {KEY}" == request.headers["authorization"]


def test_s2_21_texts_go_in_batches_by_number_and_by_length(service: respx.MockRouter) -> None:
    ticks: list[int] = []
    options = {"batch_size": 3, "batch_characters": 10}
    embedder(options=options).embed(["a"] * 7 + ["b" * 10, "c" * 30, "d"], tick=ticks.append)
    assert [len(body["input"]) for body in bodies(service)] == [3, 3, 1, 1, 1, 1]
    assert [3, 6, 7, 8, 9, 10] == ticks


def test_rows_follow_the_index_and_not_the_order_of_the_answer(service: respx.MockRouter) -> None:
    del service
    vectors = embedder(dimension=4).embed(["x", "y", "z"])
    expected = np.array([vector_of(text, 4) for text in "xyz"])
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(vectors, expected, rtol=1e-6)


KNOWN = [
    ("text-embedding-3-small", None, 1536, None),
    ("text-embedding-3-large", None, WIDE, None),
    ("text-embedding-3-large", 256, 256, 256),
    ("text-embedding-3-large", WIDE, WIDE, None),
    ("text-embedding-ada-002", None, 1536, None),
]


@pytest.mark.parametrize(("model", "wanted", "dimension", "sent"), KNOWN)
def test_known_models_need_no_probe(
    service: respx.MockRouter, model: str, wanted: int | None, dimension: int, sent: int | None
) -> None:
    service.post(URL).mock(side_effect=lambda request: answer(request, dimension=dimension))
    made = embedder(model=model, dimension=wanted)
    described = made.describe()
    assert described == EmbedderInfo(
        fingerprint=described.fingerprint, model=model, dimension=dimension, max_tokens=8191
    )
    assert len(service.calls) == 0
    made.embed(["text"])
    assert [sent] == [body.get("dimensions") for body in bodies(service)]


def test_s2_21_an_unknown_model_is_asked_once_for_its_dimension(service: respx.MockRouter) -> None:
    service.post(URL).mock(side_effect=lambda request: answer(request, dimension=5))
    made = embedder(model="bge-m3", options={"max_tokens": 8192})
    assert (5, 8192) == (made.describe().dimension, made.describe().max_tokens)
    assert made.embed(["a"]).shape == (1, 5)
    assert len(service.calls) == 2


def test_fingerprint_depends_on_service_model_revision_and_dimension(
    service: respx.MockRouter,
) -> None:
    del service
    made = [
        embedder(),
        embedder(dimension=256),
        embedder(model="text-embedding-3-large", dimension=1536),
        embedder(revision="2"),
        embedder(options={"base_url": "https://embed.example/v1"}),
    ]
    assert len({one.describe().fingerprint for one in made}) == len(made)
    assert embedder().describe() == embedder(options={"batch_size": 7}).describe()


def failing(*responses: httpx.Response | Exception) -> Any:
    waiting = list(responses)

    def respond(request: httpx.Request) -> httpx.Response:
        if not waiting:
            return answer(request)
        response = waiting.pop(0)
        if isinstance(response, Exception):
            raise response
        return response

    return respond


LIMITED = httpx.Response(429, headers={"retry-after": "7"}, json={"error": {"message": "slow"}})
RETRIED = [
    ("rate limit", [LIMITED], [7.0]),
    ("server errors", [httpx.Response(500), httpx.Response(503)], [0.5, 2.0]),
    ("timeout", [httpx.ReadTimeout("late")], [0.5]),
    ("connection lost", [httpx.ConnectError("gone"), LIMITED], [0.5, 7.0]),
    ("zero wait", [httpx.Response(429, headers={"retry-after": "0"})], [0.0]),
    ("past date", [httpx.Response(503, headers={"retry-after": formatdate(0)})], [0.0]),
    ("unreadable wait", [httpx.Response(503, headers={"retry-after": "soon"})], [0.5]),
]


@pytest.mark.parametrize(
    ("failures", "waits"), [case[1:] for case in RETRIED], ids=[case[0] for case in RETRIED]
)
def test_s2_21_passing_failures_are_tried_again(
    service: respx.MockRouter, failures: list[Any], waits: list[float]
) -> None:
    service.post(URL).mock(side_effect=failing(*failures))
    waited: list[float] = []
    assert embedder(waited).embed(["a"]).shape == (1, 1536)
    assert waits == waited


def test_three_failures_are_enough(service: respx.MockRouter) -> None:
    service.post(URL).mock(return_value=httpx.Response(503, text="down"))
    with pytest.raises(EmbedderUnavailable, match=r"attempt 3 of 3, HTTP 503: down") as raised:
        embedder().embed(["a"])
    assert (3, None) == (len(service.calls), raised.value.retry_after)


def test_a_long_wait_is_left_to_the_caller(service: respx.MockRouter) -> None:
    service.post(URL).mock(return_value=httpx.Response(429, headers={"retry-after": "60"}))
    waited: list[float] = []
    with pytest.raises(EmbedderUnavailable, match="HTTP 429") as raised:
        embedder(waited).embed(["a"])
    assert (1, [], 60.0) == (len(service.calls), waited, raised.value.retry_after)


REFUSED = [
    (401, {"error": {"message": f"Incorrect API key provided: {KEY}."}}, r"provided: \[key\]\."),
    (403, {"error": "forbidden"}, "forbidden"),
    (400, {"error": {"message": "maximum context length is 8192 tokens"}}, "maximum context"),
    (404, {"detail": "model 'x' not found"}, "model 'x' not found"),
    (301, {}, "HTTP 301"),
    (429, {"error": {"message": "quota", "code": "insufficient_quota"}}, "quota"),
]


@pytest.mark.parametrize(("status", "content", "message"), REFUSED)
def test_s2_21_refusals_are_final_and_never_repeat_the_key(
    service: respx.MockRouter, status: int, content: dict[str, Any], message: str
) -> None:
    service.post(URL).mock(return_value=httpx.Response(status, json=content))
    with pytest.raises(EmbedderRejected, match=message) as raised:
        embedder().embed(["a"])
    assert KEY not in str(raised.value)
    assert len(service.calls) == 1


def entry(index: object, *values: object) -> dict[str, object]:
    return {"index": index, "embedding": list(values)}


MALFORMED: list[tuple[str, object, str]] = [
    ("no json", None, "without a list 'data'"),
    ("no data", {"object": "list"}, "without a list 'data'"),
    ("one too few", {"data": [entry(0, 1.0, 2.0)]}, "1 entries"),
    ("same place", {"data": [entry(0, 1.0, 2.0), entry(0, 1.0, 2.0)]}, "1 of them vectors"),
    ("odd place", {"data": [entry("0", 1.0, 2.0), entry([], 1.0, 2.0)]}, "0 of them vectors"),
    ("no numbers", {"data": [entry(0, "a", "b"), entry(1, None)]}, "0 of them vectors"),
    ("ragged", {"data": [entry(0, 1.0), entry(1, 1.0, 2.0)]}, "different dimensions"),
    ("other size", {"data": [entry(0, 1.0), entry(1, 1.0)]}, "dimension 1, not 2"),
    ("zero", {"data": [entry(0, 0.0, 0.0), entry(1, 1.0, 1.0)]}, "zero or not finite"),
]


@pytest.mark.parametrize(
    ("content", "message"), [case[1:] for case in MALFORMED], ids=[case[0] for case in MALFORMED]
)
def test_answers_that_do_not_fit_are_refused(
    service: respx.MockRouter, content: object, message: str
) -> None:
    response = httpx.Response(200, text="<html>") if content is None else None
    service.post(URL).mock(return_value=response or httpx.Response(200, json=content))
    with pytest.raises(EmbedderRejected, match=message):
        embedder(model="text-embedding-3-small", dimension=2).embed(["a", "b"])


def test_a_server_without_a_key_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:8080/v1/")
    with respx.mock() as router:
        router.post("http://127.0.0.1:8080/v1/embeddings").mock(
            side_effect=lambda request: answer(request, dimension=2)
        )
        create(spec(model="local", dimension=2), WorkerSettings()).embed(["a"])
        assert "authorization" not in router.calls.last.request.headers


def test_key_may_come_from_a_file_that_requests_may_read(
    service: respx.MockRouter, tmp_path: Path
) -> None:
    key = tmp_path / "key"
    key.write_text("from-file\n")
    wanted = spec(options={"api_key": f"file:{key}"})
    create(wanted, WorkerSettings(allowed_roots=(tmp_path,))).embed(["a"])
    assert service.calls.last.request.headers["authorization"] == "Bearer from-file"
    with pytest.raises(InvalidInput, match="requests may only name files under"):
        create(wanted, WorkerSettings())


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize("value", [KEY, "env", "", 7, ["env:X_KEY"]])
def test_a_key_in_clear_is_refused_and_not_repeated(value: object) -> None:
    options = {"api_key": value or " "}
    with pytest.raises(InvalidInput, match="must be a reference") as raised:
        create(spec(options=options), WorkerSettings())
    assert KEY not in str(raised.value)


INVALID: list[tuple[dict[str, Any], str]] = [
    ({"options": {"url": "x"}}, r"no options \['url'\]"),
    ({"options": {"api_key": "env:PATH"}}, "end in KEY or TOKEN"),
    ({"options": {"api_key": "env:NO_SUCH_API_KEY"}}, "env:NO_SUCH_API_KEY is not set"),
    ({"options": {"api_key": "file:/etc/hostname"}}, "requests may only name files under"),
    ({"options": {"batch_size": 0}}, "batch_size must be a whole number from 1, not 0"),
    ({"options": {"timeout": True}}, "timeout must be a whole number"),
    ({"options": {"base_url": "ftp://host"}}, "must be an http or https address"),
    ({"options": {"base_url": 5}}, "must be an address, not 5"),
    ({"options": {"base_url": "https://me:hunter2@host/v1"}}, "must carry no user name"),
    ({"options": {"base_url": "https://other.example/v1"}}, "not an address that this worker"),
    ({"options": {"base_url": "http://127.0.0.1:1/v1"}}, "not an address that this worker"),
    ({"dimension": 4000}, "at most 1536 dimensions, not 4000"),
    ({"model": "text-embedding-ada-002", "dimension": 256}, "dimension 1536, not 256"),
]


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize(("fields", "message"), INVALID)
def test_wrong_specs_are_refused_before_anything_is_sent(
    fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidInput, match=message) as raised:
        create(spec(**fields), WorkerSettings())
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("listed", ["http://10.0.0.7/v1", "http://10.0.0.7/v1/"])
def test_an_address_that_the_worker_lists_may_be_chosen(
    service: respx.MockRouter, listed: str
) -> None:
    del service
    wanted = spec(options={"base_url": "http://10.0.0.7/v1"})
    made = create(wanted, WorkerSettings(embedder_urls=(listed,)))
    assert made.describe().dimension == 1536


def test_openai_itself_needs_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(InvalidInput, match="env:OPENAI_API_KEY is not set on this worker"):
        create(spec(), WorkerSettings())
