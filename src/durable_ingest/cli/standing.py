"""What an index holds, and whether a job works on it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from durable_ingest import registry
from durable_ingest.cli.exits import ExitCode
from durable_ingest.cli.folders import IndexFolder, JobNote
from durable_ingest.cli.servers import running_server
from durable_ingest.cli.terminal import Terminal
from durable_ingest.devserver import ServerAddress
from durable_ingest.errors import IndexMissing
from durable_ingest.models import Progress
from durable_ingest.ports import StoreInfo

if TYPE_CHECKING:
    from durable_ingest.stores.faiss import FaissStore

__all__ = ["show_index"]


def show_index(place: str, terminal: Terminal) -> ExitCode:
    """Describe the index in a folder.

    Raises:
        IndexMissing: There is none, and no job is making one.
        IndexDamaged: It is not what was written.
    """
    folder = IndexFolder.at(place)
    note = folder.job()
    info: StoreInfo | None = None
    try:
        info = describe(folder)
    except IndexMissing:
        if note is None:
            raise
    server = running_server(folder.server)
    progress = None if server is None else _ask(folder, server)
    terminal.show(f"index      {folder.path}")
    if info is None:
        terminal.show("           nothing is committed yet")
    else:
        terminal.show(f"model      {info.settings.model} ({info.settings.dimension} dimensions)")
        terminal.show(f"documents  {info.documents}")
        terminal.show(f"chunks     {info.chunks}")
        terminal.show(f"vectors    {info.vectors}")
        terminal.show(f"head       {info.sequence} {info.head[:16]}".rstrip())
    terminal.show(f"job        {_spoken(note, progress, running=server is not None)}")
    terminal.emit(_document(folder, info, note, progress, server))
    return ExitCode.GOOD


def describe(folder: IndexFolder, *, verify: bool = False) -> StoreInfo:
    """Settings and counts of an index.

    Args:
        folder: Where it is.
        verify: Read every file of it and compare the digests.

    Raises:
        IndexMissing: There is none.
        IndexDamaged: It is not what was written.
    """
    store: FaissStore = registry.load("stores", "faiss").open(folder.path, read_only=True)
    try:
        return store.verify() if verify else store.info()
    finally:
        store.close()


def _ask(folder: IndexFolder, server: ServerAddress) -> Progress | None:
    from durable_ingest.cli.local import ask  # noqa: PLC0415 - brings temporalio

    return asyncio.run(ask(folder, server))


def _spoken(note: JobNote | None, progress: Progress | None, *, running: bool) -> str:
    if progress is not None and progress.status != "done":
        return (
            f"{progress.status}: {progress.counts.documents}/{progress.planned} documents, "
            f"{progress.counts.chunks} chunks"
        )
    if note is None:
        return "none is running"
    what = f"{', '.join(note.targets)}, begun {note.started}"
    if running:
        return f"unfinished ({what}); no worker answers for it now"
    return f"unfinished ({what}); `durable-ingest run` with the same targets goes on"


def _document(
    folder: IndexFolder,
    info: StoreInfo | None,
    note: JobNote | None,
    progress: Progress | None,
    server: ServerAddress | None,
) -> dict[str, Any]:
    job = None
    if note is not None:
        job = {
            "workflow_id": note.workflow,
            "targets": note.targets,
            "started_at": note.started,
            "running": progress is not None and progress.status != "done",
            "progress": None if progress is None else progress.model_dump(mode="json"),
        }
    return {
        "index": folder.uri,
        "model": info.settings.model if info else None,
        "dimension": info.settings.dimension if info else None,
        "documents": info.documents if info else 0,
        "chunks": info.chunks if info else 0,
        "vectors": info.vectors if info else 0,
        "sequence": info.sequence if info else 0,
        "head": info.head if info else "",
        "server": None if server is None else {"address": server.target_host, "pid": server.pid},
        "job": job,
    }
