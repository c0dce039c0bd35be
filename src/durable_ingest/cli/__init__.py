"""The command `durable-ingest`.

`main` needs only the standard library to say what is missing: a plain `pip install
durable-ingest` brings neither typer nor rich.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence

from durable_ingest._optional import require
from durable_ingest.errors import MissingExtra

__all__ = ["main"]

_USAGE = 2  # as in `cli.exits`; said here so that nothing else need be imported to say it


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; `durable-ingest --help` lists the codes.

    Args:
        argv: The arguments behind the program's name; default: those of this process.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A character that the terminal lacks is no reason to lose a finished run's report.
            stream.reconfigure(errors="backslashreplace")
    try:
        require("typer", extra="cli")
        require("rich", extra="cli")
    except MissingExtra as error:
        sys.stderr.write(f"durable-ingest: {error}\n")
        return _USAGE
    from durable_ingest.cli.app import run  # noqa: PLC0415 - needs typer

    return run(sys.argv[1:] if argv is None else list(argv))
