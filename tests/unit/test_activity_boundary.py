"""The edge of every activity: errors as Temporal knows them, heartbeats, cancellation."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from durable_ingest.errors import DurableIngestError, IndexMismatch, SourceUnavailable, StorageFull
from durable_ingest.temporal.activities.boundary import Pulse, at_boundary, in_thread


@at_boundary
async def failing(error: DurableIngestError) -> None:
    raise error


@pytest.mark.parametrize(
    ("error", "final", "wait"),
    [
        (IndexMismatch("dimension is 64"), True, None),
        (StorageFull("no space left"), False, None),
        (SourceUnavailable("503", retry_after=90.0), False, timedelta(seconds=90)),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_our_errors_say_their_class_and_whether_to_try_again(
    error: DurableIngestError, final: bool, wait: timedelta | None
) -> None:
    with pytest.raises(ApplicationError) as caught:
        await ActivityEnvironment().run(failing, error)
    assert (type(error).__name__, final, wait) == (
        caught.value.type,
        caught.value.non_retryable,
        caught.value.next_retry_delay,
    )
    assert str(error) in str(caught.value)


async def test_a_running_stage_heartbeats_how_far_it_is() -> None:
    beats: list[object] = []
    beaten = threading.Event()

    def heard(*details: object) -> None:
        beats.extend(details)
        if 7 in beats:
            beaten.set()

    def stage(job: int, heart: Pulse) -> int:
        heart.tick(job)
        assert beaten.wait(20)
        return job * 2

    environment = ActivityEnvironment()
    environment.info = replace(
        ActivityEnvironment.default_info(), heartbeat_timeout=timedelta(milliseconds=40)
    )
    environment.on_heartbeat = heard
    assert 14 == await environment.run(in_thread, stage, 7)
    assert 7 in beats


async def test_a_cancelled_stage_ends_at_its_next_tick_and_is_waited_for() -> None:
    started, cancelled = threading.Event(), threading.Event()
    ended: list[str] = []

    def stage(job: str, heart: Pulse) -> str:
        started.set()
        assert cancelled.wait(20)
        try:
            while True:
                heart.tick(1)
        finally:
            ended.append(job)

    environment = ActivityEnvironment()
    running = asyncio.create_task(environment.run(in_thread, stage, "done"))
    await asyncio.to_thread(started.wait)
    environment.cancel()
    await asyncio.sleep(0)
    cancelled.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert ["done"] == ended
