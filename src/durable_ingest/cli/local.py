"""A run on this machine: embedded server, workers and job in one process tree."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress

from temporalio.client import Client, WorkflowFailureError

from durable_ingest.artifacts.local import LocalArtifacts
from durable_ingest.cli.exits import Interrupted
from durable_ingest.cli.folders import IndexFolder
from durable_ingest.cli.following import follow, progress_of
from durable_ingest.cli.jobs import Job
from durable_ingest.cli.logs import route_logs
from durable_ingest.cli.payloads import fit
from durable_ingest.cli.reports import SavedReport, save
from durable_ingest.cli.signals import Stop, terminable
from durable_ingest.cli.terminal import Terminal
from durable_ingest.cli.views import view_for
from durable_ingest.devserver import EmbeddedServer, ServerAddress, find_executable
from durable_ingest.errors import ServerUnavailable
from durable_ingest.models import IngestReport, Progress
from durable_ingest.plugin import DurableIngestPlugin
from durable_ingest.settings import WorkerSettings
from durable_ingest.temporal.client import start_ingest
from durable_ingest.temporal.worker import build_worker

__all__ = ["ask", "connect_to", "equip", "run_locally"]


def equip(settings: WorkerSettings, folder: IndexFolder) -> WorkerSettings:
    """The settings of a worker that keeps everything in the index folder."""
    return settings.model_copy(
        update={"artifacts": folder.artifacts, "vector_cache": folder.vectors}
    )


async def connect_to(address: ServerAddress) -> Client:
    """A client of an embedded server; profiles and TEMPORAL_* variables are others' business."""
    return await Client.connect(
        address.target_host, namespace=address.namespace, plugins=[DurableIngestPlugin()]
    )


async def ask(folder: IndexFolder, address: ServerAddress) -> Progress | None:
    """How far the job of an index is; None when there is none or no worker answers for it."""
    route_logs()
    client = await connect_to(address)
    return await progress_of(client.get_workflow_handle(folder.workflow, result_type=IngestReport))


def run_locally(
    job: Job, folder: IndexFolder, settings: WorkerSettings, terminal: Terminal
) -> SavedReport:
    """Run a job, or go on with it, and leave nothing running.

    Raises:
        Interrupted: A signal stopped it; the job is kept and goes on at the next call.
        RunConflict: Another process, or another unfinished job, has the index.
        ServerUnavailable: There is no server to run it on.
        WorkflowFailureError: The job failed.
    """
    route_logs(folder.log)
    if not folder.server.exists():
        find_executable(say=terminal.say)  # or else nothing is written
    server = EmbeddedServer(folder.server, say=terminal.say)
    with terminable():
        server.start()
        try:
            report, attached = asyncio.run(
                _run(job, folder, equip(settings, folder), terminal, server)
            )
            saved = _save(report, folder, attached=attached)
            folder.forget()
            # The job they served is over. Still before `stop`: the next run may begin after it.
            folder.tidy()
        except WorkflowFailureError:
            folder.forget()  # it is over too: nothing is left that could be gone on with
            raise
        finally:
            server.stop()
    return saved


async def _run(
    job: Job,
    folder: IndexFolder,
    settings: WorkerSettings,
    terminal: Terminal,
    server: EmbeddedServer,
) -> tuple[IngestReport, bool]:
    address = server.address

    def check() -> None:
        if not server.is_alive():
            raise ServerUnavailable(
                f"the embedded server ended unexpectedly (its log is {str(server.log_file)!r}): "
                "run the same command again to go on"
            )

    def end_server() -> None:
        terminal.restore()
        with suppress(OSError):
            os.kill(address.pid, signal.SIGTERM)

    with Stop(terminal.say, at_once=end_server) as stop:
        client = await connect_to(address)
        request = fit(job.request, LocalArtifacts(folder.artifacts))
        handle, attached = await start_ingest(client, request)
        if attached:
            terminal.say("going on with the unfinished job of this index")
        folder.remember(job.named)
        async with build_worker(client, settings, indexes=[folder.uri]):
            with view_for(terminal) as view:
                try:
                    return await follow(handle, view, stop, check=check), attached
                except Interrupted:
                    terminal.say("letting the steps under way finish")
                    raise


def _save(report: IngestReport, folder: IndexFolder, *, attached: bool) -> SavedReport:
    rows = None
    if report.error_report is not None:
        rows = LocalArtifacts(folder.artifacts).get(report.error_report)
    saved = SavedReport(report, folder.uri, workflow=folder.workflow, attached=attached)
    return save(saved, folder.reports, rows)
