"""An executable is taken from the first place that has a good one, or the account is complete.

`go` and `temporal` are small scripts here, found on a PATH that holds nothing else.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from durable_ingest.devserver import Executable, find_executable
from durable_ingest.devserver.cache import cached_path
from durable_ingest.devserver.processes import start_time
from durable_ingest.errors import ServerUnavailable

GOOD = 'echo "temporal version 1.9.1 (Server 1.32.0, UI 2.54.1)"'
OLD = 'echo "temporal version 1.5.0 (Server 1.29.1, UI 2.40.0)"'


def script(path: Path, body: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{body}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


@dataclass(frozen=True)
class Place:
    """A machine with nothing on it: an empty PATH, an empty cache, a log of go's builds."""

    root: Path

    @property
    def bin(self) -> Path:
        return self.root / "bin"

    @property
    def builds(self) -> list[str]:
        log = self.root / "builds"
        return log.read_text(encoding="utf-8").splitlines() if log.exists() else []

    @property
    def leftovers(self) -> list[Path]:
        return list(cached_path().parent.glob("partial-*"))

    def go(
        self,
        *,
        version: str = "1.26.8",
        toolchain: str = "local",
        before: str = ":",
        made: str = GOOD,
        end: str = ":",
    ) -> None:
        """Put a `go` on PATH whose build runs `before`, writes `made` and runs `end`."""
        script(
            self.bin / "go",
            f"""
case "$1" in
version) echo "go version go{version} linux/amd64" ;;
env) echo "{toolchain}" ;;
build)
  echo "$PWD $CGO_ENABLED $GOWORK $*" >>'{self.root}/builds'
  while [ "$1" != -o ]; do shift; done
  echo golang.org/x/sys
  echo "some compiler line"
  {before}
  printf '#!/bin/sh\\n%s\\n' '{made}' >"$2"
  {end} ;;
esac""",
        )


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    made = Place(tmp_path)
    made.bin.mkdir()
    monkeypatch.setenv("PATH", str(made.bin))
    monkeypatch.setenv("DURABLE_INGEST_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("DURABLE_INGEST_TEMPORAL", raising=False)
    # Nobody listens there: a download fails at once.
    monkeypatch.setenv("DURABLE_INGEST_TEMPORAL_DOWNLOAD", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "*")
    return made


def test_each_place_is_taken_only_when_none_before_it_has_one(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.go()
    assert find_executable() == Executable(cached_path(), "1.9.1", "build")
    assert find_executable() == Executable(cached_path(), "1.9.1", "cache")
    on_path = script(place.bin / "temporal", GOOD)
    assert find_executable() == Executable(on_path, "1.9.1", "path")
    named = script(place.root / "named", OLD)
    monkeypatch.setenv("DURABLE_INGEST_TEMPORAL", str(named))
    assert find_executable() == Executable(named, "1.5.0", "environment")
    explicit = script(place.root / "explicit", OLD)
    assert find_executable(explicit) == Executable(explicit, "1.5.0", "explicit")
    assert len(place.builds) == 1


def test_an_older_one_on_path_is_passed_over(place: Place) -> None:
    script(place.bin / "temporal", OLD)
    place.go()
    assert find_executable().origin == "build"


def test_one_that_was_named_and_does_not_work_is_refused_not_replaced(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.go()
    missing = place.root / "missing"
    with pytest.raises(ServerUnavailable, match=r"given explicitly cannot be used.*does not exist"):
        find_executable(missing)
    monkeypatch.setenv("DURABLE_INGEST_TEMPORAL", str(missing))
    with pytest.raises(
        ServerUnavailable, match=r"DURABLE_INGEST_TEMPORAL cannot be used.*does not exist"
    ):
        find_executable()
    assert place.builds == []


def test_the_error_lists_every_step_and_how_to_get_one(place: Place) -> None:
    script(place.bin / "temporal", OLD)
    with pytest.raises(ServerUnavailable) as caught:
        find_executable()
    lines = str(caught.value).splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "no Temporal server was found or made; tried, in order",
        "  1. explicit path",
        "  2. DURABLE_INGEST_TEMPORAL",
        "  3. PATH",
        "  4. cache",
        "  5. download",
        "  6. go build",
        lines[-1],
    ]
    assert "older than 1.9.1" in lines[3]
    assert "127.0.0.1:9" in lines[5]
    assert "no `go` on PATH" in lines[6]
    assert lines[-1].startswith("To get one, install the Temporal CLI 1.9.1")


def test_network_and_go_are_left_alone_when_told_so(place: Place) -> None:
    place.go()
    with pytest.raises(ServerUnavailable, match=r"5\. download and go build: switched off"):
        find_executable(download=False, build=False)
    with pytest.raises(ServerUnavailable, match=r"6\. go build: switched off"):
        find_executable(build=False)
    assert place.builds == []
    place.go(version="1.0")
    with pytest.raises(ServerUnavailable, match=r"5\. download: switched off"):
        find_executable(download=False)


def test_the_build_is_told_apart_from_its_surroundings(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOFLAGS", "-mod=vendor")
    monkeypatch.setenv("GOWORK", "/somewhere/go.work")
    lines: list[str] = []
    place.go(before='cat go.mod go.sum tools.go >/dev/null || exit 9; [ -z "$GOFLAGS" ] || exit 8')
    assert find_executable(say=lines.append).origin == "build"
    (build,) = place.builds
    assert " 0 off build " in build
    assert "temporalcli.Version=1.9.1" in build
    assert any("building the Temporal CLI 1.9.1 with go 1.26.8" in line for line in lines)
    assert place.leftovers == []


def test_progress_is_shown_while_go_builds(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("durable_ingest.devserver.build._REPORT_SECONDS", 0.05)
    gate = place.root / "gate"
    place.go(before=f"while [ ! -e '{gate}' ]; do sleep 0.02; done")
    lines: list[str] = []

    def note(line: str) -> None:
        lines.append(line)
        if line.startswith("building: 1 packages compiled"):
            gate.touch()

    find_executable(say=note)
    assert any(line.startswith("building: 1 packages compiled") for line in lines)
    assert lines[-1].startswith("built in ")


@dataclass(frozen=True)
class Failing:
    id: str
    go: Callable[[Place], None]
    said: str


FAILING = [
    Failing(
        "compiler error",
        lambda place: place.go(before="echo 'x.go:1: undefined: y'; exit 2"),
        r"go build ended with code 2; it said:\n.*some compiler line\n.*x.go:1: undefined: y",
    ),
    Failing("no file", lambda place: place.go(end='rm "$2"'), "made no file"),
    Failing(
        "file that does not run",
        lambda place: place.go(made="exit 7"),
        "not a working Temporal CLI: --version ended with code 7",
    ),
    Failing(
        "too old, may not fetch",
        lambda place: place.go(version="1.22.0"),
        "go 1.22.0 .GOTOOLCHAIN='local'., too old: install go 1.26.8",
    ),
    Failing(
        "too old to fetch",
        lambda place: place.go(version="1.20", toolchain="auto"),
        "go 1.20.0 .*, too old",
    ),
    Failing("odd version", lambda place: place.go(version="?"), "does not say its version"),
]


@pytest.mark.parametrize("case", FAILING, ids=lambda case: case.id)
def test_a_build_that_fails_says_why_and_leaves_nothing(case: Failing, place: Place) -> None:
    case.go(place)
    with pytest.raises(ServerUnavailable, match=f"(?s)6. go build: .*{case.said}"):
        find_executable()
    assert not cached_path().exists()
    assert place.leftovers == []


def test_an_older_go_that_may_fetch_its_successor_is_used(place: Place) -> None:
    lines: list[str] = []
    place.go(version="1.24.1", toolchain="auto")
    assert find_executable(say=lines.append).origin == "build"
    assert any("after fetching a newer toolchain" in line for line in lines)


@pytest.mark.parametrize("content", [b"", b"\x7fELF cut sho", b"#!/bin/sh\nexit 1\n"])
def test_a_cached_file_that_does_not_run_is_replaced(content: bytes, place: Place) -> None:
    cached_path().parent.mkdir(parents=True)
    cached_path().write_bytes(content)
    cached_path().chmod(0o755)
    place.go()
    assert find_executable() == Executable(cached_path(), "1.9.1", "build")
    assert find_executable().origin == "cache"


def test_a_cache_that_cannot_be_written_is_named(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place.root / "file").touch()
    monkeypatch.setenv("DURABLE_INGEST_CACHE", str(place.root / "file"))
    place.go()
    with pytest.raises(ServerUnavailable, match=r"cache folder .* cannot be written"):
        find_executable()


SEARCH = """
import sys
from durable_ingest.devserver import find_executable
print(find_executable(say=lambda line: print(line, flush=True)).origin)
"""


def search() -> subprocess.Popen[str]:
    """Start a process that searches and prints what it says, then the origin."""
    return subprocess.Popen([sys.executable, "-c", SEARCH], stdout=subprocess.PIPE, text=True)


def read_until(process: subprocess.Popen[str], words: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if words in line:
            return
    pytest.fail(f"the process ended without saying {words!r}")


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_two_processes_build_once(place: Place) -> None:
    gate = place.root / "gate"
    place.go(before=f"while [ ! -e '{gate}' ]; do sleep 0.02; done")
    with search() as first:
        read_until(first, "building the Temporal CLI")
        with search() as second:
            read_until(second, "another process is preparing the Temporal server; waiting")
            gate.touch()
            assert first.communicate()[0].splitlines()[-1] == "build"
            assert second.communicate()[0].splitlines()[-1] == "cache"
    assert len(place.builds) == 1
    assert place.leftovers == []


def test_a_build_that_was_killed_is_cleared_away_and_done_again(place: Place) -> None:
    place.go(before="sleep 600", made="exit 1")
    with search() as killed:
        read_until(killed, "building the Temporal CLI")
        wait_for(lambda: any((left / "worker.json").exists() for left in place.leftovers))
        killed.kill()
    (left,) = place.leftovers
    worker = json.loads((left / "worker.json").read_text(encoding="utf-8"))
    assert start_time(worker["pid"]) == worker["started"]  # go outlived its parent
    (left / "temporal").write_bytes(b"half a binary")

    place.go()
    assert find_executable() == Executable(cached_path(), "1.9.1", "build")
    assert place.leftovers == []
    wait_for(lambda: start_time(worker["pid"]) != worker["started"])


def test_an_interrupted_build_takes_its_processes_along(place: Place) -> None:
    place.go(before="sleep 600")
    with search() as interrupted:
        read_until(interrupted, "building the Temporal CLI")
        wait_for(lambda: any((left / "worker.json").exists() for left in place.leftovers))
        (left,) = place.leftovers
        worker = json.loads((left / "worker.json").read_text(encoding="utf-8"))
        interrupted.send_signal(2)
        interrupted.communicate()
    assert start_time(worker["pid"]) != worker["started"]
    assert place.leftovers == []
    assert not cached_path().exists()


def test_importing_the_package_imports_neither_temporalio_nor_httpx() -> None:
    code = (
        "import sys, durable_ingest.devserver\n"
        "print([name for name in ('temporalio', 'httpx') if name in sys.modules])"
    )
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert output.stdout.strip() == "[]"


def test_the_cache_is_the_platforms_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DURABLE_INGEST_CACHE", raising=False)
    assert cached_path().parts[-4:] == ("durable-ingest", "temporal", "1.9.1", "temporal")
    monkeypatch.setenv("DURABLE_INGEST_CACHE", "~/elsewhere")
    assert cached_path() == Path.home() / "elsewhere" / "temporal" / "1.9.1" / "temporal"
