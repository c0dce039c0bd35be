"""What is seen of a run, and the report at its end."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionResponse

from durable_ingest.cli.commands.search import snippet
from durable_ingest.cli.exits import ExitCode
from durable_ingest.cli.following import troubles
from durable_ingest.cli.pace import Pace, spoken_duration
from durable_ingest.cli.reports import SavedReport, document_of, exit_code_of, save, text_of
from durable_ingest.cli.terminal import Terminal, printable
from durable_ingest.cli.views import BarView, LineView, line_of
from durable_ingest.models import Counts, ErrorRow, IngestReport, Progress

COUNTS = Counts(
    documents=30, added=20, updated=3, unchanged=5, failed=2, chunks=90, embedded=80, reused=10
)
ROWS = [
    ErrorRow(
        uri="file:///secret.md",
        stage="fetch",
        error_type="SourceRefused",
        message="outside",
        rule="allowed_roots",
    ),
    ErrorRow(uri="file:///gone.md", stage="fetch", error_type="SourceMissing", message="gone"),
]
REPORT = IngestReport(
    counts=COUNTS,
    errors=ROWS,
    started_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    finished_at=datetime(2026, 1, 2, 3, 6, 10, tzinfo=UTC),
)


def running(done: int, *, unchanged: int = 0) -> Progress:
    return Progress(
        status="running",
        counts=Counts(documents=done, added=done - unchanged, unchanged=unchanged, chunks=3 * done),
        planned=100,
    )


def test_a_rate_is_that_of_the_last_minute() -> None:
    pace = Pace()
    assert [None, None] == [pace.rate, pace.left(100)]
    pace.add(0.0, 10)
    assert [None] == [pace.rate]
    pace.add(10.0, 30)
    assert [2.0, 35.0] == [pace.rate, pace.left(100)]
    for second in range(20, 200, 10):
        pace.add(float(second), 30 + (second - 10))
    assert pytest.approx(1.0) == pace.rate


def test_another_run_counts_anew() -> None:
    pace = Pace()
    pace.add(0.0, 90)
    pace.add(1.0, 5)
    pace.add(2.0, 7)
    assert 2.0 == pace.rate


@given(st.lists(st.tuples(st.floats(0, 1e6), st.integers(0, 10**6)), max_size=30))
def test_a_rate_is_never_negative(samples: list[tuple[float, int]]) -> None:
    pace = Pace()
    for now, done in sorted(samples):
        pace.add(now, done)
        assert pace.rate is None or pace.rate > 0
        left = pace.left(10**6)
        assert left is None or left >= 0


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.4, "0 s"), (59.4, "59 s"), (185, "3 min 5 s"), (7801, "2 h 10 min")],
)
def test_a_duration_is_spoken_in_two_units(seconds: float, expected: str) -> None:
    assert expected == spoken_duration(seconds)


def test_without_a_terminal_a_line_comes_with_each_status_and_every_five_seconds(
    capsys: pytest.CaptureFixture[str],
) -> None:
    now = [0.0]
    with LineView(Terminal(), clock=lambda: now[0]) as view:
        for second, progress in enumerate(
            [Progress(status="planning"), *(running(10 * (n + 1)) for n in range(7))]
        ):
            now[0] = float(second)
            view.show(progress)
        view.say("retrying commit batch (attempt 3): StorageFull: no space left")
        view.show(Progress(status="paused", counts=COUNTS, planned=100))
    out, err = capsys.readouterr()
    assert "" == out
    assert [
        "planning",
        "running: 10/100 documents, 30 chunks",
        "running: 60/100 documents, 180 chunks, 10.0/s, 4 s left",
        "retrying commit batch (attempt 3): StorageFull: no space left",
        "the job is paused: `durable-ingest resume` with the same --index lets it go on",
        "paused: 30/100 documents, 90 chunks, 2 failed",
    ] == err.splitlines()


def test_on_a_terminal_a_bar_shows_the_same_figures() -> None:
    terminal = Terminal()
    shown = io.StringIO()
    terminal.talk = Console(file=shown, force_terminal=True, width=100, highlight=False)
    now = [0.0]
    with BarView(terminal, clock=lambda: now[0]) as view:
        view.show(running(10))
        now[0] = 1.0
        view.show(running(20))
    assert "20/100 documents, 60 chunks, 10.0/s, 8 s left" in shown.getvalue()


def test_deferred_batches_are_said() -> None:
    progress = Progress(status="running", counts=COUNTS, planned=40, deferred=2)
    assert (
        "running: 30/40 documents, 90 chunks, 2 failed, 2 batches wait for their source"
        == line_of(progress, Pace())
    )


def test_text_from_documents_cannot_drive_the_terminal() -> None:
    assert "a?[31m b\nc" == printable("a\x1b[31m\tb\nc".replace("\t", "\t"))
    assert "two words" == snippet("two\n\n  words")
    assert snippet("word " * 200).endswith("word ...")


def test_a_report_is_text_json_and_files(tmp_path: Path) -> None:
    saved = save(SavedReport(REPORT, "file:///index", workflow="ingest-1"), tmp_path, rows=None)
    assert tmp_path / "2026-01-02T03-06-10.000000Z.json" == saved.path
    assert saved.path is not None
    assert saved.error_rows is not None
    document = json.loads(saved.path.read_text())
    assert document_of(saved) == document
    assert ("completed", 125.0, 30, 2) == (
        document["status"],
        document["seconds"],
        document["counts"]["documents"],
        len(document["errors"]),
    )
    assert ROWS == [
        ErrorRow.model_validate_json(line) for line in saved.error_rows.read_text().splitlines()
    ]
    text = text_of(saved)
    assert "completed in 2 min 5 s" in text
    assert "file:///secret.md (fetch, SourceRefused, rule allowed_roots): outside" in text


def test_failed_documents_beyond_the_first_twenty_are_counted_and_filed(tmp_path: Path) -> None:
    rows = [ROWS[1].model_copy(update={"uri": f"file:///{n}"}) for n in range(25)]
    report = REPORT.model_copy(
        update={"counts": Counts(documents=25, failed=25), "errors": rows[:20]}
    )
    every = "".join(row.model_dump_json() + "\n" for row in rows).encode()
    saved = save(SavedReport(report, "file:///index"), tmp_path, every)
    assert f"  and 5 more, all of them in {saved.error_rows}" in text_of(saved).splitlines()
    assert saved.error_rows is not None
    assert every == saved.error_rows.read_bytes()


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        (IngestReport(), ExitCode.GOOD),
        (REPORT, ExitCode.DOCUMENTS_FAILED),
        (IngestReport(status="cancelled"), ExitCode.FAILED),
    ],
    ids=["good", "some failed", "cancelled"],
)
def test_a_finished_run_ends_with_the_code_of_its_report(
    report: IngestReport, expected: ExitCode
) -> None:
    assert expected == exit_code_of(report)


def test_steps_that_are_tried_again_are_said_with_attempt_and_reason() -> None:
    full = PendingActivityInfo(attempt=3)
    full.activity_type.name = "commit_batch"
    full.last_failure.message = "no space left"
    full.last_failure.application_failure_info.type = "StorageFull"
    full.next_attempt_schedule_time.FromDatetime(datetime.now(UTC) + timedelta(seconds=60.4))
    dead = PendingActivityInfo(attempt=2)
    dead.activity_type.name = "embed_batch"
    dead.last_failure.timeout_failure_info.SetInParent()
    fine = PendingActivityInfo(attempt=1)
    found = DescribeWorkflowExecutionResponse(pending_activities=[full, dead, fine])
    assert [
        "retrying commit batch (attempt 3): StorageFull: no space left; next try in 1 min 0 s",
        "retrying embed batch (attempt 2): its worker stopped answering",
    ] == troubles(found)
    found.pending_workflow_task.attempt = 3
    assert "the workflow's own code fails" in troubles(found)[-1]
