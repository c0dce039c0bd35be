"""Timeouts, heartbeats and retries of every activity, in one table.

Heartbeats are sent by a background thread while a stage runs, so a missing heartbeat means a dead
worker, and `start_to_close` is what ends a stage that hangs.
"""

from datetime import timedelta
from typing import TypedDict

from temporalio.common import RetryPolicy

from durable_ingest.temporal import names


class ActivityOptions(TypedDict):
    """What a workflow passes beside input and queue."""

    start_to_close_timeout: timedelta
    heartbeat_timeout: timedelta
    retry_policy: RetryPolicy


HEARTBEAT = timedelta(seconds=10)

_PATIENT = RetryPolicy(
    # Full disks, busy indexes and services that are down: wait, visibly, as long as it takes.
    # Terminal errors are marked non-retryable where they are raised.
    initial_interval=timedelta(seconds=1),
    backoff_coefficient=2.0,
    maximum_interval=timedelta(minutes=2),
)


def _options(minutes: int) -> ActivityOptions:
    return ActivityOptions(
        start_to_close_timeout=timedelta(minutes=minutes),
        heartbeat_timeout=HEARTBEAT,
        retry_policy=_PATIENT,
    )


OPTIONS: dict[str, ActivityOptions] = {
    names.DESCRIBE: _options(15),  # may download a model
    names.DISCOVER: _options(120),  # walks whole trees
    names.PLAN: _options(60),
    names.FETCH: _options(60),
    names.PREPARE: _options(30),
    names.EMBED: _options(120),  # a batch on a slow processor
    names.COMMIT: _options(15),
    names.FINISH: _options(60),
}

WORKFLOW_TASK_TIMEOUT = timedelta(seconds=10)
