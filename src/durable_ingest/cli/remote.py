"""A run on a cluster: the job is started or attached to; workers elsewhere do it."""

from __future__ import annotations

import asyncio

from durable_ingest.artifacts.local import LocalArtifacts
from durable_ingest.cli.connection import connect_by_profile
from durable_ingest.cli.exits import ExitCode, Interrupted
from durable_ingest.cli.following import Queues, follow
from durable_ingest.cli.jobs import Job, JobOptions, build_job
from durable_ingest.cli.logs import route_logs
from durable_ingest.cli.payloads import fit
from durable_ingest.cli.reports import SavedReport
from durable_ingest.cli.signals import Stop
from durable_ingest.cli.terminal import Terminal
from durable_ingest.cli.views import view_for
from durable_ingest.models import IngestRequest
from durable_ingest.settings import WorkerSettings
from durable_ingest.temporal.client import IngestHandle, start_ingest
from durable_ingest.temporal.names import TASK_QUEUE

__all__ = ["fitted", "run_remotely", "start_job"]


def run_remotely(job: Job, profile: str, task_queue: str | None, terminal: Terminal) -> SavedReport:
    """Start a job, or attach to it, and follow it to its end.

    Raises:
        Interrupted: A signal ended the following; the job goes on.
        ServerUnavailable: Nothing answers at the profile's address.
        RunConflict: Another job is unfinished on the index.
        WorkflowFailureError: The job failed.
    """
    route_logs()
    return asyncio.run(_run(fitted(job), profile, task_queue or TASK_QUEUE, terminal))


async def _run(
    request: IngestRequest, profile: str, task_queue: str, terminal: Terminal
) -> SavedReport:
    with Stop(terminal.say, at_once=terminal.restore, patience=None) as stop:
        client = await connect_by_profile(profile, task_queue=task_queue)
        handle, attached = await start_ingest(client, request, task_queue=task_queue)
        terminal.say(_greeting(handle, attached=attached))
        queues = Queues(client, task_queue, request.index.uri)
        with view_for(terminal) as view:
            try:
                report = await follow(handle, view, stop, queues=queues)
            except Interrupted:
                raise Interrupted(
                    f"no longer following: job {handle.id!r} goes on at its workers; the same "
                    "command follows it again, `durable-ingest cancel` stops it"
                ) from None
    return SavedReport(report, request.index.uri, workflow=handle.id, attached=attached)


def start_job(
    options: JobOptions, profile: str | None, task_queue: str | None, terminal: Terminal
) -> ExitCode:
    """Start a job, or find it running, and print its workflow id.

    Raises:
        ServerUnavailable: Nothing answers at the profile's address.
        RunConflict: Another job is unfinished on the index.
    """
    route_logs()
    job = build_job(options)
    for warning in job.warnings:
        terminal.say(f"warning: {warning}")
    queue = task_queue or TASK_QUEUE

    async def start() -> tuple[str, bool]:
        client = await connect_by_profile(profile, task_queue=queue)
        handle, attached = await start_ingest(client, fitted(job), task_queue=queue)
        terminal.say(_greeting(handle, attached=attached))
        return handle.id, attached

    name, attached = asyncio.run(start())
    terminal.show(name)
    terminal.emit(
        {
            "workflow_id": name,
            "attached": attached,
            "index": job.request.index.uri,
            "task_queue": queue,
        }
    )
    return ExitCode.GOOD


def fitted(job: Job) -> IngestRequest:
    """The job's request, a long list put where DURABLE_INGEST_ARTIFACTS says."""
    place = WorkerSettings().artifacts
    return fit(job.request, None if place is None else LocalArtifacts(place))


def _greeting(handle: IngestHandle, *, attached: bool) -> str:
    return f"job {handle.id!r} {'was running already' if attached else 'started'}"
