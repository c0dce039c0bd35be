"""The server of `durable-ingest run`: one per directory, its database kept there."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from durable_ingest.devserver.databases import make_ready
from durable_ingest.devserver.executables import Executable, find_executable
from durable_ingest.devserver.launch import (
    HOST,
    answering_version,
    check_port,
    end_child,
    free_port,
    spawn,
    start_arguments,
    tail,
    wait_until_ready,
)
from durable_ingest.devserver.locks import DatabaseLock, lock_path
from durable_ingest.devserver.ownership import Ownership
from durable_ingest.devserver.processes import end_process, start_time
from durable_ingest.devserver.records import ServerRecord, read_server, write_record
from durable_ingest.devserver.versions import is_at_least
from durable_ingest.errors import ServerUnavailable

__all__ = ["EmbeddedServer", "ServerAddress"]

_GRACE_SECONDS = 10.0
_HUNG_GRACE_SECONDS = 2.0
_ADOPTION_SECONDS = 3.0
_LOCK_SECONDS = 2.0
_PORT_ATTEMPTS = 3
_ANNOUNCEMENT = "Temporal Server:"
_LOG_BYTES = 8 << 20  # a log that has grown over this is set aside at the next start


@dataclass(frozen=True)
class ServerAddress:
    """Where a server of ours answers.

    Attributes:
        target_host: `host:port`, as Temporal clients take it.
        namespace: The namespace that was asked for, which exists.
        pid: The server's process.
        adopted: Whether it was running already, left over from a process that was killed.
    """

    target_host: str
    namespace: str
    pid: int
    adopted: bool


class _PortLost(ServerUnavailable):
    """The server died because a port was taken."""


class EmbeddedServer:
    """A Temporal server whose state lies in `directory` and outlives every process.

    At most one live process owns the directory and at most one server opens its database. The
    server runs in a session of its own, so that Ctrl-C leaves it up until `stop()`; when its
    owner is killed it stays up, and the next `start()` on the directory adopts it, or ends it
    when it does not answer or was started with other settings. All calls block; from a coroutine
    call them through `asyncio.to_thread`.

    The directory holds `temporal.db`, `server.json`, `server.log`, `database.lock`, `owner.lock`
    and `owner.json`. It must be on a local file system: the locks are the kernel's.

    Args:
        directory: Where the state lies; made when missing.
        executable: The Temporal CLI; None finds one, when one is needed at all.
        namespace: The namespace to have.
        say: Gets a line for each thing that takes time.
        startup_timeout: Seconds that a started server has to answer.
        port: A fixed port; None takes a free one.
        ui_port: A port for the web page; None serves none.
        time_skipping: Whether workflows may ask for skipped time.
    """

    def __init__(
        self,
        directory: Path,
        *,
        executable: Executable | None = None,
        namespace: str = "default",
        say: Callable[[str], None] | None = None,
        startup_timeout: float = 30.0,
        port: int | None = None,
        ui_port: int | None = None,
        time_skipping: bool = False,
    ) -> None:
        self._directory = directory.absolute()
        self._executable = executable
        self._namespace = namespace
        self._say = say or (lambda _line: None)
        self._startup_timeout = startup_timeout
        self._port = port
        self._ui_port = ui_port
        self._time_skipping = time_skipping
        self._database = self._directory / "temporal.db"
        self._record = self._directory / "server.json"
        self._lock = DatabaseLock(lock_path(self._database))
        self._ownership = Ownership(self._directory)
        self._process: subprocess.Popen[bytes] | None = None
        self._identity: tuple[int, str] | None = None
        self._address: ServerAddress | None = None

    @property
    def log_file(self) -> Path:
        """Where the server writes its log."""
        return self._directory / "server.log"

    @property
    def address(self) -> ServerAddress:
        """Where the started server answers.

        Raises:
            ServerUnavailable: It has not been started.
        """
        if self._address is None:
            raise ServerUnavailable(
                f"the server of {str(self._directory)!r} is not started: call start() first"
            )
        return self._address

    def is_alive(self) -> bool:
        """Tell whether the server that `start()` returned still runs."""
        if self._process is not None:
            return self._process.poll() is None
        return self._identity is not None and start_time(self._identity[0]) == self._identity[1]

    def start(self) -> ServerAddress:
        """Start or adopt the directory's server and say where it answers; again: the same answer.

        Raises:
            RunConflict: Another live process owns the directory; the message names its pid.
            ServerUnavailable: No server could be started; the message says why, with the end of
                the server's log.
        """
        if self._address is None:
            self._ownership.take()
            try:
                self._address = self._start()
            except BaseException:
                self.stop()
                raise
        return self._address

    def stop(self) -> None:
        """End the server, which writes its state first, and free the directory; idempotent."""
        if not self._ownership.is_held:
            return
        try:
            self._end_server()
        finally:
            self._address = None
            self._ownership.give_back()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _start(self) -> ServerAddress:
        try:
            if not self._lock.acquire():
                adopted = self._adopt_or_end()
                if adopted is not None:
                    return adopted
            make_ready(self._database)
            return self._launch()
        finally:
            self._lock.close()

    def _end_server(self) -> None:
        process, identity = self._process, self._identity
        self._process = self._identity = None
        if process is not None:
            end_child(process, grace=_GRACE_SECONDS)
        elif identity is not None:
            end_process(*identity, grace=_GRACE_SECONDS, is_gone=self._lock.is_free)
        else:
            return
        with contextlib.suppress(OSError):
            self._record.unlink(missing_ok=True)

    # A server that is there already.

    def _adopt_or_end(self) -> ServerAddress | None:
        holder = self._lock.holder()
        if holder is None:
            # It may have ended since; if not, it is nothing that may be ended from here.
            if self._lock.acquire(timeout=_LOCK_SECONDS):
                return None
            raise ServerUnavailable(
                f"{str(self._lock.path)!r} is held by a process that is not surely a server of "
                f"ours (the file names pid {self._lock.named_pid()}): end what uses "
                f"{str(self._database)!r} and try again"
            )
        record = read_server(self._record)
        grace = _GRACE_SECONDS
        if record is not None and (record.pid, record.started) == holder and self._fits(record):
            target = f"{HOST}:{record.port}"
            # One that hangs is ended below, and a fresh one goes on with its database.
            with contextlib.suppress(ServerUnavailable):
                answering_version(target, self._namespace, timeout=_ADOPTION_SECONDS)
                self._identity = holder
                self._say(f"took over the Temporal server that was left running at {target}")
                return ServerAddress(target, self._namespace, record.pid, adopted=True)
            grace = _HUNG_GRACE_SECONDS
        pid, started = holder
        self._say(f"ending a Temporal server that was left running (process {pid})")
        end_process(pid, started, grace=grace, is_gone=self._lock.is_free)
        if not self._lock.acquire(timeout=_LOCK_SECONDS):
            raise ServerUnavailable(
                f"the Temporal server left running on {str(self._database)!r} (process {pid}) "
                "could not be ended: end it by hand and try again"
            )
        return None

    def _fits(self, record: ServerRecord) -> bool:
        if self._port not in {None, record.port} or record.settings != self._settings():
            return False
        if self._executable is None:
            return is_at_least(record.cli)
        return self._executable.version == record.cli

    # A new one.

    def _arguments(self, executable: Path, port: int) -> list[str]:
        return start_arguments(
            executable,
            port=port,
            namespace=self._namespace,
            database=self._database.name,  # relative: SQLite gives `?` and `%` in a path a meaning
            ui_port=self._ui_port,
            time_skipping=self._time_skipping,
        )

    def _settings(self) -> tuple[str, ...]:
        return tuple(self._arguments(Path("temporal"), 0)[1:])

    def _launch(self) -> ServerAddress:
        executable = self._executable or find_executable(say=self._say)
        for asked in (self._port, self._ui_port):
            if asked is not None:
                check_port(asked)
        attempts = 1 if self._port is not None else _PORT_ATTEMPTS
        while True:
            try:
                return self._launch_at(executable, self._port or free_port())
            except _PortLost:
                # Taken between the look and the use; the server also picks some ports itself.
                attempts -= 1
                if not attempts or not self._lock.acquire(timeout=_LOCK_SECONDS):
                    raise

    def _launch_at(self, executable: Executable, port: int) -> ServerAddress:
        log = self.log_file
        try:
            if log.exists() and log.stat().st_size > _LOG_BYTES:
                log.replace(log.with_name("server.log.old"))
            with log.open("ab") as file:
                offset = file.tell()
                self._process = spawn(
                    self._arguments(executable.path, port),
                    cwd=self._directory,
                    log=file,
                    lock=self._lock,
                )
            pid = self._process.pid
            record = ServerRecord(
                pid=pid,
                started=start_time(pid) or "",
                port=port,
                namespace=self._namespace,
                cli=executable.version,
                server="",
                settings=self._settings(),
                executable=str(executable.path),
            )
            # Before it answers: who starts a server and is killed leaves one to adopt.
            write_record(self._record, record)
            version = wait_until_ready(
                self._process,
                port,
                self._namespace,
                timeout=self._startup_timeout,
                announced=lambda: _ANNOUNCEMENT in tail(log, offset),
            )
            write_record(self._record, replace(record, server=version))
        except OSError as error:
            raise ServerUnavailable(
                f"the Temporal server {str(executable.path)!r} could not be started in "
                f"{str(self._directory)!r}: {error.strerror or error}"
            ) from error
        except ServerUnavailable as error:
            self._end_server()
            said = tail(log, offset)
            kind = _PortLost if "address already in use" in said else ServerUnavailable
            raise kind(
                f"the Temporal server {str(executable.path)!r} did not start on port {port}: "
                f"{error}; the end of {str(log)!r}:\n{said}"
            ) from error
        return ServerAddress(f"{HOST}:{port}", self._namespace, pid, adopted=False)
