"""`run` and `start`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from durable_ingest.cli import options as given
from durable_ingest.cli.exits import ExitCode
from durable_ingest.cli.guard import guarded
from durable_ingest.cli.terminal import Terminal

__all__ = ["run", "start"]


@guarded
def run(
    targets: given.TargetNames = None,
    *,
    input_file: given.Input = None,
    index: given.Index = given.DEFAULT_INDEX,
    in_process: Annotated[
        bool, typer.Option("--in-process", help="Without Temporal; what is committed stays.")
    ] = False,
    profile: given.Profile = None,
    task_queue: given.TaskQueue = None,
    as_json: given.AsJson = False,
    allow_root: Annotated[
        list[Path] | None,
        typer.Option(
            "--allow-root",
            metavar="DIR",
            help="One more folder that may be read, such as where links lead.",
            show_default=False,
        ),
    ] = None,
    allow_private: Annotated[
        bool, typer.Option("--allow-private", help="Web addresses may be on private networks.")
    ] = False,
    embedder: given.Embedder = None,
    model: given.Model = None,
    chunker: given.Chunker = None,
    chunk_size: given.ChunkSize = None,
    chunk_overlap: given.ChunkOverlap = None,
    chunk_unit: given.ChunkUnit = None,
    metadata: given.Metadata = None,
    bulk_size: given.BulkSize = None,
    window: given.Window = None,
    max_document_bytes: given.MaxDocumentBytes = None,
    verify_content: given.VerifyContent = False,
    keep_vanished: given.KeepVanished = False,
) -> ExitCode:
    """Ingest documents into an index, durably.

    Unchanged documents are skipped, vanished ones removed. Interrupted or killed, the same
    command goes on from there. Without --profile everything runs here; with it, the job runs at
    the workers of that server and is followed from here.
    """
    from durable_ingest.cli.jobs import JobOptions  # noqa: PLC0415 - --help stays light
    from durable_ingest.cli.runs import Place, run_job  # noqa: PLC0415 - --help stays light

    options = JobOptions(
        targets or (),
        input_file,
        index,
        embedder,
        model,
        chunker,
        chunk_size,
        chunk_overlap,
        chunk_unit,
        metadata or (),
        bulk_size,
        window,
        max_document_bytes,
        verify_content,
        keep_vanished,
    )
    place = Place(in_process, profile, task_queue, allow_root or (), allow_private)
    return run_job(options, place, Terminal(as_json=as_json))


@guarded
def start(
    targets: given.TargetNames = None,
    *,
    input_file: given.Input = None,
    index: given.Index = given.DEFAULT_INDEX,
    profile: given.Profile = None,
    task_queue: given.TaskQueue = None,
    as_json: given.AsJson = False,
    embedder: given.Embedder = None,
    model: given.Model = None,
    chunker: given.Chunker = None,
    chunk_size: given.ChunkSize = None,
    chunk_overlap: given.ChunkOverlap = None,
    chunk_unit: given.ChunkUnit = None,
    metadata: given.Metadata = None,
    bulk_size: given.BulkSize = None,
    window: given.Window = None,
    max_document_bytes: given.MaxDocumentBytes = None,
    verify_content: given.VerifyContent = False,
    keep_vanished: given.KeepVanished = False,
) -> ExitCode:
    """Start a job on a server, print its workflow id, and leave it to the workers.

    A job that is running already is found, not started again. Without --profile the server is
    the one that the TEMPORAL_* variables or the default profile name.
    """
    from durable_ingest.cli.jobs import JobOptions  # noqa: PLC0415 - --help stays light
    from durable_ingest.cli.remote import start_job  # noqa: PLC0415 - --help stays light

    options = JobOptions(
        targets or (),
        input_file,
        index,
        embedder,
        model,
        chunker,
        chunk_size,
        chunk_overlap,
        chunk_unit,
        metadata or (),
        bulk_size,
        window,
        max_document_bytes,
        verify_content,
        keep_vanished,
    )
    return start_job(options, profile, task_queue, Terminal(as_json=as_json))
