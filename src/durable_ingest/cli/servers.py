"""The server of an index folder, looked at and left alone."""

from __future__ import annotations

from pathlib import Path

from durable_ingest.devserver import ServerAddress
from durable_ingest.devserver.processes import start_time
from durable_ingest.devserver.records import read_server

__all__ = ["running_server"]

_HOST = "127.0.0.1"


def running_server(directory: Path) -> ServerAddress | None:
    """Where the server that was started in a folder answers, None if it does not run."""
    record = read_server(directory / "server.json")
    if record is None or start_time(record.pid) != record.started:
        return None
    return ServerAddress(f"{_HOST}:{record.port}", record.namespace, record.pid, adopted=True)
