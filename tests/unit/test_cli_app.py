"""The command line as it is called: help, version, missing extras, doctor."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import durable_ingest
from durable_ingest.cli import main
from durable_ingest.cli.examination import EXTRAS
from durable_ingest.cli.exits import MEANINGS

VERBS = (
    *("run", "search", "worker", "start", "status", "pause", "resume", "cancel"),
    *("doctor", "devserver"),
)
HEAVY = ("temporalio", "torch", "faiss", "numpy")
ROOT = Path(__file__).parents[2]


def called(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run code in a Python of its own, with this package."""
    package = str(Path(durable_ingest.__file__).parents[1])
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": package},
    )


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["run", "--help"]], ids=" ".join)
def test_help_and_version_load_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\n"
        "from durable_ingest.cli import main\n"
        "code = main(sys.argv[1:])\n"
        f"sys.exit(code or sorted(set({HEAVY!r}) & set(sys.modules)) or 0)\n"
    )
    done = called(code, *arguments)
    assert (0, "") == (done.returncode, done.stderr)


def test_help_names_every_verb_and_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == main(["--help"])
    text = capsys.readouterr().out
    lines = [line.split() for line in text.splitlines()]
    assert [verb for verb in VERBS if any(line[:1] == [verb] for line in lines)] == list(VERBS)
    for code, meaning in MEANINGS.items():
        assert [str(int(code)), *meaning.split()] in lines


def test_version_is_the_package_s(capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == main(["--version"])
    assert f"durable-ingest {durable_ingest.__version__}\n" == capsys.readouterr().out


@pytest.mark.parametrize("library", ["typer", "rich"])
def test_a_missing_library_is_named_with_the_command_that_brings_it(library: str) -> None:
    code = (
        "import sys\n"
        f"sys.modules[{library!r}] = None\n"
        "from durable_ingest.cli import main\n"
        "sys.exit(main([]))\n"
    )
    done = called(code)
    expected = (
        f"durable-ingest: {library} is not installed: pip install 'durable-ingest[cli]' brings it\n"
    )
    assert (2, "", expected) == (done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("module", ["durable_ingest", "durable_ingest.cli"])
def test_it_runs_as_a_module(module: str) -> None:
    package = str(Path(durable_ingest.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-m", module, "--version"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": package},
    )
    assert (0, f"durable-ingest {durable_ingest.__version__}\n") == (done.returncode, done.stdout)


@pytest.mark.parametrize(
    "arguments",
    [["fly"], ["run", "--wings"], ["search"], ["run", "docs", "--bulk-size", "0"]],
    ids=" ".join,
)
def test_wrong_usage_ends_with_two(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert 2 == main(arguments)
    out, err = capsys.readouterr()
    assert "" == out
    assert "Usage: durable-ingest" in err


@pytest.mark.parametrize(
    "arguments",
    [["fly"], ["run", "--wings"], ["search"], ["run", "docs", "--bulk-size", "0"]],
    ids=" ".join,
)
def test_wrong_usage_is_one_json_document_too_when_that_was_asked_for(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert 2 == main([*arguments, "--json"])
    out, err = capsys.readouterr()
    error = json.loads(out)["error"]
    assert ("InvalidInput", 2) == (error["type"], error["exit_code"])
    assert error["message"] in err


@pytest.mark.parametrize("library", ["typer", "durable_ingest.cli.app"])
def test_ctrl_c_while_libraries_are_imported_shows_no_traceback(library: str) -> None:
    code = (
        "import builtins, sys\n"
        "from durable_ingest.cli import main\n"
        "found = builtins.__import__\n"
        "def interrupted(name, *rest):\n"
        f"    if name == {library!r}:\n"
        "        raise KeyboardInterrupt\n"
        "    return found(name, *rest)\n"
        "builtins.__import__ = interrupted\n"
        "import importlib\n"
        "importlib.import_module = interrupted\n"
        "sys.exit(main())\n"
    )
    done = called(code, "--version")
    assert (130, "", "") == (done.returncode, done.stdout, done.stderr)


def test_the_exit_code_survives_threads_of_the_server_s_client() -> None:
    # The interpreter would abort in about every fifth such process while it is taken down.
    code = "import sys\nfrom durable_ingest.cli import main\nsys.exit(main())\n"
    arguments = ("worker", "--address", "127.0.0.1:1", "--role", "workflows")
    codes = [called(code, *arguments).returncode for _ in range(8)]
    assert [4] * 8 == codes


def test_closed_streams_are_no_error() -> None:
    code = (
        "import sys\n"
        "sys.stdout = sys.stderr = None\n"
        "from durable_ingest.cli import main\n"
        "sys.exit(main())\n"
    )
    assert 0 == called(code, "--version").returncode


def test_doctor_knows_the_extras_of_the_package() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    assert set(extras) - {"all"} == set(EXTRAS)
    for name, things in EXTRAS.items():
        required = {
            requirement.partition(">")[0].partition("=")[0].lower()
            for requirement in extras[name]
            if not requirement.startswith("durable-ingest")
        }
        assert required == set(things.values())


def test_doctor_says_what_is_here_as_lines_and_as_json(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    main(["doctor", "--index", str(tmp_path)])
    text = capsys.readouterr().out
    code = main(["doctor", "--json", "--index", str(tmp_path)])
    document = json.loads(capsys.readouterr().out)
    assert 1 == code
    assert document["works"] is False
    names = [finding["name"] for finding in document["findings"]]
    assert ["python", "durable-ingest", *(f"extra {name}" for name in EXTRAS)] == names[:8]
    assert {"Temporal server", "model", f"index {tmp_path}"} <= set(names)
    assert all(f"{name}:" in text for name in names)
    missing = document["findings"][-1]
    assert (False, True) == (missing["ok"], missing["needed"])
    assert "there is no index" in missing["detail"]


def test_without_unicode_doctor_marks_in_ascii() -> None:
    package = str(Path(durable_ingest.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-m", "durable_ingest", "doctor"],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONPATH": package, "PYTHONIOENCODING": "ascii"},
    )
    lines = done.stdout.decode("ascii").splitlines()
    assert lines[0].startswith("ok python: CPython 3.")
    assert lines[1].startswith("ok durable-ingest: ")
