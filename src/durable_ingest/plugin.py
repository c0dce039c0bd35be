"""`DurableIngestPlugin`: one object that configures client, workers and replayer alike."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from temporalio.plugin import SimplePlugin
from temporalio.worker import WorkerConfig, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from durable_ingest.temporal.data_converter import with_pydantic
from durable_ingest.temporal.names import TASK_QUEUE, Role, role_of
from durable_ingest.temporal.workflows.ingest_documents import IngestDocuments
from durable_ingest.temporal.workflows.workshop import (
    WorkshopIngestion,
    WorkshopIngestionByClassName,
)

if TYPE_CHECKING:
    from durable_ingest.settings import WorkerSettings

__all__ = ["PASSTHROUGH", "WORKFLOWS", "DurableIngestPlugin"]

WORKFLOWS: tuple[type, ...] = (IngestDocuments, WorkshopIngestion, WorkshopIngestionByClassName)
"""All workflow classes of the package."""

PASSTHROUGH: tuple[str, ...] = (
    # Models are data: building their validators anew for every run costs 10 ms each time and
    # gives the sandbox other classes than the data converter has.
    "durable_ingest.models",
    # Exceptions must be the same classes inside and outside to be caught.
    "durable_ingest.errors",
    # Typed stubs, constants and the option table: no state.
    "durable_ingest.temporal.contracts",
    "durable_ingest.temporal.names",
    "durable_ingest.temporal.options",
    "durable_ingest.temporal.versions",
    # Imported by pydantic's compiled core while validating dates and addresses.
    "annotated_types",
    "pydantic_core",
    "typing_inspection",
)
"""Modules that workflow code shares with its worker instead of importing them per run."""


class DurableIngestPlugin(SimplePlugin):
    """Adds the package's workflows, activities and data converter.

    Give it to the client: workers made from that client inherit it. A worker on the base task
    queue gets the workflows; one on an activity queue that brings no activities of its own gets
    those of its role, if `settings` are given. A worker on any other queue is left as it is.

    Args:
        task_queue: Base name of the queues.
        settings: Roots, limits and places of this process's activities; None for processes that
            only start, run or replay workflows.
    """

    def __init__(
        self, *, task_queue: str = TASK_QUEUE, settings: WorkerSettings | None = None
    ) -> None:
        super().__init__(
            "durable-ingest",
            data_converter=with_pydantic,
            workflows=WORKFLOWS,
            workflow_runner=with_passthrough,
        )
        self._task_queue = task_queue
        self._settings = settings

    def configure_worker(self, config: WorkerConfig) -> WorkerConfig:
        """Add workflows or activities by the role of the worker's queue."""
        role = role_of(self._task_queue, config["task_queue"])
        if role is None:
            return config
        if role is Role.WORKFLOWS:
            return super().configure_worker(config)
        if self._settings is not None and not config.get("activities"):
            # Only now: adapters are no business of a process that merely runs workflows.
            from durable_ingest.temporal.worker import default_activities  # noqa: PLC0415

            config["activities"] = default_activities(role, self._settings)
        return config


def with_passthrough(existing: WorkflowRunner | None) -> WorkflowRunner:
    """The user's runner with our modules passed through; unsandboxed runners stay as they are."""
    runner = existing or SandboxedWorkflowRunner()
    if isinstance(runner, SandboxedWorkflowRunner):
        return dataclasses.replace(
            runner, restrictions=runner.restrictions.with_passthrough_modules(*PASSTHROUGH)
        )
    return runner
