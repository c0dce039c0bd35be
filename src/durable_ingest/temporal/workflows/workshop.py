"""The workshop's workflow names, with their original input and result."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from durable_ingest.ids import workflow_id
    from durable_ingest.models.ingestion import (
        IngestReport,
    )
    from durable_ingest.models.translation import request_of, summary_of
    from durable_ingest.models.workshop import IngestionWorkflowInput
    from durable_ingest.temporal.names import (
        INGEST_DOCUMENTS,
        WORKSHOP_WORKFLOW,
        WORKSHOP_WORKFLOW_CLASS,
    )


async def _ingest(job: IngestionWorkflowInput) -> str:
    request = request_of(job)
    report = await workflow.execute_child_workflow(
        INGEST_DOCUMENTS,
        request,
        # As for jobs that clients start: one writer per index.
        id=workflow_id(request.index.uri),
        result_type=IngestReport,
    )
    return summary_of(report)


@workflow.defn(name=WORKSHOP_WORKFLOW)
class WorkshopIngestion:
    """`INGESTION_WORKFLOW`, as the workshop's text and user interface call it."""

    @workflow.run
    async def run(self, job: IngestionWorkflowInput) -> str:
        """Ingest the sources; the result counts those handled and those that failed."""
        return await _ingest(job)


@workflow.defn(name=WORKSHOP_WORKFLOW_CLASS)
class WorkshopIngestionByClassName:
    """`IngestionWorkflow`, as the workshop's code registers it."""

    @workflow.run
    async def run(self, job: IngestionWorkflowInput) -> str:
        """Ingest the sources; the result counts those handled and those that failed."""
        return await _ingest(job)
