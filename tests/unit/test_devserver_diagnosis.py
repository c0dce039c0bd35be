"""`diagnose` names what is there and what is wrong; `start_arguments` what a server is told."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from durable_ingest.devserver import diagnose, free_port, start_arguments
from durable_ingest.devserver.cache import cached_path
from durable_ingest.devserver.launch import check_port
from durable_ingest.errors import InvalidInput, ServerUnavailable

GOOD = 'echo "temporal version 1.9.1 (Server 1.32.0, UI 2.54.1)"'
OLD = 'echo "temporal version 1.5.0 (Server 1.29.1, UI 2.40.0)"'


def script(path: Path, body: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a machine with nothing: the folder that is its PATH."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("DURABLE_INGEST_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("DURABLE_INGEST_TEMPORAL", raising=False)
    return tmp_path / "bin"


def seen() -> dict[str, tuple[bool, str]]:
    return {finding.name: (finding.ok, finding.detail) for finding in diagnose()}


def test_an_empty_machine_is_told_what_to_get(empty: Path) -> None:
    assert not empty.exists()
    findings = {finding.name: finding for finding in diagnose()}
    assert list(findings) == [
        "DURABLE_INGEST_TEMPORAL",
        "PATH",
        "cache",
        "download",
        "go",
        "Temporal server",
        "pinned version",
    ]
    assert [name for name, finding in findings.items() if not finding.ok] == [
        "go",
        "Temporal server",
    ]
    assert findings["Temporal server"].remedy.startswith("install the Temporal CLI 1.9.1")
    assert findings["pinned version"].detail == "Temporal CLI 1.9.1 with server 1.32.0"


def test_a_good_one_on_path_needs_nothing_else(empty: Path) -> None:
    file = script(empty / "temporal", GOOD)
    found = seen()
    assert found["PATH"] == (True, f"{str(file)!r}, version 1.9.1")
    assert found["Temporal server"] == (True, f"{str(file)!r}, version 1.9.1, found by: path")
    assert found["go"][0]


def test_an_old_one_on_path_is_said_to_be_passed_over(empty: Path) -> None:
    script(empty / "temporal", OLD)
    script(empty / "go", 'echo "go version go1.26.8 linux/amd64"')
    found = seen()
    assert found["PATH"][1].endswith("is version 1.5.0, older than 1.9.1: passed over")
    assert found["go"] == (True, f"{str(empty / 'go')!r}, version 1.26.8")
    assert found["Temporal server"][0]
    assert found["Temporal server"][1].startswith("none yet; the first start")


def test_a_variable_that_names_nothing_is_wrong(
    empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(empty / "temporal", GOOD)
    monkeypatch.setenv("DURABLE_INGEST_TEMPORAL", "/nowhere/temporal")
    found = seen()
    assert found["DURABLE_INGEST_TEMPORAL"] == (False, "'/nowhere/temporal' does not exist")
    assert not found["Temporal server"][0]


def test_an_old_one_that_was_named_is_used_and_remarked(
    empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = script(empty / "old", OLD)
    monkeypatch.setenv("DURABLE_INGEST_TEMPORAL", str(file))
    first = diagnose()[0]
    assert (first.ok, first.detail) == (True, f"{str(file)!r}, version 1.5.0, older than 1.9.1")
    assert first.remedy


def test_a_damaged_cache_is_wrong_and_left_alone(empty: Path) -> None:
    script(empty / "temporal", GOOD)
    script(cached_path(), "exit 1")
    found = seen()
    assert not found["cache"][0]
    assert cached_path().exists()


def test_a_server_is_told_all_it_needs() -> None:
    words = start_arguments(
        Path("/bin/temporal"),
        port=7233,
        namespace="mine",
        database="temporal.db",
        time_skipping=True,
        dynamic_config={"limit.blobSize.error": 5, "frontend.enableServerVersionCheck": True},
    )
    assert words == [
        *("/bin/temporal", "server", "start-dev", "--port", "7233", "--ip", "127.0.0.1"),
        *("--namespace", "mine", "--log-format", "pretty", "--log-level", "warn", "--headless"),
        *("--dynamic-config-value", "frontend.enableServerVersionCheck=true"),
        *("--dynamic-config-value", "frontend.enableUpdateWorkflowExecution=true"),
        *("--dynamic-config-value", "frontend.enableUpdateWorkflowExecutionAsyncAccepted=true"),
        *("--dynamic-config-value", "limit.blobSize.error=5"),
        *("--dynamic-config-value", "frontend.WorkflowTimeSkippingEnabled=true"),
        *("--db-filename", "temporal.db"),
    ]


def test_a_web_page_is_served_when_a_port_is_given() -> None:
    words = start_arguments(Path("temporal"), port=1, ui_port=8233)
    assert "--headless" not in words
    assert words[words.index("--ui-port") + 1] == "8233"


def test_a_free_port_can_be_used_and_a_taken_one_is_named() -> None:
    port = free_port()
    check_port(port)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        with pytest.raises(ServerUnavailable, match=f"port {port} on 127.0.0.1 cannot be used"):
            check_port(port)


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_number_that_is_no_port_is_refused(port: int) -> None:
    with pytest.raises(InvalidInput, match=f"port {port} is not between 1 and 65535"):
        check_port(port)
