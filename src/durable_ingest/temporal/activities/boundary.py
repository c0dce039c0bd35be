"""What every activity needs at its edge: errors that Temporal understands, and heartbeats."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import ParamSpec, TypeVar

from temporalio import activity
from temporalio.exceptions import ApplicationError

from durable_ingest.errors import TerminalError, TransientError

P = ParamSpec("P")
R = TypeVar("R")
J = TypeVar("J")

_BEATS_PER_TIMEOUT = 4

# The loop's own pool has as few as five threads: slow downloads would keep commits waiting, whose
# time has begun. Slots limit how many stages run; threads are made when needed.
_THREADS = ThreadPoolExecutor(max_workers=256, thread_name_prefix="stage")

log = logging.getLogger(__name__)


def at_boundary(function: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
    """Translate our errors: the class name becomes the type, terminal ones are not retried."""

    @functools.wraps(function)
    async def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await function(*args, **kwargs)
        except TerminalError as error:
            raise ApplicationError(
                str(error), type=type(error).__name__, non_retryable=True
            ) from error
        except TransientError as error:
            wait = None if error.retry_after is None else timedelta(seconds=error.retry_after)
            raise ApplicationError(
                str(error), type=type(error).__name__, next_retry_delay=wait
            ) from error

    return wrapped


class StageStopped(Exception):
    """Ends a stage whose activity was cancelled; nobody sees its result."""


class Pulse:
    """Heartbeats while a stage runs in a thread.

    The background beat proves that the process lives; `tick` adds how far the stage is.
    """

    def __init__(self) -> None:
        self._done = 0
        self._stopped = False

    def tick(self, done: int) -> None:
        """Record progress; called from the stage's thread, which ends here once it is to stop."""
        self._done = done
        if self._stopped:
            raise StageStopped

    def stop(self) -> None:
        """End the stage at its next tick."""
        self._stopped = True

    async def beat(self) -> None:
        """Heartbeat until cancelled."""
        limit = activity.info().heartbeat_timeout or timedelta(seconds=30)
        while True:
            activity.heartbeat(self._done)
            await asyncio.sleep(limit.total_seconds() / _BEATS_PER_TIMEOUT)


@contextlib.asynccontextmanager
async def pulse() -> AsyncIterator[Pulse]:
    """Heartbeat in the background for as long as the block runs."""
    heart = Pulse()
    task = asyncio.create_task(heart.beat())
    try:
        yield heart
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def in_thread(function: Callable[[J, Pulse], R], job: J) -> R:
    """Run a stage in a thread, with heartbeats, and wait for it even when cancelled.

    A thread cannot be stopped from outside: to leave it behind would let an abandoned attempt
    write beside the next one. A cancelled stage ends at its next tick, and the cancellation is
    delivered once it has.
    """
    async with pulse() as heart:
        call = functools.partial(contextvars.copy_context().run, function, job, heart)
        work = asyncio.get_running_loop().run_in_executor(_THREADS, call)
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            heart.stop()
            while not work.done():
                # A shutdown that follows a lost heartbeat cancels a second time.
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.wait([work])
            error = work.exception()
            if error is not None and not isinstance(error, StageStopped):
                log.info("the cancelled stage failed: %s", error)
            raise
