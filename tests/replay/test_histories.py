"""Every recorded history runs on today's code, offline."""

from __future__ import annotations

import hashlib
import json
import tomllib
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner

from durable_ingest.plugin import WORKFLOWS, DurableIngestPlugin
from durable_ingest.temporal.workflows.ingest_documents import IngestDocuments

HISTORIES = Path(__file__).parents[2] / "histories"
FILES = sorted(HISTORIES.rglob("*.json"))
SIDECAR_FIELDS = {"why", "scenario", "workflow_type", "workflow_id", "outcome", "events", "sha256"}


def name_of(path: Path) -> str:
    """A history's name in test ids."""
    return path.relative_to(HISTORIES).with_suffix("").as_posix()


def history_of(path: Path) -> WorkflowHistory:
    """A recorded history with the id that the run had; child ids derive from it."""
    sidecar = tomllib.loads(path.with_suffix(".toml").read_text(encoding="utf-8"))
    return WorkflowHistory.from_json(sidecar["workflow_id"], path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", FILES, ids=name_of)
async def test_the_history_replays(path: Path) -> None:
    replayer = Replayer(workflows=[], plugins=[DurableIngestPlugin()])
    await replayer.replay_workflow(history_of(path))


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_the_history_is_what_was_recorded(path: Path) -> None:
    text = path.read_bytes()
    sidecar = tomllib.loads(path.with_suffix(".toml").read_text(encoding="utf-8"))
    assert sidecar.keys() >= SIDECAR_FIELDS
    assert hashlib.sha256(text).hexdigest() == sidecar["sha256"]
    assert path.relative_to(HISTORIES).parts[0] == sidecar["workflow_type"]
    assert len(json.loads(text)["events"]) == sidecar["events"]
    # Without this flag the replayer compares neither ids nor types.
    assert 1 in sidecar["core_flags"]


def test_no_sidecar_is_without_its_history() -> None:
    sidecars = {path.with_suffix(".json") for path in HISTORIES.rglob("*.toml")}
    assert set(FILES) == sidecars


def test_every_workflow_type_has_a_history() -> None:
    recorded = {path.relative_to(HISTORIES).parts[0] for path in FILES}
    registered = {
        getattr(workflow, "__temporal_workflow_definition").name for workflow in WORKFLOWS
    }
    assert registered == recorded


async def test_a_changed_workflow_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control: the same history does not replay on other code."""

    async def skip_all_batches(self: IngestDocuments, cursor: object) -> object:
        return cursor

    monkeypatch.setattr(IngestDocuments, "_main_batches", skip_all_batches)
    replayer = Replayer(
        workflows=[],
        plugins=[DurableIngestPlugin()],
        # The sandbox would import the unchanged class anew.
        workflow_runner=UnsandboxedWorkflowRunner(),
    )
    history = history_of(HISTORIES / "IngestDocuments" / "v2" / "first-run.json")
    result = await replayer.replay_workflow(history, raise_on_replay_failure=False)
    assert result.replay_failure is not None
    assert "Nondeterminism" in str(result.replay_failure)
