"""A run from options to report, wherever it is done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from durable_ingest.cli.exits import ExitCode
from durable_ingest.cli.folders import IndexFolder
from durable_ingest.cli.inprocess import run_in_process
from durable_ingest.cli.jobs import Job, JobOptions, build_job, settings_for
from durable_ingest.cli.preflight import check_job
from durable_ingest.cli.reports import SavedReport, document_of, exit_code_of, text_of
from durable_ingest.cli.terminal import Terminal
from durable_ingest.errors import InvalidInput

__all__ = ["Place", "run_job"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a job is done, and what it may reach there."""

    in_process: bool = False
    profile: str | None = None
    task_queue: str | None = None
    allow_root: Sequence[Path] = ()
    allow_private: bool = False


def run_job(options: JobOptions, place: Place, terminal: Terminal) -> ExitCode:
    """Run a job and say what became of it.

    Raises:
        DurableIngestError: It was refused or failed.
    """
    if place.in_process and place.profile is not None:
        raise InvalidInput("--in-process and --profile exclude each other")
    job = build_job(options)
    for warning in job.warnings:
        terminal.say(f"warning: {warning}")
    saved = _run(job, options.index, place, terminal)
    terminal.show(text_of(saved))
    terminal.emit(document_of(saved))
    return exit_code_of(saved.report)


def _run(job: Job, index: str, place: Place, terminal: Terminal) -> SavedReport:
    if place.profile is not None:
        from durable_ingest.cli.remote import run_remotely  # noqa: PLC0415 - brings temporalio

        return run_remotely(job, place.profile, place.task_queue, terminal)
    folder = IndexFolder.at(index)
    job = job.written_to(folder.uri)
    settings = settings_for(job, allow_root=place.allow_root, allow_private=place.allow_private)
    check_job(job, folder, settings)
    if place.in_process:
        return run_in_process(job, folder, settings, terminal)
    from durable_ingest.cli.local import run_locally  # noqa: PLC0415 - brings temporalio

    return run_locally(job, folder, settings, terminal)
