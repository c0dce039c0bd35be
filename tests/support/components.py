"""What a test needs from outside the package."""

from __future__ import annotations

import os

import pytest


def missing(component: str, remedy: str) -> None:
    """Fail in CI, skip by name elsewhere: a missing component is never passed over in silence."""
    message = f"{component} is missing: {remedy}"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)
