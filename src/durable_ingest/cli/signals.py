"""Ctrl-C and SIGTERM: the first one stops in order, the second one at once."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType, TracebackType
from typing import Any, Self

from durable_ingest.cli.exits import ExitCode

__all__ = ["Stop", "terminable"]

_NUMBERS = (signal.SIGINT, signal.SIGTERM)

PATIENCE = 30.0
"""Seconds that an orderly stop may take; all state survives being killed, so no longer."""


class Stop:
    """An event that the first signal sets; a second one, or too much time, ends the process.

    Use it as a context manager in the main thread, with an event loop running.

    Args:
        say: Gets a line when the first signal comes.
        at_once: Called before the process is ended at once; must not block.
        patience: Seconds from the first signal to that end; None waits for ever.
    """

    def __init__(
        self,
        say: Callable[[str], None],
        *,
        at_once: Callable[[], None] = lambda: None,
        patience: float | None = PATIENCE,
    ) -> None:
        self._say = say
        self._at_once = at_once
        self._patience = patience
        self._event = asyncio.Event()
        self._before: list[tuple[int, Any]] = []

    @property
    def is_set(self) -> bool:
        """Whether a signal came."""
        return self._event.is_set()

    async def wait(self) -> None:
        """Return when a signal came."""
        await self._event.wait()

    def _note(self) -> None:
        if self._event.is_set():
            self._end()
        self._event.set()
        self._say("stopping; once more to stop at once")
        if self._patience is not None:
            asyncio.get_running_loop().call_later(self._patience, self._end)

    def _end(self) -> None:
        self._say("stopped at once; the same command goes on from there")
        self._at_once()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(ExitCode.INTERRUPTED)

    def __enter__(self) -> Self:
        loop = asyncio.get_running_loop()
        for number in _NUMBERS:
            self._before.append((number, signal.getsignal(number)))
            with suppress(NotImplementedError):  # Windows: Ctrl-C cancels the main task instead
                loop.add_signal_handler(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        loop = asyncio.get_running_loop()
        for number, handler in self._before:
            with suppress(NotImplementedError):
                loop.remove_signal_handler(number)
            signal.signal(number, handler)


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM raise `KeyboardInterrupt` as Ctrl-C does, so that what was begun is undone."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
