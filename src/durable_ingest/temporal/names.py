"""Every name on the wire: workflow types, activities, messages and queues.

Names are part of recorded histories: they are added, never changed.
"""

from enum import StrEnum
from hashlib import sha256

INGEST_DOCUMENTS = "IngestDocuments"
WORKSHOP_WORKFLOW = "INGESTION_WORKFLOW"
"""The type name that the workshop's text and user interface use."""
WORKSHOP_WORKFLOW_CLASS = "IngestionWorkflow"
"""The type name that the workshop's code registered."""

DESCRIBE = "describe_embedder"
DISCOVER = "discover_documents"
PLAN = "plan_batches"
FETCH = "fetch_batch"
PREPARE = "prepare_batch"
EMBED = "embed_batch"
COMMIT = "commit_batch"
FINISH = "finish_run"

PROGRESS = "progress"
PAUSE = "pause"
RESUME = "resume"
CANCEL = "cancel"

TASK_QUEUE = "PY_WORKER_TASK_QUEUE"
"""Workflows; the activity queues add a suffix each."""

JOB_MEMO = "durable_ingest_job"
"""Memo field that holds the digest of a job, so that a different one is recognised."""


class Role(StrEnum):
    """What a worker process does, by queue."""

    WORKFLOWS = "workflows"
    IO = "io"
    CPU = "cpu"
    GPU = "gpu"
    INDEX = "index"


def queue_of(base: str, role: Role, index_uri: str | None = None) -> str:
    """The queue of a role.

    Workflows are on `base` itself. Each index has a queue of its own, so that exactly one worker
    slot writes to it.
    """
    if role is Role.WORKFLOWS:
        return base
    if role is Role.INDEX:
        if index_uri is None:
            raise ValueError("an index queue needs the index address")
        return f"{base}-index-{sha256(index_uri.encode()).hexdigest()[:16]}"
    return f"{base}-{role.value}"


def role_of(base: str, queue: str) -> Role | None:
    """The role behind a queue name, None for a queue that is none of ours."""
    if queue == base:
        return Role.WORKFLOWS
    suffix = queue.removeprefix(f"{base}-")
    if suffix == queue:
        return None
    if suffix.startswith("index-"):
        return Role.INDEX
    return Role(suffix) if suffix in (Role.IO, Role.CPU, Role.GPU) else None
