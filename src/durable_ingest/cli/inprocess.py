"""A run in this process alone, with no Temporal."""

from __future__ import annotations

import shutil

from durable_ingest.cli.folders import IndexFolder
from durable_ingest.cli.jobs import Job
from durable_ingest.cli.preflight import check_unfinished
from durable_ingest.cli.reports import SavedReport, save
from durable_ingest.cli.signals import terminable
from durable_ingest.cli.terminal import Terminal
from durable_ingest.cli.views import view_for
from durable_ingest.pipeline.resources import Resources
from durable_ingest.pipeline.run import run_request
from durable_ingest.settings import WorkerSettings

__all__ = ["run_in_process"]


def run_in_process(
    job: Job, folder: IndexFolder, settings: WorkerSettings, terminal: Terminal
) -> SavedReport:
    """Run a job to its end; what is committed when it is interrupted stays.

    Raises:
        KeyboardInterrupt: A signal stopped it.
        RunConflict: A durable job is unfinished on the index.
        TransientError: Disk full, or the embedding service is unavailable.
    """
    check_unfinished(folder)
    resources = Resources(settings.model_copy(update={"vector_cache": folder.vectors}))
    with terminable():
        try:
            with view_for(terminal) as view:
                report = run_request(job.request, resources, on_progress=view.show)
        finally:
            resources.close()
        saved = save(SavedReport(report, folder.uri), folder.reports, rows=None)
        shutil.rmtree(folder.cache, ignore_errors=True)
    return saved
