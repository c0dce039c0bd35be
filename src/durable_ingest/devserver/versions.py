"""Which Temporal CLI is wanted, and which one a file on disk is."""

from __future__ import annotations

import re
from pathlib import Path

from durable_ingest.devserver.processes import run_briefly
from durable_ingest.errors import ServerUnavailable

__all__ = ["PINNED_CLI", "PINNED_SERVER", "is_at_least", "read_version"]

PINNED_CLI = "1.9.1"
"""Version of the Temporal CLI that the carried Go module builds."""

PINNED_SERVER = "1.32.0"
"""Version of the Temporal server inside that CLI."""

# It says: temporal version 1.9.1 (Server 1.32.0, UI 2.54.1)
_ANSWER = re.compile(r"temporal version (\S+)", re.IGNORECASE)
_NUMBERS = re.compile(r"v?(\d+)\.(\d+)(?:\.(\d+))?(-\S+)?$")
_ANSWER_SECONDS = 20.0  # a first start may read 150 MB from a cold disk


def is_at_least(version: str, wanted: str = PINNED_CLI) -> bool:
    """Tell whether `version` is `wanted` or newer; a pre-release counts as older than its release.

    Text that is no version number is never new enough.
    """
    found, needed = _ordered(version), _ordered(wanted)
    return found is not None and needed is not None and found >= needed


def _ordered(version: str) -> tuple[int, int, int, bool] | None:
    match = _NUMBERS.match(version.strip())
    if match is None:
        return None
    major, minor, patch, suffix = match.groups()
    return int(major), int(minor), int(patch or 0), suffix is None


def read_version(executable: Path) -> str:
    """Run `executable --version` and return the CLI's version, such as `1.9.1`.

    Raises:
        ServerUnavailable: The file is missing, does not run, or is not the Temporal CLI;
            the message is one sentence that names the file.
    """
    name = str(executable)
    if not executable.exists():
        raise ServerUnavailable(f"{name!r} does not exist")
    if executable.is_dir():
        raise ServerUnavailable(f"{name!r} is a folder, not the temporal executable")
    try:
        answer = run_briefly([name, "--version"], seconds=_ANSWER_SECONDS)
    except TimeoutError:
        raise ServerUnavailable(
            f"{name!r} did not answer --version within {_ANSWER_SECONDS:.0f} s"
        ) from None
    except OSError as error:
        raise ServerUnavailable(f"{name!r} cannot be run: {error.strerror or error}") from error
    match = _ANSWER.search(answer.output)
    if answer.code != 0 or match is None:
        said = answer.output.strip()[-200:]
        raise ServerUnavailable(
            f"{name!r} is not a working Temporal CLI: --version ended with code "
            f"{answer.code} and said {said!r}"
        )
    return match.group(1)
