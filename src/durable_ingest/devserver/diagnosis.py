"""What `durable-ingest doctor` says about the server: looked at, never fetched or built."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from durable_ingest.devserver.build import find_toolchain
from durable_ingest.devserver.cache import cached_path
from durable_ingest.devserver.download import download_base
from durable_ingest.devserver.executables import (
    EXECUTABLE_VARIABLE,
    HOW_TO_GET_ONE,
    Executable,
    find_executable,
)
from durable_ingest.devserver.versions import (
    PINNED_CLI,
    PINNED_SERVER,
    is_at_least,
    read_version,
)
from durable_ingest.errors import ServerUnavailable

__all__ = ["Finding", "diagnose"]


@dataclass(frozen=True)
class Finding:
    """One line of a diagnosis.

    Attributes:
        name: What was looked at.
        ok: False when something is wrong and should be put right; a place that merely holds
            nothing is not wrong.
        detail: What was seen.
        remedy: What to do; empty when nothing is needed.
    """

    name: str
    ok: bool
    detail: str
    remedy: str = ""


def diagnose() -> list[Finding]:
    """Look at every place a Temporal server may come from, in the order of `find_executable`.

    No network, no build; the executables that are found are asked for their version. The last
    findings are the verdict: which executable would be used, and which server it is meant to hold.
    """
    try:
        usable: Executable | None = find_executable(download=False, build=False)
    except ServerUnavailable:
        usable = None
    toolchain = _toolchain(needed=usable is None)
    return [
        _environment(),
        _path(),
        _cache(),
        Finding("download", ok=True, detail=f"from {download_base()}, when nothing else is found"),
        toolchain,
        _verdict(usable, can_build=toolchain.ok),
        Finding(
            "pinned version",
            ok=True,
            detail=f"Temporal CLI {PINNED_CLI} with server {PINNED_SERVER}",
        ),
    ]


def _environment() -> Finding:
    name = EXECUTABLE_VARIABLE
    given = os.environ.get(name)
    if not given:
        return Finding(name, ok=True, detail="not set")
    try:
        version = read_version(Path(given).expanduser().absolute())
    except ServerUnavailable as error:
        return Finding(name, ok=False, detail=str(error), remedy="correct it or unset it")
    if is_at_least(version):
        return Finding(name, ok=True, detail=f"{given!r}, version {version}")
    return Finding(
        name,
        ok=True,
        detail=f"{given!r}, version {version}, older than {PINNED_CLI}",
        remedy=f"use {PINNED_CLI} or newer if something is missing in it",
    )


def _path() -> Finding:
    found = shutil.which("temporal")
    if found is None:
        return Finding("PATH", ok=True, detail="no `temporal`")
    try:
        version = read_version(Path(found))
    except ServerUnavailable as error:
        return Finding("PATH", ok=True, detail=f"{error}: passed over")
    if is_at_least(version):
        return Finding("PATH", ok=True, detail=f"{found!r}, version {version}")
    return Finding(
        "PATH",
        ok=True,
        detail=f"{found!r} is version {version}, older than {PINNED_CLI}: passed over",
    )


def _cache() -> Finding:
    place = cached_path()
    if not place.exists():
        return Finding("cache", ok=True, detail=f"nothing at {str(place)!r} yet")
    try:
        version = read_version(place)
    except ServerUnavailable as error:
        return Finding("cache", ok=False, detail=str(error), remedy="the next start replaces it")
    return Finding("cache", ok=True, detail=f"{str(place)!r}, version {version}")


def _toolchain(*, needed: bool) -> Finding:
    try:
        found = find_toolchain()
    except ServerUnavailable as error:
        if needed:
            return Finding("go", ok=False, detail=str(error), remedy=HOW_TO_GET_ONE)
        return Finding("go", ok=True, detail=f"{error}; not needed")
    fetches = ", would fetch the newer toolchain that the build needs" if found.fetches else ""
    return Finding("go", ok=True, detail=f"{str(found.path)!r}, version {found.version}{fetches}")


def _verdict(usable: Executable | None, *, can_build: bool) -> Finding:
    if usable is not None:
        detail = f"{str(usable.path)!r}, version {usable.version}, found by: {usable.origin}"
        return Finding("Temporal server", ok=True, detail=detail)
    if os.environ.get(EXECUTABLE_VARIABLE):
        return Finding(
            "Temporal server",
            ok=False,
            detail=f"{EXECUTABLE_VARIABLE} names none that works",
            remedy=f"correct {EXECUTABLE_VARIABLE} or unset it",
        )
    if can_build:
        return Finding(
            "Temporal server",
            ok=True,
            detail="none yet; the first start downloads it or builds it with go (3 to 6 minutes)",
        )
    return Finding(
        "Temporal server",
        ok=False,
        detail="none here, and no go to build it with; only the download is left",
        remedy=HOW_TO_GET_ONE,
    )
