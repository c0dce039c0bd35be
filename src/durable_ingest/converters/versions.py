"""Versions of the libraries that decide what a conversion looks like."""

from __future__ import annotations

from functools import cache
from importlib import metadata

__all__ = ["installed", "text_fingerprint"]


@cache
def installed(distribution: str) -> str:
    """The installed version of a distribution, `absent` without it."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "absent"


def text_fingerprint(name: str) -> str:
    """Fingerprint of a converter that rests on charset detection alone.

    Args:
        name: The converter and the version of its own rules, such as `plain/1`.
    """
    return f"{name};charset/1;charset-normalizer={installed('charset-normalizer')}"
