"""Whether a Temporal server answers, and knows the namespace."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceRequest,
    GetSystemInfoRequest,
    ListNamespacesRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from durable_ingest.errors import ServerUnavailable

__all__ = ["examine"]

_INTERNAL_NAMESPACE = "temporal-system"
_LISTED = 100


async def examine(target_host: str, namespace: str, *, timeout: float) -> str:  # noqa: ASYNC109 - one limit over several calls
    """Connect, check health and namespace, and return the server's version.

    Raises:
        ServerUnavailable: Not reachable within `timeout` seconds, unhealthy, or without the
            namespace.
    """
    try:
        return await asyncio.wait_for(_examine(target_host, namespace, timeout), timeout)
    except TimeoutError:
        reason = f"no answer within {timeout:g} s"
    except RPCError as error:
        reason = f"{error.status.name}: {error.message}"
    except (RuntimeError, ValueError) as error:  # how the SDK reports a failed connection
        reason = _in_short(str(error))
    raise ServerUnavailable(
        f"the Temporal server at {target_host!r} cannot be reached ({reason}): check the address "
        "and that the server runs; `durable-ingest devserver` starts one on this machine"
    )


async def _examine(target_host: str, namespace: str, timeout: float) -> str:  # noqa: ASYNC109 - handed to each call
    client = await Client.connect(target_host, namespace=namespace)
    limit = timedelta(seconds=timeout)
    if not await client.service_client.check_health(timeout=limit):
        raise ServerUnavailable(
            f"the Temporal server at {target_host!r} says that it is not serving: look at its log"
        )
    service = client.workflow_service
    try:
        await service.describe_namespace(
            DescribeNamespaceRequest(namespace=namespace), timeout=limit
        )
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        raise ServerUnavailable(
            f"the Temporal server at {target_host!r} has no namespace {namespace!r}; "
            f"{await _namespaces(client, limit)}"
        ) from error
    answer = await service.get_system_info(GetSystemInfoRequest(), timeout=limit)
    return answer.server_version


async def _namespaces(client: Client, limit: timedelta) -> str:
    try:
        answer = await client.workflow_service.list_namespaces(
            ListNamespacesRequest(page_size=_LISTED), timeout=limit
        )
    except RPCError as error:
        return f"which ones it has cannot be listed ({error.status.name})"
    names = sorted(entry.namespace_info.name for entry in answer.namespaces)
    shown = ", ".join(repr(name) for name in names if name != _INTERNAL_NAMESPACE)
    return f"it has {shown}: use one of them, or have this one created"


def _in_short(text: str) -> str:
    for known in ("Connection refused", "dns error", "certificate", "invalid uri"):
        if known.lower() in text.lower():
            return known.lower() if known != "dns error" else "the host name is unknown"
    return text[:200]
