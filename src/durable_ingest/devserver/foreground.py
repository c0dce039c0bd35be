"""`durable-ingest devserver`: a server that runs until it is told to stop."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FrameType

from durable_ingest.devserver.databases import make_ready
from durable_ingest.devserver.executables import Executable, find_executable
from durable_ingest.devserver.launch import (
    HOST,
    check_port,
    end_child,
    spawn,
    start_arguments,
    wait_until_ready,
)
from durable_ingest.devserver.locks import DatabaseLock, lock_path
from durable_ingest.errors import InvalidInput, ServerUnavailable

__all__ = ["serve_foreground"]

_GRACE_SECONDS = 10.0
_LOOK_SECONDS = 0.2


def serve_foreground(
    *,
    port: int = 7233,
    ui_port: int | None = None,
    db: Path | None = None,
    namespace: str = "default",
    executable: Executable | None = None,
    say: Callable[[str], None] | None = None,
    startup_timeout: float = 30.0,
    time_skipping: bool = False,
    dynamic_config: Mapping[str, object] | None = None,
) -> int:
    """Run a dev server on 127.0.0.1 until SIGINT or SIGTERM, and return the exit code.

    Called from the main thread, where signals arrive. The server's own output goes to this
    process's stdout and stderr.

    Args:
        port: Its gRPC port.
        ui_port: Port of the web page; None serves none.
        db: File for its state; None keeps it in memory.
        namespace: Created beside `default`.
        executable: The Temporal CLI; None finds one.
        say: Gets the lines meant for people; None writes them to stderr.
        startup_timeout: Seconds that it has to answer.
        time_skipping: Whether workflows may ask for skipped time.
        dynamic_config: More server settings.

    Returns:
        0 when it was told to stop, 1 when the server ended by itself.

    Raises:
        ServerUnavailable: It could not be started, or another server has the database open.
        InvalidInput: The database's folder does not exist.
    """
    speak = say or _write_line
    check_port(port)
    if ui_port is not None:
        check_port(ui_port)
    lock = None if db is None else _locked(db.absolute())
    try:
        if db is not None:
            make_ready(db.absolute())
        program = executable or find_executable(say=speak)
        arguments = start_arguments(
            program.path,
            port=port,
            namespace=namespace,
            database=None if db is None else db.name,
            ui_port=ui_port,
            time_skipping=time_skipping,
            dynamic_config=dynamic_config,
        )
        with _told_to_stop() as told:
            process = spawn(arguments, cwd=None if db is None else db.absolute().parent, lock=lock)
            try:
                return _attend(
                    process,
                    port,
                    namespace,
                    startup_timeout=startup_timeout,
                    told=told,
                    speak=speak,
                )
            finally:
                # Told twice: at once.
                end_child(process, grace=_GRACE_SECONDS, hurry=lambda: len(told) > 1)
    finally:
        if lock is not None:
            lock.close()


def _attend(
    process: subprocess.Popen[bytes],
    port: int,
    namespace: str,
    *,
    startup_timeout: float,
    told: list[int],
    speak: Callable[[str], None],
) -> int:
    try:
        version = wait_until_ready(
            process, port, namespace, timeout=startup_timeout, give_up=lambda: bool(told)
        )
    except ServerUnavailable as error:
        if told:
            return 0
        raise ServerUnavailable(f"the Temporal server did not start: {error}") from error
    speak(f"Temporal server {version} at {HOST}:{port}, namespace {namespace!r}; Ctrl-C stops it")
    while not told:
        try:
            code = process.wait(timeout=_LOOK_SECONDS)
        except subprocess.TimeoutExpired:
            continue
        speak(f"the Temporal server ended by itself with code {code}")
        return 1
    speak("stopping the Temporal server")
    return 0


def _locked(database: Path) -> DatabaseLock:
    if not database.parent.is_dir():
        raise InvalidInput(f"the folder of the database {str(database)!r} does not exist: make it")
    lock = DatabaseLock(lock_path(database))
    try:
        taken = lock.acquire()
    except OSError as error:
        raise ServerUnavailable(
            f"{str(lock.path)!r} cannot be written ({error.strerror or error}): "
            "make its folder writable or choose another"
        ) from error
    if not taken:
        raise ServerUnavailable(
            f"another Temporal server (process {lock.named_pid()}) has {str(database)!r} open: "
            "stop it, or choose another file"
        )
    return lock


@contextlib.contextmanager
def _told_to_stop() -> Iterator[list[int]]:
    """Collect stop signals in a list instead of dying of them."""
    told: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield told  # signals arrive in the main thread only; its owner ends the process
        return

    def note(number: int, _frame: FrameType | None) -> None:
        told.append(number)

    numbers = [signal.SIGINT, signal.SIGTERM]
    if sys.platform != "win32":
        numbers.append(signal.SIGHUP)
    before = [(number, signal.signal(number, note)) for number in numbers]
    try:
        yield told
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def _write_line(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
