"""Finding, getting, building, starting and owning a Temporal dev server.

`find_executable` returns a Temporal CLI, from wherever one can be had. `EmbeddedServer` keeps a
server's database in a directory and the server to one owner; `serve_foreground` runs one in a
terminal; `check_reachable` and `diagnose` say what is wrong before it hurts.

Importing this package imports neither temporalio nor httpx.
"""

from __future__ import annotations

from durable_ingest.devserver.diagnosis import Finding, diagnose
from durable_ingest.devserver.embedded import EmbeddedServer, ServerAddress
from durable_ingest.devserver.executables import EXECUTABLE_VARIABLE, Executable, find_executable
from durable_ingest.devserver.foreground import serve_foreground
from durable_ingest.devserver.launch import (
    TIME_SKIPPING_ARGUMENTS,
    check_reachable,
    free_port,
    start_arguments,
)
from durable_ingest.devserver.versions import PINNED_CLI, PINNED_SERVER

__all__ = [
    "EXECUTABLE_VARIABLE",
    "PINNED_CLI",
    "PINNED_SERVER",
    "TIME_SKIPPING_ARGUMENTS",
    "EmbeddedServer",
    "Executable",
    "Finding",
    "ServerAddress",
    "check_reachable",
    "diagnose",
    "find_executable",
    "free_port",
    "serve_foreground",
    "start_arguments",
]
