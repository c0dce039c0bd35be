"""What stands around every command: errors become one sentence and an exit code."""

from __future__ import annotations

import functools
import sys
import traceback
from collections.abc import Callable
from contextvars import ContextVar
from typing import ParamSpec

import typer

from durable_ingest.cli.exits import ExitCode
from durable_ingest.cli.failures import failure_of
from durable_ingest.cli.terminal import Terminal

__all__ = ["DEBUG", "guarded"]

P = ParamSpec("P")

DEBUG: ContextVar[bool] = ContextVar("durable_ingest_debug", default=False)
"""Whether tracebacks and the libraries' logs are shown."""


def guarded(command: Callable[P, ExitCode]) -> Callable[P, None]:
    """End the process with the code that the command returns or that its error stands for."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            code = command(*args, **kwargs)
        except (typer.Exit, BrokenPipeError):
            raise  # typer ends quietly when the reader of a pipe has gone
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the last stop before a traceback
            if DEBUG.get():
                sys.stderr.write(traceback.format_exc())
            failure = failure_of(error)
            terminal = Terminal(as_json=bool(kwargs.get("as_json")))
            terminal.say(f"durable-ingest: {failure.message}")
            terminal.emit(failure.document())
            code = failure.code
        if code is not ExitCode.GOOD:
            raise typer.Exit(int(code))

    return run
