"""`doctor`."""

from __future__ import annotations

from typing import Annotated

import typer

from durable_ingest.cli import options as given
from durable_ingest.cli.exits import ExitCode
from durable_ingest.cli.guard import guarded
from durable_ingest.cli.terminal import Terminal, is_unicode

__all__ = ["doctor"]


@guarded
def doctor(
    *,
    index: Annotated[
        str | None,
        typer.Option("--index", metavar="DIR", help="Look at this index too.", show_default=False),
    ] = None,
    as_json: given.AsJson = False,
) -> ExitCode:
    """Say what is here, what is missing, and how to get it; nothing is fetched.

    The exit code is 0 when `run` would work on this machine, 1 otherwise.
    """
    from durable_ingest.cli.examination import examine  # noqa: PLC0415 - --help stays light

    terminal = Terminal(as_json=as_json)
    lines = examine(index)
    good, bad, open_ = ("✓", "✗", "-") if is_unicode() else ("ok", "NO", "-")
    for line in lines:
        mark = good if line.ok else bad if line.needed else open_
        terminal.show(f"{mark:<2} {line.name}: {line.detail}")
        if line.remedy:
            terminal.show(f"     {line.remedy}")
    works = all(line.ok for line in lines if line.needed)
    terminal.show("`durable-ingest run` works here" if works else "`durable-ingest run` would fail")
    terminal.emit(
        {
            "works": works,
            "findings": [
                {
                    "name": line.name,
                    "ok": line.ok,
                    "needed": line.needed,
                    "detail": line.detail,
                    "remedy": line.remedy,
                }
                for line in lines
            ],
        }
    )
    return ExitCode.GOOD if works else ExitCode.FAILED
