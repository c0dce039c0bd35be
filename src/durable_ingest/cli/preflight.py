"""What can be known to be wrong before anything is started or written."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

from durable_ingest import registry
from durable_ingest.cli.folders import IndexFolder
from durable_ingest.cli.jobs import Job
from durable_ingest.errors import (
    IndexMismatch,
    IndexMissing,
    InvalidInput,
    MissingExtra,
    RunConflict,
    SourceUnreadable,
)
from durable_ingest.ids import path_of
from durable_ingest.models import DocumentRef
from durable_ingest.pipeline.discovering import discover
from durable_ingest.pipeline.recipe import index_settings
from durable_ingest.pipeline.resources import Resources
from durable_ingest.ports import IndexSettings, Store
from durable_ingest.settings import WorkerSettings

__all__ = ["check_job", "check_unfinished"]

_LIBRARIES = {"sentence-transformers": "sentence_transformers"}


def check_job(job: Job, folder: IndexFolder, settings: WorkerSettings) -> None:
    """Check sources, embedder, chunker and index of a job that is to run on this machine.

    Raises:
        TerminalError: One of them cannot serve; nothing was written.
    """
    resources = Resources(settings)
    try:
        _check_sources(job, resources)
        _check_library(job)
        embedder = resources.embedder(job.request.embedder)
        info = embedder.describe()
        resources.recipe(job.request.chunker, job.request.embedder, info, embedder.tokenizer_json())
    finally:
        resources.close()
    _check_folder(folder)
    _check_index(job, folder, index_settings(info, job.request.embedder))


def _check_sources(job: Job, resources: Resources) -> None:
    """Look for a first document of each target that may be read; of a list, for one at all."""
    groups = [job.request.sources] if job.listed else [[spec] for spec in job.request.sources]
    for group in groups:
        shut: list[DocumentRef] = []
        for item in discover(group, resources.source):
            if not isinstance(item, DocumentRef) or _is_open(item):
                break
            shut.append(item)
        else:
            if shut:
                raise SourceUnreadable(
                    f"no permission to read {str(_path_of(shut[0]))!r}, nor any other document "
                    f"there ({len(shut)} in all)"
                    if shut[1:]
                    else f"no permission to read {str(_path_of(shut[0]))!r}"
                )


def _is_open(document: DocumentRef) -> bool:
    path = _path_of(document)
    return path is None or os.access(path, os.R_OK)


def _path_of(document: DocumentRef) -> Path | None:
    """Where the document lies, None when it is no file."""
    place = document.location or document.uri
    return path_of(place) if place.startswith("file:") else None


def _check_library(job: Job) -> None:
    """Look for what would be missed only once the first batch is to be embedded."""
    needed = _LIBRARIES.get(job.request.embedder.kind)
    if needed is not None and find_spec(needed) is None:
        raise MissingExtra(needed.replace("_", "-"), extra="local")


def _check_folder(folder: IndexFolder) -> None:
    """Refuse a folder that holds other things; the store would, but only after a server's start."""
    from durable_ingest.stores.layout import MANIFEST, NEIGHBOURS, OWN  # noqa: PLC0415 - names only

    path = folder.path
    if not path.exists():
        return
    if not path.is_dir():
        raise InvalidInput(f"{str(path)!r} is no folder: an index needs one")
    known = OWN | NEIGHBOURS | {folder.cache.name}
    names = sorted(item.name for item in path.iterdir())
    strangers = [name for name in names if name not in known and not name.startswith(".")]
    if strangers and MANIFEST not in names:
        shown = ", ".join(repr(name) for name in strangers[:3])
        raise InvalidInput(
            f"{str(path)!r} is no index and holds other files ({shown}): name an empty folder, or "
            "one that does not exist"
        )


def _check_index(job: Job, folder: IndexFolder, wanted: IndexSettings) -> None:
    try:
        store: Store = registry.load("stores", job.request.index.kind).open(
            folder.path, read_only=True
        )
    except IndexMissing:
        return
    try:
        found = store.info().settings
        store.check()
    finally:
        store.close()
    if found == wanted:
        return
    differences = [
        f"{name} is {getattr(found, name)!r}, asked for is {getattr(wanted, name)!r}"
        for name in ("model", "dimension", "metric", "embedder")
        if getattr(found, name) != getattr(wanted, name)
    ]
    raise IndexMismatch(
        f"the index in {str(folder.path)!r} was made with other settings: "
        f"{'; '.join(differences)}. Use the embedder that it was made with, or another folder"
    )


def check_unfinished(folder: IndexFolder) -> None:
    """Refuse to write past an unfinished durable job.

    Raises:
        RunConflict: There is one.
    """
    note = folder.job()
    if note is not None:
        raise RunConflict(
            f"a job is unfinished on this index ({', '.join(note.targets)}, begun {note.started}): "
            "finish it by the same command without --in-process, or stop it with "
            "`durable-ingest cancel`"
        )
