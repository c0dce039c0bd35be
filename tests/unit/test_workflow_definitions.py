"""What holds for all workflow and activity definitions alike."""

from __future__ import annotations

import ast
import inspect
import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from pydantic import BaseModel
from temporalio.client import ClientConfig
from temporalio.contrib.pydantic import PydanticPayloadConverter

from durable_ingest.artifacts.local import LocalArtifacts
from durable_ingest.models import IndexSpec, IngestRequest
from durable_ingest.pipeline.resources import Resources
from durable_ingest.plugin import WORKFLOWS, DurableIngestPlugin
from durable_ingest.settings import WorkerSettings
from durable_ingest.temporal import contracts, names
from durable_ingest.temporal.options import OPTIONS, WORKFLOW_TASK_TIMEOUT
from durable_ingest.temporal.worker import activities_of

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "src" / "durable_ingest" / "temporal" / "workflows"
MODULES = sorted(FOLDER.glob("*.py"))

NAMES = [
    *(names.DESCRIBE, names.DISCOVER, names.PLAN, names.FETCH),
    *(names.PREPARE, names.EMBED, names.COMMIT, names.FINISH),
]
STUBS: dict[str, Callable[..., Any]] = {
    getattr(value, "__temporal_activity_definition").name: value
    for value in vars(contracts).values()
    if hasattr(value, "__temporal_activity_definition")
}


@pytest.fixture
def methods(tmp_path: Path) -> dict[str, Callable[..., Any]]:
    """The methods that workers register, by activity name."""
    resources, artifacts = Resources(WorkerSettings()), LocalArtifacts(tmp_path / "artifacts")
    found = [method for role in names.Role for method in activities_of(role, resources, artifacts)]
    return {getattr(method, "__temporal_activity_definition").name: method for method in found}


def signature(function: Callable[..., Any]) -> tuple[list[Any], Any]:
    """The types of the parameters but `self`, and of the result."""
    hints = get_type_hints(function)
    result = hints.pop("return")
    return list(hints.values()), result


def is_model(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, BaseModel)


def test_every_activity_takes_one_model_and_gives_one(
    methods: dict[str, Callable[..., Any]],
) -> None:
    """Parity: S4-05."""
    assert sorted(NAMES) == sorted(STUBS) == sorted(methods) == sorted(OPTIONS)
    for name in NAMES:
        taken, given = signature(STUBS[name])
        assert ([True], True) == ([is_model(each) for each in taken], is_model(given)), name
        assert (taken, given) == signature(methods[name])


def test_every_workflow_takes_one_model_and_gives_one_or_the_workshops_sentence() -> None:
    """The workshop's own result is a sentence, and stays one.

    Parity: S4-05.
    """
    for workflow in WORKFLOWS:
        taken, given = signature(vars(workflow)["run"])
        assert [True] == [is_model(each) for each in taken]
        name = getattr(workflow, "__temporal_workflow_definition").name
        assert (given is str) == (name in {names.WORKSHOP_WORKFLOW, names.WORKSHOP_WORKFLOW_CLASS})
        assert is_model(given) or given is str


def test_a_model_can_grow() -> None:
    """Payloads of newer code are read by older code, and the other way round.

    Parity: S4-05.
    """
    for name in NAMES:
        [taken], given = signature(STUBS[name])
        for model in (taken, given):
            assert "ignore" == model.model_config.get("extra", "ignore")
    index = {"uri": "file:///index"}
    expected = IngestRequest(index=IndexSpec(uri="file:///index"))
    assert expected == IngestRequest.model_validate({"index": index, "of_a_later_version": 1})


def test_activities_are_methods_that_are_given_their_parts(
    methods: dict[str, Callable[..., Any]],
) -> None:
    """Parity: S4-09."""
    for name, method in methods.items():
        assert inspect.ismethod(method), name
        assert ["resources", "artifacts"] == list(
            inspect.signature(type(method.__self__)).parameters
        )
        options = OPTIONS[name]
        assert 10 == options["heartbeat_timeout"].total_seconds()
        assert options["start_to_close_timeout"] > options["heartbeat_timeout"]
        assert 0 == options["retry_policy"].maximum_attempts


def test_workflow_code_gets_own_code_by_passed_through_imports_only() -> None:
    """Parity: S0-35."""
    tool = str(ROOT / "tools" / "check_workflow_imports.py")
    checked = subprocess.run(
        [sys.executable, tool, str(FOLDER)], capture_output=True, text=True, check=False
    )
    assert 0 == checked.returncode, checked.stdout
    assert f"files of workflow code: {len(MODULES)}" in checked.stdout


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_s0_d06_workflow_code_reads_no_environment_and_logs_by_no_logger_of_its_own(
    module: Path,
) -> None:
    tree = ast.parse(module.read_text("utf-8"))
    imported = {
        alias.name.partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    } | {
        (node.module or "").partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
    }
    assert imported <= {"asyncio", "datetime", "temporalio", "durable_ingest"}
    called = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert not called & {"print", "open", "input", logging.__name__}


def test_s0_d06_client_and_worker_share_one_converter() -> None:
    config = DurableIngestPlugin().configure_client(ClientConfig())  # type: ignore[typeddict-item]
    converter = config["data_converter"]
    assert PydanticPayloadConverter is converter.payload_converter_class


def test_workflow_tasks_stay_below_what_the_server_honours() -> None:
    """The server cuts what is longer than 120 s without a word.

    Parity: S0-D08.
    """
    assert 0 < WORKFLOW_TASK_TIMEOUT.total_seconds() <= 120
