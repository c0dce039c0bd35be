"""`index.json`: that a folder is an index, of which format, made with what."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from durable_ingest.errors import IndexMismatch, IndexMissing, InvalidInput
from durable_ingest.files import Files, make_folders, write_durably
from durable_ingest.ids import sha256
from durable_ingest.ports import IndexSettings
from durable_ingest.stores.layout import FORMAT, MANIFEST, NEIGHBOURS, OWN, Layout
from durable_ingest.stores.sealed import damaged, seal, unseal

_METRICS = ("cosine",)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What `index.json` says.

    Attributes:
        settings: What the index was made with.
        digest: SHA-256 of the file; the first commit names it as its predecessor.
    """

    settings: IndexSettings
    digest: str


def read_manifest(files: Files, layout: Layout) -> Manifest:
    """Read and verify `index.json`.

    Raises:
        IndexMissing: There is none.
        IndexMismatch: It has a newer format version.
        IndexDamaged: Its bytes are not what was written.
    """
    try:
        data = files.read(layout.manifest)
    except (FileNotFoundError, NotADirectoryError) as error:
        _refuse_headless(files, layout)
        raise IndexMissing(
            f"there is no index in {str(layout.directory)!r} (no {MANIFEST}): name the folder of an"
            " index, or build one with `durable-ingest run`"
        ) from error
    _refuse_newer_format(data, layout.manifest)
    content = unseal(data, layout.manifest)
    try:
        known = {each.name for each in fields(IndexSettings)}
        saved = content["settings"].items()
        settings = IndexSettings(**{name: value for name, value in saved if name in known})
    except (KeyError, TypeError, AttributeError) as error:
        raise damaged(layout.manifest, "its settings cannot be read") from error
    return Manifest(settings, sha256(data))


def create_manifest(files: Files, layout: Layout, settings: IndexSettings) -> None:
    """Make a folder an index; its name and those above it are durable afterwards.

    Raises:
        InvalidInput: The settings are senseless, or the folder holds other things.
        FileExistsError: Another process made it an index in between.
    """
    _check_settings(settings)
    _check_folder(files, layout)
    make_folders(files, layout.directory)
    for folder in layout.folders:
        files.make_directory(folder)
    content: dict[str, Any] = {
        "format": FORMAT,
        "settings": asdict(settings),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    # Synced before and written last: this file makes a folder an index, and must not outlive the
    # folders in it.
    files.sync_directory(layout.directory)
    write_durably(files, layout.manifest, [seal(content)], exclusive=True)
    files.sync_directory(layout.directory)


def compare_settings(ours: IndexSettings, theirs: IndexSettings, layout: Layout) -> None:
    """Check that an existing index was made with the settings that are asked for.

    Args:
        ours: What is asked for.
        theirs: What the index was made with.
        layout: Names the index in the message.

    Raises:
        IndexMismatch: Names each difference.
    """
    differences = [
        f"{each.name} is {getattr(theirs, each.name)!r}, asked for is {getattr(ours, each.name)!r}"
        for each in fields(IndexSettings)
        if each.compare and getattr(theirs, each.name) != getattr(ours, each.name)
    ]
    if differences:
        raise IndexMismatch(
            f"the index in {str(layout.directory)!r} was made with other settings:"
            f" {'; '.join(differences)}. Use the embedder it was made with, or another folder"
        )


@contextmanager
def explaining_permissions(layout: Layout) -> Iterator[None]:
    """Turn "not permitted" and "read-only file system" into `InvalidInput`."""
    try:
        yield
    except OSError as error:
        if not isinstance(error, PermissionError) and error.errno != errno.EROFS:
            raise
        raise InvalidInput(
            f"{str(layout.directory)!r} may not be written ({error.strerror or 'no permission'}):"
            " choose a folder that may, or open the index read-only"
        ) from error


def _refuse_newer_format(data: bytes, path: Path) -> None:
    # Before the digest: a newer format may seal its file in another way.
    with suppress(ValueError):
        content = json.loads(data)
        version = content.get("format") if isinstance(content, dict) else None
        if isinstance(version, int) and version > FORMAT:
            raise IndexMismatch(
                f"{str(path)!r} has format version {version!r}, this release reads up to {FORMAT}:"
                " install a newer durable-ingest"
            )


def _refuse_headless(files: Files, layout: Layout) -> None:
    with suppress(NotADirectoryError):
        if any(name.endswith(".json") for name in files.names(layout.commits)):
            raise damaged(layout.manifest, "it is missing, yet there are commits beside it")


def _check_settings(settings: IndexSettings) -> None:
    if settings.dimension < 1:
        raise InvalidInput(f"dimension is {settings.dimension!r}: it must be 1 or more")
    if settings.metric not in _METRICS:
        raise InvalidInput(
            f"metric is {settings.metric!r}: this store knows {', '.join(_METRICS)} only"
        )


def _check_folder(files: Files, layout: Layout) -> None:
    try:
        names = files.names(layout.directory)
    except NotADirectoryError as error:
        raise InvalidInput(f"{str(layout.directory)!r} is no folder: an index needs one") from error
    strangers = [
        name
        for name in names
        if name not in OWN | NEIGHBOURS and not name.startswith(f".{MANIFEST}.")
    ]
    if strangers:
        shown = ", ".join(repr(name) for name in strangers[:3])
        raise InvalidInput(
            f"{str(layout.directory)!r} is no index and holds other files ({shown}): name an empty"
            " folder or one that does not exist"
        )
    _refuse_headless(files, layout)
