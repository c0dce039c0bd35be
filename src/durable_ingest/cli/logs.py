"""Where the libraries' log lines go: nowhere, to a file, or to stderr."""

from __future__ import annotations

import logging
from logging.handlers import RotatingFileHandler
from pathlib import Path

from durable_ingest.cli.guard import DEBUG

__all__ = ["route_logs"]

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_SIZE = 4 << 20


def route_logs(file: Path | None = None, *, on_screen: bool = False) -> None:
    """Send the log lines of this process, and of Temporal's core, one way.

    Call it before the first connection: the core's runtime is made once per process.

    Args:
        file: Warnings are appended to it; its folder must exist when the first one comes.
        on_screen: Warnings go to stderr instead; everything does with `--debug`.
    """
    handler: logging.Handler
    if DEBUG.get() or on_screen:
        handler = logging.StreamHandler()
    elif file is not None:
        # Opened when the first line comes: a good run leaves no file.
        handler = RotatingFileHandler(
            file, maxBytes=_SIZE, backupCount=1, encoding="utf-8", delay=True
        )
    else:
        handler = logging.NullHandler()
    if not DEBUG.get():
        # A log that cannot be written, as on a full disk, is no trouble of the command's user.
        logging.raiseExceptions = False
    handler.setFormatter(logging.Formatter(_FORMAT))
    level = logging.INFO if DEBUG.get() else logging.WARNING
    logging.basicConfig(handlers=[handler], level=level, force=True)
    _forward_core()


def _forward_core() -> None:
    from temporalio.runtime import (  # noqa: PLC0415 - slow to import
        LogForwardingConfig,
        LoggingConfig,
        Runtime,
        TelemetryConfig,
        TelemetryFilter,
    )

    logging_config = LoggingConfig(
        filter=TelemetryFilter(core_level="WARN", other_level="ERROR"),
        forwarding=LogForwardingConfig(logger=logging.getLogger("temporalio.core")),
    )
    Runtime.set_default(
        Runtime(telemetry=TelemetryConfig(logging=logging_config)), error_if_already_set=False
    )
