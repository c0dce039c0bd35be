"""The one door to distributions that only some users install."""

from __future__ import annotations

import importlib
from typing import Any

from durable_ingest.errors import MissingExtra


def require(module: str, *, extra: str, distribution: str | None = None) -> Any:
    """Import `module`, or say which extra of durable-ingest brings it.

    Args:
        module: Dotted module name, such as `faiss`.
        extra: The extra that installs it.
        distribution: Name on the package index when it differs from the module's.

    Raises:
        MissingExtra: The module is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and module.partition(".")[0] != error.name.partition(".")[0]:
            raise  # a broken installation of something else: its own message is the better one
        raise MissingExtra(distribution or module, extra=extra) from error
