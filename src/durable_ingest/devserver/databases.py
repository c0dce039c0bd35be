"""The server's SQLite database before the server opens it.

The CLI sets a database up only when the file does not exist, so a first start that was killed
leaves a file that no later start can use; and a damaged one should be named as such at once.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Literal

from durable_ingest.errors import ServerUnavailable

__all__ = ["make_ready", "state_of"]

_CHECK_SECONDS = 2.0
_OPCODES = 100_000  # between two looks at the clock
_COMPANIONS = ("", "-journal", "-wal", "-shm")

State = Literal["absent", "unfinished", "foreign", "damaged", "good"]


def state_of(database: Path, *, seconds: float = _CHECK_SECONDS) -> State:
    """Tell what state a database is in; the caller holds its lock.

    `unfinished` is one whose first set-up was cut off: it holds no namespace, hence no workflow.
    `foreign` is a SQLite database of another program. The check ends after `seconds`; what was
    found good until then counts as good.
    """
    if not database.exists():
        return "absent"
    # Writable, because a journal left by a killed server is rolled back on opening.
    address = f"{database.absolute().as_uri()}?mode=rw"
    try:
        with closing(sqlite3.connect(address, uri=True, timeout=1.0)) as connection:
            return _examine(connection, time.monotonic() + seconds)
    except sqlite3.OperationalError:
        return "good"  # out of time, locked, not permitted: the server itself says it better
    except sqlite3.DatabaseError:
        return "damaged"


def _examine(connection: sqlite3.Connection, deadline: float) -> State:
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    if not tables:
        return "unfinished"
    # Temporal's set-up makes this table first and fills it last.
    columns = {row[1] for row in connection.execute("PRAGMA table_info(namespaces)")}
    if not {"partition_id", "data_encoding"} <= columns:
        return "foreign"
    if connection.execute("SELECT 1 FROM namespaces").fetchone() is None:
        return "unfinished"
    connection.set_progress_handler(lambda: time.monotonic() > deadline, _OPCODES)
    verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    return "good" if verdict == "ok" else "damaged"


def make_ready(database: Path) -> None:
    """Clear away a database whose set-up was never finished; refuse one that cannot be served.

    Raises:
        ServerUnavailable: It is damaged or another program's; nothing was changed.
    """
    state = state_of(database)
    if state == "damaged":
        raise ServerUnavailable(
            f"the Temporal server's database {str(database)!r} is damaged: move it away and start "
            "again; the progress of unfinished jobs in it is lost, so start those jobs anew"
        )
    if state == "foreign":
        raise ServerUnavailable(
            f"{str(database)!r} is the database of another program: choose another file"
        )
    if state == "unfinished":
        for suffix in _COMPANIONS:
            database.with_name(f"{database.name}{suffix}").unlink(missing_ok=True)
