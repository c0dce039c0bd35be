"""Connections to servers that other people run."""

from __future__ import annotations

from datetime import timedelta

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from durable_ingest.errors import DurableIngestError, InvalidInput, ServerUnavailable
from durable_ingest.plugin import DurableIngestPlugin
from durable_ingest.temporal.client import connect

__all__ = ["connect_by_profile"]

_LIMIT = timedelta(seconds=5)


async def connect_by_profile(
    profile: str | None,
    *,
    task_queue: str,
    target_host: str | None = None,
    namespace: str | None = None,
) -> Client:
    """Connect, and make sure that the namespace exists.

    Args:
        profile: Name of a Temporal profile; None: the default one, with TEMPORAL_* variables.
        task_queue: Base name of the queues.
        target_host: Overrides the profile's address.
        namespace: Overrides the profile's namespace.

    Raises:
        ServerUnavailable: Nothing answers there, or it has no such namespace.
        InvalidInput: There is no such profile, or its file is wrong.
    """
    try:
        client = await connect(
            profile,
            plugins=[DurableIngestPlugin(task_queue=task_queue)],
            target_host=target_host,
            namespace=namespace,
        )
    except (DurableIngestError, OSError):
        raise
    except ValueError as error:
        raise InvalidInput(
            f"{target_host or 'the address of the profile'!r} is no address of a Temporal server "
            f"({error}): write HOST:PORT"
        ) from error
    except Exception as error:
        # The SDK's class for a wrong profile or file is private.
        if type(error).__name__ != "ConfigError":
            raise
        raise InvalidInput(
            f"the Temporal profile {profile or 'default'!r} cannot be used: {error}"
        ) from error
    try:
        await client.workflow_service.describe_namespace(
            DescribeNamespaceRequest(namespace=client.namespace), timeout=_LIMIT
        )
    except RPCError as error:
        # Some servers let nobody ask; what is wrong then shows at the first real call.
        if error.status is RPCStatusCode.NOT_FOUND:
            raise ServerUnavailable(
                f"the Temporal server at {client.service_client.config.target_host!r} has no "
                f"namespace {client.namespace!r}: name one that it has in the profile or by "
                "TEMPORAL_NAMESPACE, or have this one created"
            ) from error
    return client
