"""Connecting, starting jobs, attaching to them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from temporalio.client import Client, Plugin, WorkflowExecutionStatus, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.envconfig import ClientConfig
from temporalio.exceptions import WorkflowAlreadyStartedError

from durable_ingest.errors import InvalidInput, RunConflict, ServerUnavailable
from durable_ingest.ids import canonical_json, digest, workflow_id
from durable_ingest.models import IngestReport, IngestRequest
from durable_ingest.temporal.names import INGEST_DOCUMENTS, JOB_MEMO, TASK_QUEUE
from durable_ingest.temporal.options import WORKFLOW_TASK_TIMEOUT

CONNECT_SECONDS = 8.0

LARGEST_REQUEST = 256 * 1024
"""Bytes of a request; each run writes it to its history several times."""

IngestHandle = WorkflowHandle[Any, IngestReport]


async def connect(
    profile: str | None = None,
    *,
    plugins: Sequence[Plugin],
    target_host: str | None = None,
    namespace: str | None = None,
) -> Client:
    """Connect by a `temporalio.envconfig` profile.

    Args:
        profile: Name of the profile; None: the default one, with `TEMPORAL_*` variables.
        plugins: `DurableIngestPlugin`, and others.
        target_host: Overrides the profile's address.
        namespace: Overrides the profile's namespace.

    Raises:
        ServerUnavailable: Nothing answers there within 8 seconds.
    """
    config = ClientConfig.load_client_connect_config(profile)
    host = target_host or config.get("target_host") or "localhost:7233"
    space = namespace or config.get("namespace") or "default"
    rest = {key: value for key, value in config.items() if key not in {"target_host", "namespace"}}
    try:
        return await asyncio.wait_for(
            Client.connect(host, namespace=space, plugins=plugins, **rest),  # type: ignore[arg-type]
            CONNECT_SECONDS,
        )
    except (TimeoutError, RuntimeError) as error:
        reason = "it did not answer in time" if isinstance(error, TimeoutError) else str(error)
        raise ServerUnavailable(
            f"cannot connect to Temporal at {host!r}: {reason}. Start a server with "
            "`durable-ingest devserver`, or name one by TEMPORAL_ADDRESS or a profile"
        ) from error


def job_digest(request: IngestRequest) -> str:
    """Names a job: equal requests have equal digests."""
    return digest(canonical_json(request.job().model_dump(mode="json")))


async def start_ingest(
    client: Client, request: IngestRequest, *, task_queue: str = TASK_QUEUE
) -> tuple[IngestHandle, bool]:
    """Start a job, or attach to it if it is running.

    The workflow id derives from the index, so that one job at most writes to it.

    Returns:
        A handle, and whether the job was running already.

    Raises:
        RunConflict: Another job is unfinished on the same index.
        InvalidInput: The request is too long for a payload.
    """
    size = len(request.model_dump_json())
    if size > LARGEST_REQUEST:
        raise InvalidInput(
            f"the request has {size} bytes, over the limit of {LARGEST_REQUEST}: put its "
            f"{len(request.sources)} sources as JSON lines into an artifact and name that as "
            "`source_list`"
        )
    job = job_digest(request)
    name = workflow_id(request.index.uri)
    while True:
        try:
            handle: IngestHandle = await client.start_workflow(
                INGEST_DOCUMENTS,
                request,
                id=name,
                task_queue=task_queue,
                result_type=IngestReport,
                memo={JOB_MEMO: job},
                task_timeout=WORKFLOW_TASK_TIMEOUT,
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            )
        except WorkflowAlreadyStartedError:
            running = await attach(client, name, job=job)
            found = await running.describe()
            # A different job that ended just now left no result for this one: start again.
            if await found.memo_value(JOB_MEMO, "") == job:
                return running, True
        else:
            return handle, False


async def attach(client: Client, name: str, *, job: str | None = None) -> IngestHandle:
    """A handle of the running job of an index.

    Raises:
        RunConflict: It is not the job with digest `job`.
    """
    handle: IngestHandle = client.get_workflow_handle(name, result_type=IngestReport)
    found = await handle.describe()
    running = await found.memo_value(JOB_MEMO, "")
    if job is not None and running != job and found.status is WorkflowExecutionStatus.RUNNING:
        raise RunConflict(
            f"another job is unfinished on this index (workflow {name!r}, started "
            f"{found.start_time:%Y-%m-%d %H:%M} UTC): finish it by running the same targets and "
            "options again, or stop it with `durable-ingest cancel`"
        )
    return handle
