"""Messages to a job, wherever its server is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError
from temporalio.service import RPCError, RPCStatusCode

from durable_ingest.artifacts.local import LocalArtifacts
from durable_ingest.cli.connection import connect_by_profile
from durable_ingest.cli.exits import ExitCode
from durable_ingest.cli.folders import IndexFolder, index_uri
from durable_ingest.cli.following import follow, progress_of
from durable_ingest.cli.local import connect_to, equip
from durable_ingest.cli.logs import route_logs
from durable_ingest.cli.pace import Pace
from durable_ingest.cli.servers import running_server
from durable_ingest.cli.signals import Stop, terminable
from durable_ingest.cli.terminal import Terminal
from durable_ingest.cli.views import line_of, view_for
from durable_ingest.devserver import EmbeddedServer
from durable_ingest.errors import InvalidInput, RunConflict
from durable_ingest.ids import workflow_id
from durable_ingest.models import IngestReport, IngestRequest, Progress
from durable_ingest.pipeline.run import roots_of
from durable_ingest.settings import WorkerSettings
from durable_ingest.temporal.activities.reading import sources_of
from durable_ingest.temporal.client import IngestHandle
from durable_ingest.temporal.names import CANCEL, PAUSE, RESUME, TASK_QUEUE
from durable_ingest.temporal.worker import build_worker

__all__ = ["send", "show_job"]

T = TypeVar("T")

_SIGNALS = {"pause": PAUSE, "resume": RESUME, "cancel": CANCEL}
_DONE = {
    "pause": "pausing: no further batch starts",
    "resume": "going on",
    "cancel": "cancelling: what is committed stays",
}


@dataclass(frozen=True, slots=True)
class Sent:
    """What a message led to."""

    progress: Progress | None = None
    report: IngestReport | None = None


def show_job(index: str, profile: str, terminal: Terminal) -> ExitCode:
    """Say how far the job of an index is on a server.

    Raises:
        InvalidInput: No job was ever started for the index there.
    """
    route_logs()

    async def look() -> ExitCode:
        client = await connect_by_profile(profile, task_queue=TASK_QUEUE)
        uri = index_uri(index)
        handle = _handle_of(client, uri)
        try:
            found = await handle.describe()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                raise InvalidInput(f"no job was started for the index {uri!r} there") from error
            raise
        state = "unknown" if found.status is None else found.status.name.lower()
        progress = await progress_of(handle)
        terminal.show(f"job {handle.id}: {state}")
        if progress is not None:
            terminal.show(line_of(progress, Pace()))
        elif found.status is WorkflowExecutionStatus.RUNNING:
            terminal.say("no worker answers for it now")
        terminal.emit(
            {
                "workflow_id": handle.id,
                "state": state,
                "started_at": found.start_time.isoformat(),
                "closed_at": found.close_time.isoformat() if found.close_time else None,
                "progress": None if progress is None else progress.model_dump(mode="json"),
            }
        )
        return ExitCode.GOOD

    return asyncio.run(look())


def send(verb: str, index: str, profile: str | None, terminal: Terminal) -> ExitCode:
    """Send `pause`, `resume` or `cancel` to the unfinished job of an index.

    Raises:
        InvalidInput: No job is unfinished on it.
        ServerUnavailable: Its server cannot be reached or started.
    """
    if profile is None:
        folder = IndexFolder.at(index)
        uri = folder.uri
        route_logs(folder.log if folder.server.is_dir() else None)
        sent = _send_here(verb, folder, terminal)
    else:
        uri = index_uri(index)
        route_logs()
        sent = asyncio.run(_send_there(verb, uri, profile))
    terminal.show(_DONE[verb] if sent.report is None else f"cancelled: {_kept(sent.report)}")
    terminal.emit(
        {
            "workflow_id": workflow_id(uri),
            "sent": verb,
            "progress": None if sent.progress is None else sent.progress.model_dump(mode="json"),
            "report": None if sent.report is None else sent.report.model_dump(mode="json"),
        }
    )
    return ExitCode.GOOD


def _kept(report: IngestReport) -> str:
    counts = report.counts
    return f"{counts.documents - counts.pending} documents done, {counts.pending} not reached"


async def _send_there(verb: str, uri: str, profile: str) -> Sent:
    client = await connect_by_profile(profile, task_queue=TASK_QUEUE)
    handle = await _unfinished(client, uri)
    await handle.signal(_SIGNALS[verb])
    return Sent(progress=await progress_of(handle))


def _send_here(verb: str, folder: IndexFolder, terminal: Terminal) -> Sent:
    """Reach the embedded server; start it for as long as it takes if it does not run."""
    if not (folder.server / "temporal.db").exists():
        raise InvalidInput(f"no job is unfinished on the index in {str(folder.path)!r}")
    server = EmbeddedServer(folder.server, say=terminal.say)
    with terminable():
        try:
            address = server.start()
        except RunConflict:
            # Another process runs the job; its server and workers are there.
            live = running_server(folder.server)
            if live is None:
                raise
            return asyncio.run(_attended(verb, folder, lambda: connect_to(live), terminal))
        try:
            sent = asyncio.run(_alone(verb, folder, lambda: connect_to(address), terminal))
            if sent.report is not None:
                folder.forget()
                folder.tidy()
            return sent
        finally:
            server.stop()


async def _attended(
    verb: str, folder: IndexFolder, connecting: Callable[[], Awaitable[Client]], terminal: Terminal
) -> Sent:
    with Stop(terminal.say, patience=None) as stop:
        handle = await _unfinished(await connecting(), folder.uri)
        await handle.signal(_SIGNALS[verb])
        if verb != "cancel":
            return Sent(progress=await progress_of(handle))
        with view_for(terminal) as view:
            return Sent(report=await follow(handle, view, stop))


async def _alone(
    verb: str, folder: IndexFolder, connecting: Callable[[], Awaitable[Client]], terminal: Terminal
) -> Sent:
    with Stop(terminal.say) as stop:
        client = await connecting()
        try:
            handle = await _unfinished(client, folder.uri)
        except InvalidInput:
            folder.forget()  # whatever was noted has ended
            raise
        await handle.signal(_SIGNALS[verb])
        if verb != "cancel":
            return Sent()
        request = await _request_of(handle, client)
        sources = sources_of(request, LocalArtifacts(folder.artifacts))
        roots = tuple(roots_of(request.model_copy(update={"sources": sources})))
        settings = equip(WorkerSettings(allowed_roots=roots), folder)
        async with build_worker(client, settings, indexes=[folder.uri]):
            with view_for(terminal) as view:
                try:
                    return Sent(report=await follow(handle, view, stop))
                except WorkflowFailureError as error:
                    raise InvalidInput(
                        f"the job failed before it could be cancelled: {error.cause}"
                    ) from error


async def _request_of(handle: IngestHandle, client: Client) -> IngestRequest:
    """The job's own request, from the first event of its history."""
    async for event in handle.fetch_history_events():
        payloads = event.workflow_execution_started_event_attributes.input.payloads
        (request,) = await client.data_converter.decode(payloads, [IngestRequest])
        assert isinstance(request, IngestRequest)
        return request
    raise InvalidInput(f"job {handle.id!r} has no history")


async def _unfinished(client: Client, uri: str) -> IngestHandle:
    handle = _handle_of(client, uri)
    try:
        found = await handle.describe()
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
    else:
        if found.status is WorkflowExecutionStatus.RUNNING:
            return handle
    raise InvalidInput(f"no job is unfinished on the index {uri!r}")


def _handle_of(client: Client, uri: str) -> IngestHandle:
    return client.get_workflow_handle(workflow_id(uri), result_type=IngestReport)
