"""How long to wait, and when to try again."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_ingest.http.retrying import backoff, is_retryable, parse_retry_after

NOW = 1_767_225_600.0  # Thu, 01 Jan 2026 00:00:00 GMT


@dataclass(frozen=True)
class Case:
    value: str | None
    expected: float | None


CASES = [
    Case(None, None),
    Case("0", 0.0),
    Case("17", 17.0),
    Case(" 5 ", 5.0),
    Case("Thu, 01 Jan 2026 00:01:30 GMT", 90.0),
    Case("Thursday, 01-Jan-26 00:00:10 GMT", 10.0),
    Case("Thu, 01 Jan 2026 00:00:10 -0000", 10.0),
    Case("Wed, 31 Dec 2025 23:00:00 GMT", 0.0),
    Case("Fri, 01 Jan 2027 00:00:00 GMT", 86_400.0),
    Case("90000", 86_400.0),
    Case("9" * 5000, 86_400.0),
    Case("-1", None),
    Case("1.5", None),
    Case("soon", None),
    Case("٣", None),
    Case("Thu, 99 Jan 2026 00:00:00 GMT", None),
    Case("Thu, 01 Jan 99999999999 00:00:00 GMT", None),
    Case("", None),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: repr(case.value)[:30])
def test_retry_after_is_read_as_seconds_or_date(case: Case) -> None:
    assert case.expected == parse_retry_after(case.value, now=NOW)


@given(st.text(max_size=60))
def test_no_header_breaks_the_reader(value: str) -> None:
    found = parse_retry_after(value, now=NOW)
    assert found is None or 0.0 <= found <= 86_400.0


@pytest.mark.parametrize(("attempt", "longest"), [(1, 0.5), (2, 1.0), (3, 2.0), (9, 8.0)])
def test_waits_double_to_a_ceiling_and_differ(attempt: int, longest: float) -> None:
    waits = [backoff(attempt) for _ in range(50)]
    assert all(longest / 2 <= wait <= longest for wait in waits)
    assert len(set(waits)) > 1


def test_a_great_many_tries_do_not_overflow() -> None:
    assert backoff(100_000) <= 8.0


def test_only_statuses_that_may_pass_are_tried_again() -> None:
    retried = [status for status in range(100, 600) if is_retryable(status)]
    assert retried == [408, 425, 429, *range(500, 600)]
