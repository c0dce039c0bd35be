"""Exit codes and the one sentence of every error."""

from __future__ import annotations

import errno
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import ValidationError
from pydantic_settings import SettingsError
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ActivityError, ApplicationError, RetryState, TerminatedError
from temporalio.service import RPCError, RPCStatusCode

from durable_ingest import errors
from durable_ingest.cli.exits import MEANINGS, ExitCode, Interrupted, code_of, code_of_name
from durable_ingest.cli.failures import Failure, failure_of
from durable_ingest.models import IngestRequest
from durable_ingest.settings import WorkerSettings

DOCS = Path(__file__).parents[2] / "docs" / "running.md"

EXPECTED = {
    "InvalidInput": 2,
    "SourceMissing": 2,
    "SourceRefused": 2,
    "SourceUnreadable": 2,
    "DocumentTooLarge": 2,
    "UnsupportedMediaType": 2,
    "MissingExtra": 2,
    "ServerUnavailable": 4,
    "IndexMissing": 5,
    "IndexMismatch": 5,
    "IndexDamaged": 5,
}


def made(name: str) -> errors.DurableIngestError:
    kind = getattr(errors, name)
    if name == "SourceRefused":
        return errors.SourceRefused("no", rule="allowed_roots")
    if name == "MissingExtra":
        return errors.MissingExtra("typer", extra="cli")
    error = kind("no")
    assert isinstance(error, errors.DurableIngestError)
    return error


@pytest.mark.parametrize("name", errors.__all__)
def test_every_error_has_one_exit_code_here_and_when_a_workflow_carries_its_name(
    name: str,
) -> None:
    expected = EXPECTED.get(name, 1)
    assert expected == code_of(made(name)) == code_of_name(name)


def test_the_docs_have_the_table_that_help_prints() -> None:
    rows = re.findall(r"^\| (\d+) \| (.+?) \|$", DOCS.read_text(), re.MULTILINE)
    assert [(str(int(code)), text) for code, text in MEANINGS.items()] == rows


def workflow_failure(cause: BaseException) -> WorkflowFailureError:
    return WorkflowFailureError(cause=cause)


def activity_failure(cause: BaseException) -> ActivityError:
    error = ActivityError(
        "Activity task failed",
        scheduled_event_id=5,
        started_event_id=6,
        identity="worker",
        activity_type="plan_batches",
        activity_id="1",
        retry_state=RetryState.NON_RETRYABLE_FAILURE,
    )
    error.__cause__ = cause
    return error


def invalid_request() -> ValidationError:
    with pytest.raises(ValidationError) as caught:
        IngestRequest.model_validate({"index": {"uri": "file:///i"}, "bulk_size": 0})
    return caught.value


def unreadable_setting() -> SettingsError:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DURABLE_INGEST_ALLOWED_ROOTS", "/srv/docs")
        with pytest.raises(SettingsError) as caught:
            WorkerSettings()
    return caught.value


@dataclass(frozen=True)
class Case:
    name: str
    error: BaseException
    expected: Failure


CASES = [
    Case(
        "our own",
        errors.IndexMissing("there is no index"),
        Failure(ExitCode.INDEX, "IndexMissing", "there is no index"),
    ),
    Case(
        "ours from a workflow",
        workflow_failure(
            activity_failure(ApplicationError("made otherwise", type="IndexMismatch"))
        ),
        Failure(ExitCode.INDEX, "IndexMismatch", "made otherwise"),
    ),
    Case(
        "another's from a workflow",
        workflow_failure(activity_failure(ApplicationError("boom", type="ValueError"))),
        Failure(ExitCode.FAILED, "ValueError", "boom"),
    ),
    Case(
        "terminated",
        workflow_failure(TerminatedError("by hand")),
        Failure(
            ExitCode.FAILED,
            "TerminatedError",
            "the job was terminated on the server; what it had committed stays in the index",
        ),
    ),
    Case(
        "connection lost",
        RPCError("gone away", RPCStatusCode.UNAVAILABLE, b""),
        Failure(ExitCode.SERVER, "RPCError", "the Temporal server answered UNAVAILABLE: gone away"),
    ),
    Case(
        "validation",
        invalid_request(),
        Failure(
            ExitCode.USAGE,
            "InvalidInput",
            "bulk_size: Input should be greater than or equal to 1, not 0 (IngestRequest)",
        ),
    ),
    Case(
        "a setting that is no JSON",
        unreadable_setting(),
        Failure(
            ExitCode.USAGE,
            "InvalidInput",
            'error parsing value for field "allowed_roots" from source "EnvSettingsSource": '
            "Expecting value: line 1 column 1 (char 0)",
        ),
    ),
    Case(
        "refused by a rule",
        errors.SourceRefused("no", rule="allowed_roots"),
        Failure(ExitCode.USAGE, "SourceRefused", "no (rule allowed_roots)"),
    ),
    Case(
        "disk full",
        OSError(errno.ENOSPC, "No space left on device", "report.json"),
        Failure(
            ExitCode.FAILED,
            "OSError",
            "No space left on device: 'report.json'; make room and run the same command again",
        ),
    ),
    Case(
        "library missing",
        ModuleNotFoundError("No module named 'numpy'", name="numpy"),
        Failure(
            ExitCode.USAGE,
            "MissingExtra",
            "numpy is not installed: pip install 'durable-ingest[local]' brings it",
        ),
    ),
    Case(
        "Ctrl-C",
        KeyboardInterrupt(),
        Failure(
            ExitCode.INTERRUPTED, "Interrupted", "stopped; the same command goes on from there"
        ),
    ),
    Case(
        "stopped in order",
        Interrupted("stopped; the job is kept"),
        Failure(ExitCode.INTERRUPTED, "Interrupted", "stopped; the job is kept"),
    ),
    Case(
        "unforeseen",
        ZeroDivisionError("division by zero"),
        Failure(
            ExitCode.FAILED,
            "ZeroDivisionError",
            "unexpected ZeroDivisionError: division by zero (`durable-ingest --debug` and the "
            "same command behind it shows where)",
        ),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_an_error_becomes_one_sentence_and_a_code(case: Case) -> None:
    assert case.expected == failure_of(case.error)
