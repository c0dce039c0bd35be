"""The package's surface: what it exports, and that importing it stays cheap."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

import durable_ingest
from durable_ingest import errors, registry
from durable_ingest.errors import InvalidInput, MissingExtra, TerminalError, TransientError

HEAVY = ("temporalio", "pydantic", "numpy", "faiss", "torch", "httpx", "typer", "rich")


def loaded_by(statement: str) -> set[str]:
    """Which of the heavy modules a statement loads in a fresh interpreter."""
    code = f"{statement}\nimport sys\nprint([m for m in {HEAVY!r} if m in sys.modules])"
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    return {name for name in HEAVY if repr(name) in output}


@pytest.mark.parametrize("name", durable_ingest.__all__)
def test_every_export_exists(name: str) -> None:
    assert getattr(durable_ingest, name) is not None


def test_exports_are_sorted_and_listed_by_dir() -> None:
    assert sorted(durable_ingest.__all__) == durable_ingest.__all__
    assert dir(durable_ingest) == durable_ingest.__all__


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        durable_ingest.nothing  # noqa: B018 - the access is the test


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert set() == loaded_by("import durable_ingest")


def test_importing_the_server_room_loads_nothing_heavy_of_the_halves() -> None:
    assert "temporalio" not in loaded_by("import durable_ingest.devserver")


def test_workflow_code_loads_no_adapter() -> None:
    loaded = loaded_by("import durable_ingest.plugin")
    assert not loaded & {"numpy", "faiss", "torch", "httpx", "typer", "rich"}


def test_every_error_is_terminal_or_transient_and_exported() -> None:
    classes = {
        name: value
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, Exception)
    }
    assert sorted(classes) == errors.__all__
    for name, value in classes.items():
        if name != "DurableIngestError":
            assert issubclass(value, (TransientError, TerminalError)), name
        assert name in (errors.__doc__ or "")


@pytest.mark.parametrize("port", ["sources", "converters", "chunkers", "embedders", "stores"])
def test_every_registry_line_leads_to_code(port: str) -> None:
    for name in registry.names(port):
        assert callable(registry.load(port, name))


def test_an_unknown_adapter_is_named_with_those_that_exist() -> None:
    with pytest.raises(InvalidInput, match="no chunker is called 'nope'; there are: structure"):
        registry.load("chunkers", "nope")


def test_a_missing_extra_says_how_to_get_it() -> None:
    require = import_module("durable_ingest._optional").require
    with pytest.raises(MissingExtra, match=r"pip install 'durable-ingest\[local\]'"):
        require("no_such_module_here", extra="local")
