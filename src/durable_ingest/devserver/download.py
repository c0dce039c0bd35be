"""The executable from the place where Temporal's SDKs get it.

The protocol is the SDKs' own: `GET {base}/cli/v{version}?arch=…&platform=…&format=tar.gz` answers
`{"archiveUrl", "fileToExtract"}`; the archive is a `.tar.gz` or a `.zip`.
"""

from __future__ import annotations

import gzip
import os
import platform
import sys
import tarfile
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlsplit

from durable_ingest.devserver.versions import PINNED_CLI
from durable_ingest.errors import ServerUnavailable

if TYPE_CHECKING:
    import httpx

__all__ = ["DOWNLOAD_VARIABLE", "download_base", "download_executable"]

DOWNLOAD_VARIABLE = "DURABLE_INGEST_TEMPORAL_DOWNLOAD"
_BASE = "https://temporal.download"
_MAX_BYTES = 1 << 30  # today's archive holds 160 MB
_CHUNK = 1 << 20
_DAMAGE = (tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, EOFError, zlib.error)
_SYSTEMS = {"linux": "linux", "darwin": "darwin", "win32": "windows"}
_MACHINES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def download_base() -> str:
    """Return the address asked for executables, without a slash at its end."""
    return (os.environ.get(DOWNLOAD_VARIABLE) or _BASE).rstrip("/")


def download_executable(partial: Path, *, timeout: float, say: Callable[[str], None]) -> Path:
    """Fetch the pinned CLI into the folder `partial` and return the file; nothing else is written.

    Args:
        partial: An empty folder of ours.
        timeout: Seconds for an answer, and for any pause in the transfer; the whole transfer
            may take fifteen times as long.
        say: Gets one line before the transfer.

    Raises:
        ServerUnavailable: It did not work out; the message is one sentence without its subject,
            fit to stand after `download:`.
    """
    import httpx  # noqa: PLC0415 - a quarter of a second that most starts can save

    archive, executable = partial / "archive", partial / "temporal"
    limits = httpx.Timeout(timeout, connect=min(timeout, 5.0))
    try:
        with httpx.Client(timeout=limits, follow_redirects=True, max_redirects=5) as client:
            address, wanted = _ask(client)
            say(f"downloading the Temporal CLI {PINNED_CLI} from {address}")
            _fetch(client, address, archive, deadline=time.monotonic() + 15 * timeout)
        _extract(archive, wanted, executable)
    except httpx.TimeoutException:
        raise ServerUnavailable(f"no answer from {download_base()} in {timeout:g} s") from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ServerUnavailable(f"{download_base()}: {error}") from error
    except _DAMAGE as error:
        raise ServerUnavailable(f"the archive is damaged or cut short: {error}") from error
    except OSError as error:
        raise ServerUnavailable(f"cannot write or unpack it: {error}") from error
    return executable


def _ask(client: httpx.Client) -> tuple[str, PurePosixPath]:
    system = _SYSTEMS.get(sys.platform)
    machine = _MACHINES.get(platform.machine().lower())
    if system is None or machine is None:
        raise ServerUnavailable(f"none is made for {sys.platform} on {platform.machine()}")
    response = client.get(
        f"{download_base()}/cli/v{PINNED_CLI}",
        params={"arch": machine, "platform": system, "format": "tar.gz"},
    )
    response.raise_for_status()
    try:
        answer: Any = response.json()
        address, name = answer["archiveUrl"], answer["fileToExtract"]
    except (ValueError, KeyError, TypeError):
        raise ServerUnavailable(
            f"the answer names no archiveUrl and fileToExtract: {response.text[:80]!r}"
        ) from None
    if not isinstance(address, str) or not isinstance(name, str):
        raise ServerUnavailable(f"archiveUrl and fileToExtract are no texts: {answer!r}")
    _check_scheme(address)
    wanted = PurePosixPath(name)
    if wanted.is_absolute() or ".." in wanted.parts or not wanted.parts:
        raise ServerUnavailable(f"the file to extract, {name!r}, lies outside the archive")
    return address, wanted


def _check_scheme(address: str) -> None:
    # The archive is run afterwards and has no published digest: the connection is its only proof.
    allowed = {"https", urlsplit(download_base()).scheme}
    if urlsplit(address).scheme not in allowed:
        raise ServerUnavailable(f"the archive's address {address!r} is not https")


def _fetch(client: httpx.Client, address: str, archive: Path, *, deadline: float) -> None:
    size = 0
    with client.stream("GET", address) as response, archive.open("wb") as file:
        response.raise_for_status()
        _check_scheme(str(response.url))
        for chunk in response.iter_raw(_CHUNK):
            size += len(chunk)
            if size > _MAX_BYTES:
                raise ServerUnavailable(f"the archive is over {_MAX_BYTES} bytes")
            if time.monotonic() > deadline:
                raise ServerUnavailable(f"too slow: {size} bytes when the time was up")
            file.write(chunk)


def _extract(archive: Path, wanted: PurePosixPath, executable: Path) -> None:
    # Only the wanted member is read, and its own name is never used as a path.
    with archive.open("rb") as file:
        magic = file.read(2)
    if magic == b"PK":
        with zipfile.ZipFile(archive) as box:
            for info in box.infolist():
                if PurePosixPath(info.filename) == wanted and not info.is_dir():
                    with box.open(info) as source:
                        return _copy(source, executable)
    else:
        with tarfile.open(archive, "r:gz") as tape:
            for member in tape:
                if PurePosixPath(member.name) == wanted and member.isfile():
                    stream = tape.extractfile(member)
                    assert stream is not None  # it is a regular file
                    return _copy(stream, executable)
    raise ServerUnavailable(f"the archive holds no file {str(wanted)!r}")


def _copy(source: IO[bytes], executable: Path) -> None:
    size = 0
    with executable.open("wb") as file:
        while chunk := source.read(_CHUNK):
            size += len(chunk)
            if size > _MAX_BYTES:
                raise ServerUnavailable(f"the file in the archive is over {_MAX_BYTES} bytes")
            file.write(chunk)
