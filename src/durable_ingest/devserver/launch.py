"""Starting `temporal server start-dev` and waiting until it answers."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

from durable_ingest.devserver.locks import DatabaseLock
from durable_ingest.errors import InvalidInput, ServerUnavailable

__all__ = [
    "HOST",
    "TIME_SKIPPING_ARGUMENTS",
    "answering_version",
    "check_port",
    "check_reachable",
    "end_child",
    "free_port",
    "spawn",
    "start_arguments",
    "tail",
    "wait_until_ready",
]

HOST = "127.0.0.1"

TIME_SKIPPING_ARGUMENTS = (
    "--dynamic-config-value",
    "frontend.WorkflowTimeSkippingEnabled=true",
)
"""Arguments that let a server of the pinned version skip time per workflow."""

# What the SDK's own dev server is started with.
_DYNAMIC_CONFIG = {
    "frontend.enableServerVersionCheck": False,
    "frontend.enableUpdateWorkflowExecution": True,
    "frontend.enableUpdateWorkflowExecutionAsyncAccepted": True,
}
# The shell becomes the server: same process, so its pid is known before anything is opened.
_NAME_AND_BECOME = 'printf %s "$$" >"$0" && exec "$@"'
_POLL_SECONDS = 0.05
_ANNOUNCEMENT_SECONDS = 1.0
if sys.platform == "win32":
    _CREATION_FLAGS = subprocess.CREATE_NEW_PROCESS_GROUP
else:
    _CREATION_FLAGS = 0
_TAIL_LINES = 12


def free_port() -> int:
    """Return a TCP port that was free on 127.0.0.1 a moment ago."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def check_port(port: int) -> None:
    """Return if a server could listen on `port` of 127.0.0.1 now.

    Raises:
        InvalidInput: It is no port number.
        ServerUnavailable: It is taken or may not be used.
    """
    if not 1 <= port <= 65535:  # noqa: PLR2004 - the range of TCP ports
        raise InvalidInput(f"port {port!r} is not between 1 and 65535")
    with socket.socket() as probe:
        if sys.platform != "win32":  # a port in TIME_WAIT is free to a server
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise ServerUnavailable(
                f"port {port} on {HOST} cannot be used ({error.strerror or error}): "
                "stop what listens there or choose another port"
            ) from error


def start_arguments(
    executable: Path,
    *,
    port: int,
    namespace: str = "default",
    database: str | None = None,
    ui_port: int | None = None,
    log_level: str = "warn",
    time_skipping: bool = False,
    dynamic_config: Mapping[str, object] | None = None,
) -> list[str]:
    """Return the command line of a dev server on 127.0.0.1, the program first.

    Args:
        executable: The Temporal CLI.
        port: Its gRPC port.
        namespace: Created beside `default`, which is always there.
        database: File for its state, relative to its working folder; None keeps it in memory.
        ui_port: Port of the web page; None serves none.
        log_level: debug, info, warn, error or never.
        time_skipping: Whether workflows may ask for skipped time (per-workflow clocks).
        dynamic_config: More server settings; values are written as JSON.
    """
    settings = {**_DYNAMIC_CONFIG, **(dynamic_config or {})}
    words = [str(executable), "server", "start-dev", "--port", str(port), "--ip", HOST]
    words += ["--namespace", namespace, "--log-format", "pretty", "--log-level", log_level]
    words += ["--headless"] if ui_port is None else ["--ui-port", str(ui_port)]
    for key, value in settings.items():
        words += ["--dynamic-config-value", f"{key}={json.dumps(value)}"]
    if time_skipping:
        words += TIME_SKIPPING_ARGUMENTS
    if database is not None:
        words += ["--db-filename", database]
    return words


