"""The command line: verbs, help and the way in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from durable_ingest import __version__
from durable_ingest.cli import controlling, examining, running, searching, serving
from durable_ingest.cli.exits import MEANINGS
from durable_ingest.cli.guard import DEBUG

__all__ = ["app", "run"]

_EPILOG = "Exit codes:\n\n" + "\n\n".join(f"{code:>3}  {text}" for code, text in MEANINGS.items())

app = typer.Typer(
    name="durable-ingest",
    help="Durable document ingestion: documents in, a searchable index out.",
    epilog=_EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"durable-ingest {__version__}")
        raise typer.Exit


@app.callback()
def prepare(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_show_version, is_eager=True),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show tracebacks and the libraries' logs.")
    ] = False,
) -> None:
    """Take the options that stand before the verb."""
    del version
    DEBUG.set(debug)


app.command("run")(running.run)
app.command("search")(searching.search)
app.command("worker")(serving.worker)
app.command("start")(running.start)
app.command("status")(controlling.status)
app.command("pause")(controlling.pause)
app.command("resume")(controlling.resume)
app.command("cancel")(controlling.cancel)
app.command("doctor")(examining.doctor)
app.command("devserver")(serving.devserver)


def run(arguments: Sequence[str]) -> int:
    """Run the command line and return its exit code."""
    try:
        app(list(arguments), prog_name="durable-ingest")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0
