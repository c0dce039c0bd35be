"""`DurableIngestPlugin`: one object that configures client, workers and replayer alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio.plugin import SimplePlugin
from temporalio.worker import WorkerConfig

from durable_ingest.temporal.data_converter import with_pydantic
from durable_ingest.temporal.definitions import (
    PASSTHROUGH,
    WORKFLOWS,
    with_passthrough,
    with_workflows,
)
from durable_ingest.temporal.names import TASK_QUEUE, Role, role_of

if TYPE_CHECKING:
    from durable_ingest.settings import WorkerSettings

__all__ = ["PASSTHROUGH", "WORKFLOWS", "DurableIngestPlugin"]


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
            workflows=with_workflows,
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
            from durable_ingest.temporal.worker import default_activities  # noqa: PLC0415 - see above

            config["activities"] = default_activities(role, self._settings)
        return config
