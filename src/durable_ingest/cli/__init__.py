"""The command `durable-ingest`.

`main` needs only the standard library to say what is missing: a plain `pip install
durable-ingest` brings neither typer nor rich.
"""

from __future__ import annotations

import atexit
import contextvars
import io
import os
import sys
from collections.abc import Sequence
from contextlib import suppress

from durable_ingest._optional import require
from durable_ingest.errors import MissingExtra

__all__ = ["main"]

_USAGE = 2  # as in `cli.exits`; said here so that nothing else need be imported to say it
_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; `durable-ingest --help` lists the codes.

    Args:
        argv: The arguments behind the program's name; default: those of this process.
    """
    if argv is not None:
        # In a context of its own: a program's next call must not inherit this one's --debug.
        return contextvars.copy_context().run(_run, argv)
    ending = _Ending()
    # Registered before anything else is imported, so that it is called after all others.
    atexit.register(ending)
    try:
        ending.code = _run(sys.argv[1:])
    except KeyboardInterrupt:
        # The libraries were still being imported; later ones are met where they happen.
        ending.code = _INTERRUPTED
    return ending.code


class _Ending:
    """Ends the process before the interpreter takes itself down.

    Threads of Temporal's core outlive their event loop: the interpreter aborts now and then when
    one of them wakes up while it is being taken down, and the exit code would be lost.
    """

    def __init__(self) -> None:
        self.code: int | None = None

    def __call__(self) -> None:
        if self.code is None or "temporalio.bridge.temporal_sdk_bridge" not in sys.modules:
            return
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(self.code)


def _run(argv: Sequence[str]) -> int:
    _prepare_streams()
    try:
        require("typer", extra="cli")
        require("rich", extra="cli")
    except MissingExtra as error:
        sys.stderr.write(f"durable-ingest: {error}\n")
        return _USAGE
    from durable_ingest.cli.app import run  # noqa: PLC0415 - needs typer

    return run(list(argv))


def _nowhere() -> io.TextIOWrapper:
    return io.TextIOWrapper(io.FileIO(os.devnull, "w"), encoding="utf-8")


def _prepare_streams() -> None:
    # Both are None when the process was started with them closed.
    if sys.stdout is None:
        sys.stdout = _nowhere()
    if sys.stderr is None:
        sys.stderr = _nowhere()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A character that the terminal lacks is no reason to lose a finished run's report.
            stream.reconfigure(errors="backslashreplace")
