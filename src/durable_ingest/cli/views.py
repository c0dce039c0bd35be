"""What is seen of a run while it goes on: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from durable_ingest.cli.pace import Pace, spoken_duration
from durable_ingest.cli.terminal import Terminal
from durable_ingest.models import Progress

__all__ = ["BarView", "LineView", "View", "line_of", "view_for"]

_EVERY = 5.0
"""Seconds between two lines where no bar can be drawn."""

_PAUSED = "the job is paused: `durable-ingest resume` with the same --index lets it go on"


class View(Protocol):
    """Shows a run; use it as a context manager."""

    def show(self, progress: Progress) -> None:
        """Take the newest snapshot."""
        ...

    def say(self, line: str) -> None:
        """Show a line that stays."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


def view_for(terminal: Terminal) -> View:
    """A bar if stderr is a terminal, lines otherwise."""
    return BarView(terminal) if terminal.talk.is_terminal else LineView(terminal)


class _Watched:
    """What both views keep: pace, and which messages were given."""

    def __init__(self, terminal: Terminal, clock: Callable[[], float]) -> None:
        self._terminal = terminal
        self._clock = clock
        self._pace = Pace()
        self._status = ""

    def say(self, line: str) -> None:
        """Show a line that stays."""
        self._terminal.say(line)

    def _take(self, progress: Progress) -> bool:
        """Note a snapshot; whether the status is another one."""
        if progress.status in {"running", "cancelling", "finishing", "done"}:
            self._pace.add(self._clock(), progress.counts.documents)
        changed = progress.status != self._status
        self._status = progress.status
        if changed and progress.status == "paused":
            self.say(_PAUSED)
        return changed


class LineView(_Watched):
    """A line when the status changes, and every five seconds."""

    def __init__(self, terminal: Terminal, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(terminal, clock)
        self._last: float | None = None
        self._said = ""

    def show(self, progress: Progress) -> None:
        """Take the newest snapshot; most are not shown."""
        changed = self._take(progress)
        now = self._clock()
        if changed or self._last is None or now - self._last >= _EVERY:
            self._last = now
            line = line_of(progress, self._pace)
            if line != self._said:
                self.say(line)
                self._said = line

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None


class BarView(_Watched):
    """A bar of documents with chunks, rate and time left."""

    def __init__(self, terminal: Terminal, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(terminal, clock)
        self._bar = Bar(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[figures]}"),
            TimeElapsedColumn(),
            console=terminal.talk,
            transient=True,
        )
        self._task = self._bar.add_task("starting", total=None, figures="")

    def show(self, progress: Progress) -> None:
        """Take the newest snapshot."""
        self._take(progress)
        self._bar.update(
            self._task,
            description=progress.status,
            completed=progress.counts.documents,
            total=progress.planned or None,
            figures=_figures(progress, self._pace),
        )

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()


def line_of(progress: Progress, pace: Pace) -> str:
    """A snapshot in one line."""
    figures = _figures(progress, pace)
    return f"{progress.status}: {figures}" if figures else progress.status


def _figures(progress: Progress, pace: Pace) -> str:
    counts = progress.counts
    parts: list[str] = []
    if progress.planned or counts.documents:
        parts = [f"{counts.documents}/{progress.planned} documents", f"{counts.chunks} chunks"]
    if counts.failed:
        parts.append(f"{counts.failed} failed")
    if progress.deferred:
        parts.append(f"{progress.deferred} batches wait for their source")
    rate, left = pace.rate, pace.left(progress.planned)
    if rate is not None and progress.status in {"running", "cancelling"}:
        parts.append(f"{rate:.1f}/s" if rate < 100 else f"{rate:.0f}/s")  # noqa: PLR2004 - digits shown
        if left:
            parts.append(f"{spoken_duration(left)} left")
    return ", ".join(parts)
