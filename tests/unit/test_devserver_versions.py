"""Versions are compared as numbers, and read from the executable itself."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from durable_ingest.devserver.versions import is_at_least, read_version
from durable_ingest.errors import ServerUnavailable


@dataclass(frozen=True)
class Case:
    id: str
    version: str
    wanted: str
    expected: bool


CASES = [
    Case("the same", "1.9.1", "1.9.1", expected=True),
    Case("as numbers, not as text", "1.10.0", "1.9.1", expected=True),
    Case("next major", "2.0.0", "1.9.1", expected=True),
    Case("older patch", "1.9.0", "1.9.1", expected=False),
    Case("no patch number", "1.9", "1.9.1", expected=False),
    Case("leading v", "v1.9.1", "1.9.1", expected=True),
    Case("pre-release of the same", "1.9.1-rc.1", "1.9.1", expected=False),
    Case("pre-release of a newer one", "1.10.0-rc.1", "1.9.1", expected=True),
    Case("development build", "0.0.0-DEV", "1.9.1", expected=False),
    Case("no version at all", "unknown", "1.9.1", expected=False),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_versions_are_compared_as_numbers(case: Case) -> None:
    assert case.expected == is_at_least(case.version, case.wanted)


def script(path: Path, body: str) -> Path:
    path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def test_the_version_is_what_the_executable_says(tmp_path: Path) -> None:
    file = script(tmp_path / "t", 'echo "temporal version 1.9.1 (Server 1.32.0, UI 2.54.1)"')
    assert read_version(file) == "1.9.1"


@dataclass(frozen=True)
class Broken:
    id: str
    body: str | None
    said: str


BROKEN = [
    Broken("missing", None, "does not exist"),
    Broken("another program", "echo temporal worker 3", "is not a working Temporal CLI"),
    Broken("fails", "echo boom; exit 3", "ended with code 3 and said 'boom'"),
]


@pytest.mark.parametrize("case", BROKEN, ids=lambda case: case.id)
def test_a_file_that_is_no_temporal_cli_is_named_with_its_fault(
    case: Broken, tmp_path: Path
) -> None:
    file = tmp_path / "t"
    if case.body is not None:
        script(file, case.body)
    with pytest.raises(ServerUnavailable, match=case.said) as caught:
        read_version(file)
    assert repr(str(file)) in str(caught.value)


def test_a_folder_and_a_file_without_permission_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ServerUnavailable, match="is a folder"):
        read_version(tmp_path)
    plain = tmp_path / "plain"
    plain.write_text("temporal", encoding="utf-8")
    with pytest.raises(ServerUnavailable, match="cannot be run"):
        read_version(plain)


def test_an_executable_that_never_answers_is_given_up_with_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("durable_ingest.devserver.versions._ANSWER_SECONDS", 0.3)
    begun = time.monotonic()
    with pytest.raises(ServerUnavailable, match="did not answer --version"):
        read_version(script(tmp_path / "t", "sleep 60 & sleep 60"))
    assert time.monotonic() - begun < 5
