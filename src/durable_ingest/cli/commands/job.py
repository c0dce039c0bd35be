"""`status`, `pause`, `resume` and `cancel`."""

from __future__ import annotations

from durable_ingest.cli import options as given
from durable_ingest.cli.exits import ExitCode
from durable_ingest.cli.guard import guarded
from durable_ingest.cli.terminal import Terminal

__all__ = ["cancel", "pause", "resume", "status"]


@guarded
def status(
    *,
    index: given.Index = given.DEFAULT_INDEX,
    profile: given.Profile = None,
    as_json: given.AsJson = False,
) -> ExitCode:
    """Say what an index holds and whether a job works on it.

    With --profile: how far the index's job on that server is.
    """
    terminal = Terminal(as_json=as_json)
    if profile is not None:
        from durable_ingest.cli.messages import show_job  # noqa: PLC0415 - --help stays light

        return show_job(index, profile, terminal)
    from durable_ingest.cli.standing import show_index  # noqa: PLC0415 - --help stays light

    return show_index(index, terminal)


@guarded
def pause(
    *,
    index: given.Index = given.DEFAULT_INDEX,
    profile: given.Profile = None,
    as_json: given.AsJson = False,
) -> ExitCode:
    """Let the job of an index start no further batch; those in flight finish."""
    from durable_ingest.cli.messages import send  # noqa: PLC0415 - --help stays light

    return send("pause", index, profile, Terminal(as_json=as_json))


@guarded
def resume(
    *,
    index: given.Index = given.DEFAULT_INDEX,
    profile: given.Profile = None,
    as_json: given.AsJson = False,
) -> ExitCode:
    """Let a paused job go on."""
    from durable_ingest.cli.messages import send  # noqa: PLC0415 - --help stays light

    return send("resume", index, profile, Terminal(as_json=as_json))


@guarded
def cancel(
    *,
    index: given.Index = given.DEFAULT_INDEX,
    profile: given.Profile = None,
    as_json: given.AsJson = False,
) -> ExitCode:
    """End the job of an index for good; what it has committed stays."""
    from durable_ingest.cli.messages import send  # noqa: PLC0415 - --help stays light

    return send("cancel", index, profile, Terminal(as_json=as_json))
