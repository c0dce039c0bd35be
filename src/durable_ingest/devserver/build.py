"""The executable from source: a Go module of one import, carried in this package.

`go install …@version` refuses modules that replace one of their own folders, as the CLI does;
a module of our own that repeats the replacement builds, and its `go.sum` pins every byte.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import IO

from durable_ingest.devserver.cache import note_worker
from durable_ingest.devserver.processes import end_group, run_briefly
from durable_ingest.devserver.versions import PINNED_CLI
from durable_ingest.errors import ServerUnavailable

__all__ = ["MINIMUM_GO", "Toolchain", "build_executable", "find_toolchain"]

MINIMUM_GO = (1, 26, 8)
"""What `go.mod` of the carried module asks for."""

_FIRST_SWITCHING_GO = (1, 21, 0)  # from here on `go` fetches a newer toolchain when it may
_MODULE_FILES = ("go.mod", "go.sum", "tools.go")
_VERSION = re.compile(r"\bgo(\d+)\.(\d+)(?:\.(\d+))?")
_LIMIT_SECONDS = 3600.0
_REPORT_SECONDS = 10.0
_TAIL_LINES = 25


@dataclass(frozen=True)
class Toolchain:
    """A `go` command that can build the module.

    Attributes:
        path: The command.
        version: Its own version, such as `1.26.8`.
        fetches: Whether it will first fetch a newer toolchain by itself.
    """

    path: Path
    version: str
    fetches: bool


def find_toolchain() -> Toolchain:
    """Find a `go` on PATH that can build the carried module; no network.

    Raises:
        ServerUnavailable: There is none, or it is too old and may not fetch a newer one.
    """
    needed = ".".join(map(str, MINIMUM_GO))
    place = shutil.which("go")
    if place is None:
        raise ServerUnavailable(f"no `go` on PATH (version {needed} or newer is needed)")
    said = _ask_go(place, "version")
    match = _VERSION.search(said)
    if match is None:
        raise ServerUnavailable(f"{place!r} does not say its version: {said[-200:]!r}")
    numbers = (int(match[1]), int(match[2]), int(match[3] or 0))
    version = ".".join(map(str, numbers))
    if numbers >= MINIMUM_GO:
        return Toolchain(Path(place), version, fetches=False)
    setting = _ask_go(place, "env", "GOTOOLCHAIN").strip()
    if numbers < _FIRST_SWITCHING_GO or not setting.endswith(("auto", "path")):
        raise ServerUnavailable(
            f"{place!r} is go {version} (GOTOOLCHAIN={setting!r}), too old: install go {needed} "
            "or newer, or set GOTOOLCHAIN=auto so that go fetches it (go 1.21 and later can)"
        )
    return Toolchain(Path(place), version, fetches=True)


def _ask_go(place: str, *question: str) -> str:
    try:
        answer = run_briefly([place, *question], seconds=20)
    except (OSError, TimeoutError) as error:
        raise ServerUnavailable(f"{place!r} does not run: {error}") from error
    if answer.code != 0:
        raise ServerUnavailable(f"`go {' '.join(question)}` failed: {answer.output[-200:]!r}")
    return answer.output


def build_executable(partial: Path, *, say: Callable[[str], None]) -> Path:
    """Build the pinned CLI in the folder `partial` and return the file.

    `say` gets a line at the start and every ten seconds. The build's processes end with this
    call, also when it is interrupted; go's own build cache lets the next one go on from there.

    Raises:
        ServerUnavailable: There is no fitting go, or the build failed; its last output is in
            the message.
    """
    toolchain = find_toolchain()
    source, executable = partial / "module", partial / "temporal"
    source.mkdir()
    for name in _MODULE_FILES:
        data = (files("durable_ingest.devserver") / "gomodule" / name).read_bytes()
        (source / name).write_bytes(data)
    fetched = ", after fetching a newer toolchain" if toolchain.fetches else ""
    say(
        f"building the Temporal CLI {PINNED_CLI} with go {toolchain.version}{fetched}: "
        "once, 3 to 6 minutes"
    )
    flags = f"-s -w -X github.com/temporalio/cli/internal/temporalcli.Version={PINNED_CLI}"
    command = [str(toolchain.path), "build", "-v", "-mod=readonly", "-trimpath", "-ldflags", flags]
    command += ["-o", str(executable), "github.com/temporalio/cli/cmd/temporal"]
    tail = _run_build(command, source, partial, say)
    if not executable.is_file():
        raise ServerUnavailable(f"go build ended well but made no file; it said:\n{tail}")
    return executable


def _build_environment() -> dict[str, str]:
    # A cross-compiling shell or a surrounding workspace must not decide what is built here.
    left_out = {"GOOS", "GOARCH", "GOFLAGS", "GOEXPERIMENT"}
    kept = {name: value for name, value in os.environ.items() if name not in left_out}
    return {**kept, "CGO_ENABLED": "0", "GOWORK": "off", "GO111MODULE": "on"}


def _run_build(command: list[str], source: Path, partial: Path, say: Callable[[str], None]) -> str:
    begun = time.monotonic()
    process = subprocess.Popen(  # noqa: S603 - the go found above, with arguments of our own
        command,
        cwd=source,
        env=_build_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    assert process.stdout is not None  # a pipe was asked for
    output = _Output(process.stdout)
    try:
        note_worker(partial, process.pid)
        while process.returncode is None:
            try:
                process.wait(timeout=_REPORT_SECONDS)
            except subprocess.TimeoutExpired:
                spent = time.monotonic() - begun
                if spent > _LIMIT_SECONDS:
                    raise ServerUnavailable(
                        f"go build was still running after {spent:.0f} s; it said:\n{output.tail()}"
                    ) from None
                say(f"building: {output.packages} packages compiled, {spent:.0f} s")
    finally:
        # Also after success: whatever go left running would keep the pipe open.
        end_group(process.pid)
        process.wait()
        output.close()
    if process.returncode != 0:
        raise ServerUnavailable(
            f"go build ended with code {process.returncode}; it said:\n{output.tail()}"
        )
    say(f"built in {time.monotonic() - begun:.0f} s")
    return output.tail()


class _Output:
    """Reads a build's output as it comes: counts packages, keeps the last other lines."""

    def __init__(self, stream: IO[str]) -> None:
        self.packages = 0
        self._lines: deque[str] = deque(maxlen=_TAIL_LINES)
        self._stream = stream
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with contextlib.suppress(ValueError):  # closed under the reader
            for line in self._stream:
                if " " in line.strip():
                    self._lines.append(line.rstrip())
                else:
                    self.packages += 1  # -v prints the import path, and nothing else, for each

    def tail(self) -> str:
        return "\n".join(f"    {line}" for line in self._lines) or "    (nothing)"

    def close(self) -> None:
        self._reader.join(timeout=5)
        if not self._reader.is_alive():
            self._stream.close()
