"""Where a Temporal CLI comes from: six places, in one order, and a full account when all fail."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from durable_ingest.devserver.build import build_executable
from durable_ingest.devserver.cache import cached_path, place, preparing
from durable_ingest.devserver.download import download_executable
from durable_ingest.devserver.versions import PINNED_CLI, is_at_least, read_version
from durable_ingest.errors import ServerUnavailable

__all__ = ["EXECUTABLE_VARIABLE", "HOW_TO_GET_ONE", "Executable", "find_executable"]

EXECUTABLE_VARIABLE = "DURABLE_INGEST_TEMPORAL"

HOW_TO_GET_ONE = (
    f"install the Temporal CLI {PINNED_CLI} or newer and put `temporal` on PATH, or set "
    f"{EXECUTABLE_VARIABLE} to its path, or install go 1.26.8 or newer and try again"
)


@dataclass(frozen=True)
class Executable:
    """A Temporal CLI that runs.

    Attributes:
        path: The file.
        version: What it says of itself, such as `1.9.1`.
        origin: Where it was found: explicit, environment, path, cache, download or build.
    """

    path: Path
    version: str
    origin: str


@dataclass
class _Search:
    """One search and its account: a sentence for each place that gave nothing."""

    destination: Path
    say: Callable[[str], None]
    seen: list[str]

    def attempt(self, title: str, step: Callable[[], Executable]) -> Executable | None:
        try:
            return step()
        except (ServerUnavailable, OSError) as error:
            self.seen.append(f"{title}: {error}")
            return None

    def on_path(self) -> Executable:
        found = shutil.which("temporal")
        if found is None:
            raise ServerUnavailable("no `temporal`")
        version = read_version(Path(found))
        if not is_at_least(version):
            raise ServerUnavailable(
                f"{found!r} is version {version}, older than {PINNED_CLI}: passed over"
            )
        return Executable(Path(found), version, "path")

    def in_cache(self) -> Executable:
        if not self.destination.exists():
            raise ServerUnavailable(f"nothing at {str(self.destination)!r}")
        return Executable(self.destination, read_version(self.destination), "cache")

    def prepare(self, *, download_timeout: float | None, build: bool) -> Executable | None:
        with preparing(self.destination, self.say) as partial:
            if self.destination.exists():  # another process may have made it while this one waited
                found = self.attempt("cached executable, to be replaced", self.in_cache)
                if found is not None:
                    return found
            if download_timeout is None:
                self.seen.append("download: switched off")
            else:
                limit = download_timeout
                found = self.attempt(
                    "download",
                    lambda: self._keep(
                        download_executable(partial, timeout=limit, say=self.say), "download"
                    ),
                )
                if found is not None:
                    return found
                self.say(self.seen[-1])
            if not build:
                self.seen.append("go build: switched off")
                return None
            return self.attempt(
                "go build", lambda: self._keep(build_executable(partial, say=self.say), "build")
            )

    def _keep(self, candidate: Path, origin: str) -> Executable:
        candidate.chmod(0o755)
        version = read_version(candidate)
        if not is_at_least(version):
            raise ServerUnavailable(f"it gave version {version}, older than {PINNED_CLI}")
        place(candidate, self.destination)
        return Executable(self.destination, version, origin)


def find_executable(
    explicit: Path | None = None,
    *,
    download: bool = True,
    build: bool = True,
    say: Callable[[str], None] | None = None,
    download_timeout: float = 20.0,
) -> Executable:
    """Return a Temporal CLI that was run just now, getting or building one if need be.

    The order: `explicit`, then the environment variable `DURABLE_INGEST_TEMPORAL` (either is
    taken whatever its version, or refused aloud), `temporal` on PATH if it is the pinned version
    or newer, the cache, a download, a build of the carried Go module.

    Args:
        explicit: The executable to use; no other place is looked at.
        download: Whether the network may be asked.
        build: Whether go may be run.
        say: Gets one line for each thing that takes time; None keeps quiet.
        download_timeout: Seconds the download service has to answer, and the longest pause
            in a transfer.

    Raises:
        ServerUnavailable: None of it worked; the message lists each step with what was seen.
    """
    if explicit is not None:
        return _named(explicit, "explicit", "the executable given explicitly cannot be used")
    given = os.environ.get(EXECUTABLE_VARIABLE)
    if given:
        return _named(
            Path(given).expanduser(), "environment", f"{EXECUTABLE_VARIABLE} cannot be used"
        )
    search = _Search(
        cached_path(),
        say or _keep_quiet,
        ["explicit path: none given", f"{EXECUTABLE_VARIABLE}: not set"],
    )
    found = search.attempt("PATH", search.on_path) or search.attempt("cache", search.in_cache)
    if found is None and not (download or build):
        search.seen.append("download and go build: switched off")
    elif found is None:
        try:
            found = search.prepare(
                download_timeout=download_timeout if download else None, build=build
            )
        except ServerUnavailable as error:
            search.seen.append(str(error))
    if found is None:
        raise ServerUnavailable(_account(search.seen))
    return found


def _named(path: Path, origin: str, complaint: str) -> Executable:
    absolute = path.absolute()
    try:
        return Executable(absolute, read_version(absolute), origin)
    except ServerUnavailable as error:
        raise ServerUnavailable(f"{complaint}: {error}. To get one, {HOW_TO_GET_ONE}") from error


def _account(seen: list[str]) -> str:
    steps = "\n".join(f"  {number}. {text}" for number, text in enumerate(seen, start=1))
    return (
        f"no Temporal server was found or made; tried, in order:\n{steps}\n"
        f"To get one, {HOW_TO_GET_ONE}"
    )


def _keep_quiet(_line: str) -> None:
    """Say nothing."""
