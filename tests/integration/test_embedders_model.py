"""The real all-MiniLM-L6-v2 weights: contract, known values, and parity with the library."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import threading
from functools import cache
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer

from durable_ingest.conformance.embedder import EmbedderContract
from durable_ingest.embedders.sentence_transformers import SentenceTransformersEmbedder, create
from durable_ingest.models import EmbedderSpec
from durable_ingest.ports import Embedder
from durable_ingest.settings import WorkerSettings
from tests.support.components import missing

pytestmark = [pytest.mark.model, pytest.mark.timeout(300)]


@pytest.fixture(scope="module", autouse=True)
def _weights() -> None:
    if importlib.util.find_spec("sentence_transformers") is None:
        missing("sentence-transformers", "pip install 'durable-ingest[local]' brings it")


@pytest.fixture(scope="module", autouse=True)
def _no_hub() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        yield


@cache
def loaded() -> SentenceTransformersEmbedder:
    return create(EmbedderSpec(options={"device": "cpu"}), WorkerSettings())


class TestSentenceTransformersEmbedder(EmbedderContract):
    def create(self) -> Embedder:
        return loaded()


TEXTS = [
    "How do I resume a run?",
    "Start the job again and it goes on where it stopped.",
    "The soup is too salty.",
    "",
    "A sentence that goes on and on about tides. " * 3,
    *[f"Entry {n}: " + "height and harbour " * (n % 17) for n in range(90)],
]


def test_a_paraphrase_is_nearer_than_another_subject() -> None:
    query, paraphrase, other = loaded().embed(TEXTS[:3])
    assert float(query @ paraphrase) == pytest.approx(0.45506, abs=1e-3)
    assert float(query @ other) == pytest.approx(0.0, abs=1e-2)


def test_vectors_are_those_of_the_library() -> None:
    embedder = loaded()
    ours = embedder.embed(TEXTS)
    assert embedder._model is not None
    theirs = embedder._model.encode(
        TEXTS, batch_size=32, normalize_embeddings=True, show_progress_bar=False
    )
    assert theirs.dtype == np.float32
    assert float(np.abs(ours - theirs).max()) < 1e-5


def test_batch_size_changes_no_vector() -> None:
    small = create(EmbedderSpec(options={"device": "cpu", "batch_size": 3}), WorkerSettings())
    expected = loaded().embed(TEXTS)
    small._model = loaded()._model
    assert float(np.abs(small.embed(TEXTS) - expected).max()) < 1e-5


def test_ticks_come_after_each_batch() -> None:
    ticks: list[int] = []
    loaded().embed(TEXTS, tick=ticks.append)
    assert [32, 64, 95] == ticks


def test_several_threads_get_their_own_rows() -> None:
    embedder = loaded()
    expected = embedder.embed(TEXTS)
    found: dict[int, Any] = {}

    def work(begin: int) -> None:
        found[begin] = embedder.embed(TEXTS[begin : begin + 24])

    threads = [threading.Thread(target=work, args=(begin,)) for begin in range(0, 96, 24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    together = np.concatenate([found[begin] for begin in sorted(found)])
    assert float(np.abs(together - expected).max()) < 1e-5


def test_text_beyond_the_limit_is_cut_off_by_the_model() -> None:
    limit = loaded().describe().max_tokens
    assert limit == 256
    exact = "word " * (limit - 2)
    full, longer = loaded().embed([exact, exact + "soup " * 50])
    assert float(np.abs(full - longer).max()) < 1e-5


def test_special_tokens_are_counted_as_the_tokenizer_adds_them() -> None:
    content = loaded().tokenizer_json()
    assert content is not None
    tokenizer = Tokenizer.from_str(content.decode())
    tokenizer.no_padding()
    tokenizer.no_truncation()
    plain = len(tokenizer.encode("ten words", add_special_tokens=False).ids)
    assert loaded().describe().special_tokens == len(tokenizer.encode("ten words").ids) - plain


def test_loading_prints_nothing_and_warns_of_nothing() -> None:
    code = (
        "from durable_ingest.embedders.sentence_transformers import create\n"
        "from durable_ingest.models import EmbedderSpec\n"
        "from durable_ingest.settings import WorkerSettings\n"
        "import sys, json\n"
        "embedder = create(EmbedderSpec(options={'device': 'cpu'}), WorkerSettings())\n"
        "before = 'torch' in sys.modules\n"
        "shape = embedder.embed(['a', 'b']).shape\n"
        "print(json.dumps([before, *shape]))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        check=False,
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )
    assert ("", 0) == (done.stderr, done.returncode)
    assert [False, 2, 384] == json.loads(done.stdout)
