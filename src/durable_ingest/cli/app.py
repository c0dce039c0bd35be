"""The command line: verbs, help and the way in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from durable_ingest import __version__
from durable_ingest.cli.commands import doctor, job, search, serve
from durable_ingest.cli.commands import run as run_commands
from durable_ingest.cli.exits import MEANINGS, ExitCode
from durable_ingest.cli.failures import Failure, failure_of
from durable_ingest.cli.guard import DEBUG
from durable_ingest.cli.terminal import Terminal

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


app.command("run")(run_commands.run)
app.command("search")(search.search)
app.command("worker")(serve.worker)
app.command("start")(run_commands.start)
app.command("status")(job.status)
app.command("pause")(job.pause)
app.command("resume")(job.resume)
app.command("cancel")(job.cancel)
app.command("doctor")(doctor.doctor)
app.command("devserver")(serve.devserver)


def run(arguments: Sequence[str]) -> int:
    """Run the command line and return its exit code."""
    try:
        app(list(arguments), prog_name="durable-ingest")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        failure = _failure_before_the_verb(end, code)
        if failure is not None and "--json" in arguments:
            Terminal(as_json=True).emit(failure.document())
        return code
    return 0


def _failure_before_the_verb(end: SystemExit, code: int) -> Failure | None:
    """What typer ended the process for; None when a command ran and spoke for itself."""
    cause = end.__context__
    if isinstance(cause, typer.Exit):
        interrupted = isinstance(cause.__cause__, KeyboardInterrupt)
        return failure_of(cause.__cause__) if interrupted and cause.__cause__ else None
    # typer's classes of usage errors are private; all of them can say what is wrong.
    spoken = getattr(cause, "format_message", None)
    if code != ExitCode.USAGE or spoken is None:
        return None
    return Failure(ExitCode.USAGE, "InvalidInput", spoken())
