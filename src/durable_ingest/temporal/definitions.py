"""The package's workflow classes, and the sandbox that they run in."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from temporalio.worker import WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from durable_ingest.temporal.workflows.ingest_documents import IngestDocuments
from durable_ingest.temporal.workflows.workshop import (
    WorkshopIngestion,
    WorkshopIngestionByClassName,
)

WORKFLOWS: tuple[type, ...] = (IngestDocuments, WorkshopIngestion, WorkshopIngestionByClassName)
"""All workflow classes of the package."""

PASSTHROUGH: tuple[str, ...] = (
    # Models are data: building their validators anew for every run costs 10 ms each time and
    # gives the sandbox other classes than the data converter has.
    "durable_ingest.models",
    # Exceptions must be the same classes inside and outside to be caught.
    "durable_ingest.errors",
    # Pure functions of their arguments.
    "durable_ingest.ids",
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


def with_workflows(existing: Sequence[type] | None) -> list[type]:
    """The user's workflow classes and ours, each once."""
    return list(dict.fromkeys([*(existing or ()), *WORKFLOWS]))


def with_passthrough(existing: WorkflowRunner | None) -> WorkflowRunner:
    """The user's runner with our modules passed through; unsandboxed runners stay as they are."""
    runner = existing or SandboxedWorkflowRunner()
    if isinstance(runner, SandboxedWorkflowRunner):
        return dataclasses.replace(
            runner, restrictions=runner.restrictions.with_passthrough_modules(*PASSTHROUGH)
        )
    return runner
