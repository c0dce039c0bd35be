"""When to try again, and how long to wait before."""

from __future__ import annotations

import secrets
from datetime import UTC
from email.utils import parsedate_to_datetime

__all__ = ["LONGEST_WAIT", "backoff", "is_retryable", "parse_retry_after"]

LONGEST_WAIT = 30.0
"""Seconds waited in place at most; a server that asks for more gets the document deferred."""

_LONGEST_ASKED = 86_400.0
_FIRST = 0.5
_CEILING = 8.0
_RETRYABLE = frozenset({408, 425, 429})
_SERVER_ERRORS = range(500, 600)
_LONGEST_DIGITS = 12

_random = secrets.SystemRandom()


def is_retryable(status: int) -> bool:
    """Whether another try may bring another answer: 408, 425, 429 and all of 5xx."""
    return status in _RETRYABLE or status in _SERVER_ERRORS


def backoff(attempt: int) -> float:
    """Seconds to wait after a failed try: 0.5 doubling to 8, up to half of it taken off at random.

    The randomness keeps many workers from coming back together.

    Args:
        attempt: Number of the try that failed, from 1.
    """
    longest: float = min(_CEILING, _FIRST * 2.0 ** min(attempt - 1, 10))
    return _random.uniform(longest / 2, longest)


def parse_retry_after(value: str | None, *, now: float) -> float | None:
    """Seconds that a `Retry-After` header asks for (RFC 9110 10.2.3), a day at most.

    Args:
        value: The header: seconds, or an HTTP date.
        now: Seconds since the epoch, which a date is compared with.

    Returns:
        None when there is no header or it says nothing that can be read.
    """
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdecimal():
        return _LONGEST_ASKED if len(text) > _LONGEST_DIGITS else _bounded(float(text))
    try:
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is None:  # `-0000`: a time in UTC, no zone known
            moment = moment.replace(tzinfo=UTC)
        return _bounded(moment.timestamp() - now)
    except (ValueError, OverflowError):
        return None


def _bounded(seconds: float) -> float:
    return min(max(seconds, 0.0), _LONGEST_ASKED)
