"""Follows a job until it ends: progress by its query, trouble by the server's own account."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    DescribeWorkflowExecutionResponse,
)
from temporalio.client import (
    Client,
    WorkflowQueryFailedError,
    WorkflowQueryRejectedError,
)
from temporalio.service import RPCError, RPCStatusCode

from durable_ingest.cli.exits import Interrupted
from durable_ingest.cli.pace import spoken_duration
from durable_ingest.cli.signals import Stop
from durable_ingest.cli.views import View
from durable_ingest.models import IngestReport, Progress
from durable_ingest.temporal.client import IngestHandle
from durable_ingest.temporal.names import PROGRESS, Role, queue_of

__all__ = ["Queues", "follow", "progress_of", "troubles"]

_LOOK = 0.5
"""Seconds between two looks at the progress."""

_DEEP = 4
"""So many looks apart, the server is asked for failing steps too."""

_QUERY = timedelta(seconds=3)
_STUCK = 3
"""Failed attempts of a workflow task from which on it is worth a word."""

_LOST = frozenset({RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED})

_LEFT = "stopped; the job is kept, and the same command goes on from there"


@dataclass(frozen=True, slots=True)
class Queues:
    """The queues of a job whose workers run elsewhere.

    Attributes:
        client: Connected to their server.
        base: Base name of the queues.
        index: Address of the index.
    """

    client: Client
    base: str
    index: str

    async def unattended(self) -> list[str]:
        """Names of those queues that no worker polls."""
        names = {role: queue_of(self.base, role, self.index) for role in Role}
        polled = await asyncio.gather(*(self._is_polled(role, names[role]) for role in Role))
        return [
            f"{names[role]!r} (role {role.value})"
            for role, found in zip(Role, polled, strict=True)
            if not found
        ]

    async def _is_polled(self, role: Role, name: str) -> bool:
        kind = (
            TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW
            if role is Role.WORKFLOWS
            else TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY
        )
        answer = await self.client.workflow_service.describe_task_queue(
            DescribeTaskQueueRequest(
                namespace=self.client.namespace,
                task_queue=TaskQueue(name=name),
                task_queue_type=kind,
            ),
            timeout=_QUERY,
        )
        return bool(answer.pollers)


async def follow(
    handle: IngestHandle,
    view: View,
    stop: Stop,
    *,
    check: Callable[[], None] = lambda: None,
    queues: Queues | None = None,
) -> IngestReport:
    """Show a job until it ends, and return its report.

    Args:
        handle: The job.
        view: Shows it.
        stop: Ends the following, not the job.
        check: Raises when there is no sense in waiting any longer, such as for a dead server.
        queues: Watched for missing workers; None when the workers are in this process.

    Raises:
        Interrupted: `stop` was set.
        WorkflowFailureError: The job failed.
    """
    tasks: list[asyncio.Task[Any]] = []

    def begin(work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.create_task(work)
        tasks.append(task)
        return task

    result: asyncio.Task[IngestReport] = begin(handle.result())
    stopping = begin(stop.wait())
    watching = begin(_watch(handle, view, check, queues))
    try:
        await asyncio.wait({result, stopping, watching}, return_when=asyncio.FIRST_COMPLETED)
        if result.done():
            if result.exception() is not None:
                check()  # a dead server explains a broken connection better
            return result.result()
        if stopping.done():
            raise Interrupted(_LEFT)
        watching.result()  # it ends by raising only
        raise AssertionError
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _watch(
    handle: IngestHandle, view: View, check: Callable[[], None], queues: Queues | None
) -> None:
    said: set[str] = set()
    turn = 0
    while True:
        check()
        progress = await progress_of(handle)
        if progress is not None:
            view.show(progress)
        if turn % _DEEP == 0:
            lines = await _look_deeper(handle, queues)
            for line in lines:
                if line not in said:
                    view.say(line)
            said = set(lines)
        turn += 1
        await asyncio.sleep(_LOOK)


async def _look_deeper(handle: IngestHandle, queues: Queues | None) -> list[str]:
    try:
        lines = troubles((await handle.describe(rpc_timeout=_QUERY)).raw_description)
        if queues is not None:
            lines += [
                f"no worker polls {name}: start one with `durable-ingest worker`"
                for name in await queues.unattended()
            ]
    except RPCError as error:
        if error.status in _LOST:
            return ["the Temporal server does not answer; still trying"]
        raise
    return lines


async def progress_of(handle: IngestHandle) -> Progress | None:
    """How far a job is; None when no worker answers for it now."""
    try:
        progress: Progress = await handle.query(PROGRESS, result_type=Progress, rpc_timeout=_QUERY)
    except (RPCError, WorkflowQueryFailedError, WorkflowQueryRejectedError):
        return None
    return progress


def troubles(found: DescribeWorkflowExecutionResponse) -> list[str]:
    """What is being tried again at this moment, one line each."""
    lines = [
        _trouble_of(step) for step in found.pending_activities if step.HasField("last_failure")
    ]
    if found.HasField("pending_workflow_task") and found.pending_workflow_task.attempt >= _STUCK:
        lines.append(
            "the workflow's own code fails and is tried again (see the worker's log): the worker "
            "may be of another version than the one that began the job"
        )
    return lines


def _trouble_of(step: PendingActivityInfo) -> str:
    failure = step.last_failure
    name = step.activity_type.name.replace("_", " ")
    reason = failure.message
    if failure.HasField("application_failure_info") and failure.application_failure_info.type:
        reason = f"{failure.application_failure_info.type}: {reason}"
    if failure.HasField("timeout_failure_info"):
        reason = "its worker stopped answering"
    line = f"retrying {name} (attempt {step.attempt}): {reason}"
    due = step.next_attempt_schedule_time.ToDatetime(tzinfo=UTC)
    wait = (due - datetime.now(UTC)).total_seconds()
    return f"{line}; next try in {spoken_duration(wait)}" if wait >= 1 else line
