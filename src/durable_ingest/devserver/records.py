"""What is written beside a database about its server and about the process that owns both."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

__all__ = ["OwnerRecord", "ServerRecord", "read_owner", "read_server", "write_record"]


@dataclass(frozen=True)
class ServerRecord:
    """A server that was started here, and may or may not run still.

    Attributes:
        pid: Its process.
        started: The identity of that process, from `start_time`.
        port: Its port on 127.0.0.1.
        namespace: The namespace it was started for.
        cli: Version of the CLI.
        server: Version of the server, as it said itself.
        settings: Its arguments, without program and port.
        executable: The program.
    """

    pid: int
    started: str
    port: int
    namespace: str
    cli: str
    server: str
    settings: tuple[str, ...]
    executable: str


@dataclass(frozen=True)
class OwnerRecord:
    """The process that holds the owner lock of a directory."""

    pid: int
    started: str | None


def write_record(path: Path, record: ServerRecord | OwnerRecord) -> None:
    """Write a record whole or not at all."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with partial.open("w", encoding="utf-8") as file:
            json.dump(asdict(record), file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def read_server(path: Path) -> ServerRecord | None:
    """Read a server's record; None when there is none or it is not readable as one."""
    data = _read(path)
    try:
        return ServerRecord(
            pid=int(data["pid"]),
            started=str(data["started"]),
            port=int(data["port"]),
            namespace=str(data["namespace"]),
            cli=str(data["cli"]),
            server=str(data["server"]),
            settings=tuple(map(str, data["settings"])),
            executable=str(data["executable"]),
        )
    except (KeyError, TypeError, ValueError):
        return None


def read_owner(path: Path) -> OwnerRecord | None:
    """Read an owner's record; None when there is none or it is not readable as one."""
    data = _read(path)
    try:
        return OwnerRecord(pid=int(data["pid"]), started=data["started"])
    except (KeyError, TypeError, ValueError):
        return None


def _read(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}
