"""A worker process: build, say `ready`, work, stop in order."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from durable_ingest.cli.connection import connect_by_profile
from durable_ingest.cli.exits import ExitCode
from durable_ingest.cli.folders import index_uri
from durable_ingest.cli.logs import route_logs
from durable_ingest.cli.signals import Stop
from durable_ingest.cli.terminal import Terminal
from durable_ingest.errors import InvalidInput
from durable_ingest.settings import WorkerSettings
from durable_ingest.temporal.names import TASK_QUEUE, Role
from durable_ingest.temporal.worker import build_worker

__all__ = ["Work", "run_worker"]


@dataclass(frozen=True, slots=True)
class Work:
    """The options of `worker`, as they were typed."""

    profile: str | None = None
    roles: Sequence[str] = ()
    indexes: Sequence[str] = ()
    task_queue: str | None = None
    address: str | None = None
    namespace: str | None = None
    artifacts: Path | None = None
    allow_root: Sequence[Path] = ()
    vector_cache: Path | None = None


def run_worker(work: Work, terminal: Terminal) -> ExitCode:
    """Work until a signal comes.

    Raises:
        InvalidInput: An option is wrong, or a role lacks what it needs.
        ServerUnavailable: Nothing answers at the server's address.
    """
    roles = roles_of(work.roles)
    settings = settings_of(work)
    if Role.INDEX in roles and not work.indexes:
        raise InvalidInput(
            "the role 'index' writes to indexes: name one with --index, or choose other roles "
            "with --role"
        )
    route_logs(on_screen=True)
    asyncio.run(_work(work, roles, settings, terminal))
    return ExitCode.GOOD


async def _work(
    work: Work, roles: Sequence[Role], settings: WorkerSettings, terminal: Terminal
) -> None:
    queue = work.task_queue or TASK_QUEUE
    with Stop(terminal.say) as stop:
        client = await connect_by_profile(
            work.profile, task_queue=queue, target_host=work.address, namespace=work.namespace
        )
        worker = build_worker(
            client,
            settings,
            roles=roles,
            indexes=[index_uri(place) for place in work.indexes],
            task_queue=queue,
        )
        async with worker:
            names = ", ".join(role.value for role in roles)
            terminal.say(f"ready: {names} on {queue!r} in namespace {client.namespace!r}")
            await stop.wait()


def roles_of(names: Sequence[str]) -> list[Role]:
    """Roles by name, all of them when none is named.

    Raises:
        InvalidInput: One is unknown.
    """
    known = [role.value for role in Role]
    for name in names:
        if name not in known:
            raise InvalidInput(f"no role is called {name!r}; there are: {', '.join(known)}")
    return [role for role in Role if not names or role.value in names]


def settings_of(work: Work) -> WorkerSettings:
    """Settings from the environment, with those that were given as options."""
    found = WorkerSettings()
    changes: dict[str, object] = {}
    if work.artifacts is not None:
        changes["artifacts"] = work.artifacts.expanduser().absolute()
    if work.vector_cache is not None:
        changes["vector_cache"] = work.vector_cache.expanduser().absolute()
    if work.allow_root:
        roots = [path.expanduser().absolute() for path in work.allow_root]
        changes["allowed_roots"] = (*found.allowed_roots, *roots)
    return found.model_copy(update=changes)
