"""`worker` and `devserver`: what runs until it is told to stop."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from durable_ingest.cli import options as given
from durable_ingest.cli.exits import ExitCode
from durable_ingest.cli.guard import guarded
from durable_ingest.cli.terminal import Terminal

__all__ = ["devserver", "worker"]


@guarded
def worker(
    *,
    profile: given.Profile = None,
    role: Annotated[
        list[str] | None,
        typer.Option(
            "--role",
            metavar="ROLE",
            help="workflows, io, cpu, gpu or index; may be repeated.  [default: all]",
            show_default=False,
        ),
    ] = None,
    index: Annotated[
        list[str] | None,
        typer.Option(
            "--index",
            metavar="DIR",
            help="Index that the role `index` writes to; may be repeated.",
            show_default=False,
        ),
    ] = None,
    task_queue: given.TaskQueue = None,
    address: Annotated[
        str | None,
        typer.Option(
            "--address",
            metavar="HOST:PORT",
            help="Temporal server, instead of the profile's.",
            show_default=False,
        ),
    ] = None,
    namespace: Annotated[
        str | None,
        typer.Option(
            "--namespace",
            metavar="NAME",
            help="Temporal namespace, instead of the profile's.",
            show_default=False,
        ),
    ] = None,
    artifacts: Annotated[
        Path | None,
        typer.Option(
            "--artifacts",
            metavar="DIR",
            help="Folder that all workers of a job share.  [env: DURABLE_INGEST_ARTIFACTS]",
            show_default=False,
        ),
    ] = None,
    allow_root: Annotated[
        list[Path] | None,
        typer.Option(
            "--allow-root",
            metavar="DIR",
            help="Folder that may be read; may be repeated.  [env: DURABLE_INGEST_ALLOWED_ROOTS]",
            show_default=False,
        ),
    ] = None,
    vector_cache: Annotated[
        Path | None,
        typer.Option(
            "--vector-cache",
            metavar="FILE",
            help="Keeps vectors across retries.  [env: DURABLE_INGEST_VECTOR_CACHE]",
            show_default=False,
        ),
    ] = None,
) -> ExitCode:
    """Do the work of a server's jobs until Ctrl-C or SIGTERM; `ready` on stderr says it began.

    Everything else comes from DURABLE_INGEST_* variables.
    """
    from durable_ingest.cli.workers import Work, run_worker  # noqa: PLC0415 - --help stays light

    work = Work(
        profile=profile,
        roles=role or (),
        indexes=index or (),
        task_queue=task_queue,
        address=address,
        namespace=namespace,
        artifacts=artifacts,
        allow_root=allow_root or (),
        vector_cache=vector_cache,
    )
    return run_worker(work, Terminal())


@guarded
def devserver(
    *,
    port: Annotated[int, typer.Option("--port", metavar="N", help="Port of the server.")] = 7233,
    ui_port: Annotated[
        int | None,
        typer.Option(
            "--ui-port",
            metavar="N",
            help="Port of the web page.  [default: none]",
            show_default=False,
        ),
    ] = None,
    db: Annotated[
        Path | None,
        typer.Option(
            "--db",
            metavar="FILE",
            help="Keeps the state.  [default: in memory only]",
            show_default=False,
        ),
    ] = None,
    namespace: Annotated[
        str, typer.Option("--namespace", metavar="NAME", help="Made beside `default`.")
    ] = "default",
) -> ExitCode:
    """Run a Temporal server for development on this machine until Ctrl-C or SIGTERM."""
    from durable_ingest.devserver import serve_foreground  # noqa: PLC0415 - --help stays light

    terminal = Terminal()
    return ExitCode(
        serve_foreground(port=port, ui_port=ui_port, db=db, namespace=namespace, say=terminal.say)
    )