def spawn(
    arguments: Sequence[str],
    *,
    cwd: Path | None = None,
    log: BinaryIO | None = None,
    lock: DatabaseLock | None = None,
) -> subprocess.Popen[bytes]:
    """Start a server in a session of its own, so that a terminal's Ctrl-C does not reach it.

    Args:
        arguments: From `start_arguments`.
        cwd: Its working folder.
        log: Gets its stdout and stderr; None leaves them with this process's.
        lock: Held by this process; handed over to the server.
    """
    words = list(arguments)
    inherited: tuple[int, ...] = ()
    if lock is not None and lock.descriptor is not None:
        words = ["/bin/sh", "-c", _NAME_AND_BECOME, str(lock.path), *words]
        inherited = (lock.descriptor,)
    process = subprocess.Popen(  # noqa: S603 - the Temporal CLI found by this package
        words,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=None if log is None else subprocess.STDOUT,
        start_new_session=True,
        pass_fds=inherited,
        creationflags=_CREATION_FLAGS,
    )
    if lock is not None:
        lock.hand_over(process.pid)
    return process


def wait_until_ready(
    process: subprocess.Popen[bytes],
    port: int,
    namespace: str,
    *,
    timeout: float,
    give_up: Callable[[], bool] | None = None,
    announced: Callable[[], bool] | None = None,
) -> str:
    """Wait until a server of ours answers gRPC health and knows `namespace`; return its version.

    Args:
        process: The server.
        port: The port it was given.
        namespace: The namespace it was given.
        timeout: Seconds it has.
        give_up: Ends the wait when it says so.
        announced: Whether the server itself says that it is up. Two servers that were given one
            port are told apart by it: the one that lost it is about to end.

    Raises:
        ServerUnavailable: It ended, did not answer within `timeout` seconds, or `give_up()`.
    """
    deadline = time.monotonic() + timeout
    seen = "it does not listen"
    while time.monotonic() < deadline and not (give_up is not None and give_up()):
        if process.poll() is not None:
            raise ServerUnavailable(f"it ended with code {process.returncode}")
        if _listens(port):
            try:
                version = answering_version(f"{HOST}:{port}", namespace, timeout=2.0)
            except ServerUnavailable as error:
                seen = str(error)
            else:
                patience = time.monotonic() + _ANNOUNCEMENT_SECONDS
                while process.poll() is None:
                    if announced is None or announced() or time.monotonic() > patience:
                        return version
                    time.sleep(_POLL_SECONDS)
        time.sleep(_POLL_SECONDS)
    raise ServerUnavailable(f"it did not answer within {timeout:g} s: {seen}")


def _listens(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), timeout=0.5):
            return True
    except OSError:
        return False


def answering_version(target_host: str, namespace: str, *, timeout: float) -> str:
    """Return the version of the server that answers there, from synchronous code.

    Raises:
        ServerUnavailable: As `check_reachable`.
    """
    # In a thread of its own: this one may have a running event loop.
    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(
            lambda: asyncio.run(check_reachable(target_host, namespace, timeout=timeout))
        ).result()


async def check_reachable(
    target_host: str,
    namespace: str,
    *,
    timeout: float = 5.0,  # noqa: ASYNC109 - one limit over several calls
) -> str:
    """Connect to a Temporal server, check its health and the namespace, and return its version.

    Raises:
        ServerUnavailable: Not reachable within `timeout` seconds, unhealthy, or without the
            namespace, in which case those that exist are named.
    """
    from durable_ingest.devserver import reachability  # noqa: PLC0415 - temporalio only when used

    return await reachability.examine(target_host, namespace, timeout=timeout)


def end_child(
    process: subprocess.Popen[bytes], *, grace: float, hurry: Callable[[], bool] | None = None
) -> None:
    """Ask a server of ours to end, and kill it after `grace` seconds, or when `hurry()` says so."""
    try:
        process.terminate()
        deadline = time.monotonic() + grace
        while process.poll() is None and time.monotonic() < deadline:
            if hurry is not None and hurry():
                break
            time.sleep(_POLL_SECONDS)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def tail(log: Path, start: int = 0) -> str:
    """Return the last lines of a log file from byte `start` on, indented."""
    try:
        with log.open("rb") as file:
            file.seek(start)
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return "    (no log)"
    lines = [line for line in text.splitlines() if line.strip()]
    return "\n".join(f"    {line[:400]}" for line in lines[-_TAIL_LINES:]) or "    (nothing)"
