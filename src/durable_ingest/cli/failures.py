"""Errors as people read them: one sentence and an exit code, from wherever they came."""

from __future__ import annotations

import errno
from dataclasses import dataclass

from durable_ingest.cli.exits import ExitCode, Interrupted, code_of, code_of_name
from durable_ingest.errors import DurableIngestError, SourceRefused

__all__ = ["Failure", "failure_of"]


@dataclass(frozen=True, slots=True)
class Failure:
    """What to say and what to end with.

    Attributes:
        code: Exit code.
        kind: Name of the error's class.
        message: One sentence, sometimes with lines of detail behind it.
    """

    code: ExitCode
    kind: str
    message: str

    def document(self) -> dict[str, object]:
        """The JSON form."""
        return {"error": {"type": self.kind, "message": self.message, "exit_code": int(self.code)}}


def failure_of(error: BaseException) -> Failure:
    """Find the sentence in an error; what nobody foresaw is named as unexpected."""
    name = type(error).__name__
    if isinstance(error, SourceRefused):
        return Failure(code_of(error), name, f"{error} (rule {error.rule})")
    if isinstance(error, DurableIngestError | Interrupted):
        return Failure(code_of(error), name, str(error))
    if isinstance(error, KeyboardInterrupt):
        return Failure(
            ExitCode.INTERRUPTED, "Interrupted", "stopped; the same command goes on from there"
        )
    family = type(error).__module__.partition(".")[0]
    if family == "temporalio":
        return _of_temporal(error)
    if family in {"pydantic", "pydantic_core", "pydantic_settings"}:
        return _of_validation(error)
    return _of_python(error)


def _of_python(error: BaseException) -> Failure:
    if isinstance(error, OSError):
        return _of_system(error)
    if isinstance(error, ModuleNotFoundError):
        return Failure(
            ExitCode.USAGE,
            "MissingExtra",
            f"{error.name} is not installed: pip install 'durable-ingest[local]' brings it",
        )
    name = type(error).__name__
    return Failure(
        ExitCode.FAILED,
        name,
        f"unexpected {name}: {error} (`durable-ingest --debug` and the same command behind it "
        "shows where)",
    )


def _of_temporal(error: BaseException) -> Failure:
    from temporalio.client import WorkflowFailureError  # noqa: PLC0415 - loaded already
    from temporalio.service import RPCError, RPCStatusCode  # noqa: PLC0415 - loaded already

    if isinstance(error, WorkflowFailureError):
        return _of_workflow(error)
    if isinstance(error, RPCError):
        lost = {RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED}
        return Failure(
            ExitCode.SERVER if error.status in lost else ExitCode.FAILED,
            "RPCError",
            f"the Temporal server answered {error.status.name}: {error.message}",
        )
    return Failure(ExitCode.FAILED, type(error).__name__, str(error))


def _of_workflow(error: BaseException) -> Failure:
    """The outermost cause that one of our classes, or the server, gave a name."""
    from temporalio.exceptions import (  # noqa: PLC0415 - loaded already
        ApplicationError,
        CancelledError,
        TerminatedError,
    )
    from temporalio.exceptions import TimeoutError as StepTimeout  # noqa: PLC0415 - loaded already

    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ApplicationError):
            kind = cause.type or "ApplicationError"
            return Failure(code_of_name(kind), kind, cause.message)
        if isinstance(cause, CancelledError | TerminatedError):
            verb = "cancelled" if isinstance(cause, CancelledError) else "terminated"
            return Failure(
                ExitCode.FAILED,
                type(cause).__name__,
                f"the job was {verb} on the server; what it had committed stays in the index",
            )
        if isinstance(cause, StepTimeout):
            return Failure(ExitCode.FAILED, "TimeoutError", f"a step took too long: {cause}")
        cause = getattr(cause, "cause", None)
    return Failure(ExitCode.FAILED, type(error).__name__, str(error))


def _of_validation(error: BaseException) -> Failure:
    from pydantic import ValidationError  # noqa: PLC0415 - loaded already

    if not isinstance(error, ValidationError):
        reason = f": {error.__cause__}" if error.__cause__ else ""
        return Failure(ExitCode.USAGE, "InvalidInput", f"{error}{reason}")
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"]) or error.title
    return Failure(
        ExitCode.USAGE,
        "InvalidInput",
        f"{place}: {first['msg']}, not {first['input']!r} ({error.title})",
    )


def _of_system(error: OSError) -> Failure:
    place = f": {error.filename!r}" if error.filename is not None else ""
    reason = error.strerror or str(error)
    remedy = "; make room and run the same command again" if error.errno == errno.ENOSPC else ""
    return Failure(ExitCode.FAILED, type(error).__name__, f"{reason}{place}{remedy}")
