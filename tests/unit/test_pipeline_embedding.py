"""What is embedded: the chunk with its context, by the chosen model, and nothing twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from durable_ingest import registry
from durable_ingest.embedders.hashing import create
from durable_ingest.errors import EmbedderRejected
from durable_ingest.ids import file_uri, vector_key
from durable_ingest.models import ChunkerSpec, EmbedderInfo, EmbedderSpec, IngestReport
from durable_ingest.pipeline.index import Index
from durable_ingest.pipeline.run import ingest
from durable_ingest.settings import WorkerSettings

if TYPE_CHECKING:
    from numpy.typing import NDArray

CUT = ChunkerSpec(size=120, length="characters")


@dataclass
class Recorder:
    """An embedder that remembers which model it was asked for and what it read."""

    spec: EmbedderSpec
    read: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._inner = create(self.spec, WorkerSettings())

    def describe(self) -> EmbedderInfo:
        info = self._inner.describe()
        return info.model_copy(
            update={"model": self.spec.model, "fingerprint": f"{self.spec.model} {info.dimension}"}
        )

    def tokenizer_json(self) -> bytes | None:
        return None

    def embed(
        self, texts: Sequence[str], *, tick: Callable[[int], None] | None = None
    ) -> NDArray[np.float32]:
        self.read += texts
        return self._inner.embed(texts, tick=tick)


@pytest.fixture
def recorders(monkeypatch: pytest.MonkeyPatch) -> list[Recorder]:
    """Every embedder that was made, in order; the hashing kind makes them."""
    made: list[Recorder] = []
    load = registry.load

    def make(spec: EmbedderSpec, _: WorkerSettings) -> Recorder:
        made.append(Recorder(spec))
        return made[-1]

    def load_recorder(port: str, name: str) -> Any:
        return make if port == "embedders" else load(port, name)

    monkeypatch.setattr(registry, "load", load_recorder)
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of one document with two sections of equal text."""
    made = tmp_path / "documents"
    made.mkdir()
    same = "The moon pulls the sea twice a day, and the harbour master writes down the hour.\n"
    (made / "tides.md").write_text(f"# Tides\n\n## Spring\n\n{same}\n## Neap\n\n{same}")
    return made


def run(folder: Path, **fields: Any) -> IngestReport:
    """Ingest the folder beside itself."""
    given = {"embedder": EmbedderSpec(kind="hashing", model="one", dimension=16), **fields}
    return ingest(folder, index=folder.parent / "index", chunker=CUT, **given)


def test_s2_d04_equal_texts_of_two_sections_are_two_rows(folder: Path) -> None:
    run(folder, embedder=EmbedderSpec(kind="hashing", model="hashing", dimension=16))
    with Index.open(folder.parent / "index") as opened:
        rows = opened.chunks(file_uri(folder / "tides.md"))
    assert len(rows) == len({row.chunk_id for row in rows}) >= 2
    assert 2 == sum("The moon pulls" in row.text for row in rows)
    assert list(range(len(rows))) == [row.ordinal for row in rows]


def test_s2_d05_what_is_stored_and_named_is_what_was_embedded(
    folder: Path, recorders: list[Recorder]
) -> None:
    """Parity: S2-19."""
    spec = EmbedderSpec(kind="hashing", model="one", dimension=16, prompt="passage: ")
    run(folder, embedder=spec)
    [recorder] = recorders
    with Index.open(folder.parent / "index", embedder=spec) as opened:
        rows = opened.chunks(file_uri(folder / "tides.md"))
    assert {f"passage: {row.context}\n{row.text}" for row in rows} == set(recorder.read)
    assert {"Tides > Spring", "Tides > Neap"} <= {row.context for row in rows}
    model = recorder.describe().fingerprint
    for row in rows:
        assert vector_key(model, "passage: ", row.context, row.text) == row.vector_key
    again = run(folder, embedder=spec)
    assert (0, 1) == (again.counts.embedded, again.counts.unchanged)
    assert [] == recorders[-1].read


@pytest.mark.parametrize(("model", "dimension"), [("one", 16), ("two", 32)])
def test_s2_d06_the_chosen_model_is_used_for_documents_and_for_questions(
    folder: Path, recorders: list[Recorder], model: str, dimension: int
) -> None:
    spec = EmbedderSpec(kind="hashing", model=model, dimension=dimension)
    report = run(folder, embedder=spec)
    with Index.open(folder.parent / "index") as opened:
        settings = opened.info().settings
        assert opened.search("the moon", 1)
    assert (model, dimension) == (settings.model, settings.dimension)
    assert report.embedder is not None
    assert model == report.embedder.model
    assert [spec, spec] == [recorder.spec for recorder in recorders]
    assert ["the moon"] == recorders[1].read


@dataclass
class Fussy(Recorder):
    """A service that refuses texts with one word in them."""

    refused: str = "forbidden"

    def embed(
        self, texts: Sequence[str], *, tick: Callable[[int], None] | None = None
    ) -> NDArray[np.float32]:
        if any(self.refused in text for text in texts):
            raise EmbedderRejected(f"the service refuses {self.refused!r}")
        return super().embed(texts, tick=tick)


def fussy_ingest(
    folder: Path, index: Path, refused: str, monkeypatch: pytest.MonkeyPatch
) -> IngestReport:
    load = registry.load

    def make(spec: EmbedderSpec, _: WorkerSettings) -> Fussy:
        return Fussy(spec, refused=refused)

    monkeypatch.setattr(
        registry, "load", lambda port, name: make if port == "embedders" else load(port, name)
    )
    spec = EmbedderSpec(kind="hashing", model="hashing", dimension=16)
    return ingest(folder, index=index, embedder=spec, chunker=CUT)


def test_a_text_that_the_service_refuses_fails_its_document_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """parity: S0-16"""
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "a.md").write_text("Alders like wet feet.")
    (folder / "b.md").write_text("# B\n\n" + "Fine words. " * 20 + "\n\nA forbidden word.")
    report = fussy_ingest(folder, tmp_path / "index", "forbidden", monkeypatch)
    (row,) = report.errors
    assert (file_uri(folder / "b.md"), "embed", "EmbedderRejected") == (
        row.uri,
        row.stage,
        row.error_type,
    )
    assert "refuses 'forbidden'" in row.message
    assert (1, 1, 2) == (report.counts.added, report.counts.failed, report.counts.documents)
    assert report.counts.add_up()
    with Index.open(tmp_path / "index") as index:
        assert [file_uri(folder / "a.md")] == [state.document_id for state in index.documents()]


def test_a_service_that_refuses_everything_fails_the_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.md").write_text("Alders like wet feet.")
    with pytest.raises(EmbedderRejected, match="refuses ''"):
        fussy_ingest(tmp_path / "a.md", tmp_path / "index", "", monkeypatch)
