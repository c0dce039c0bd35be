"""Exit codes: one table for people, one for errors."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType

from durable_ingest import errors

__all__ = ["MEANINGS", "ExitCode", "Interrupted", "code_of", "code_of_name"]


class ExitCode(IntEnum):
    """What the process ends with."""

    GOOD = 0
    FAILED = 1
    USAGE = 2
    DOCUMENTS_FAILED = 3
    SERVER = 4
    INDEX = 5
    INTERRUPTED = 130


MEANINGS: Mapping[ExitCode, str] = MappingProxyType(
    {
        ExitCode.GOOD: "good",
        ExitCode.FAILED: "the run failed, was cancelled, or another job holds the index",
        ExitCode.USAGE: "usage or invalid input",
        ExitCode.DOCUMENTS_FAILED: "finished, but some documents failed",
        ExitCode.SERVER: "cannot connect to or start a Temporal server",
        ExitCode.INDEX: "index missing, made with other settings, or damaged",
        ExitCode.INTERRUPTED: "interrupted; the same command goes on from there",
    }
)
"""The codes in the words of `--help` and docs/running.md."""


class Interrupted(Exception):
    """A signal asked the command to stop; the message says what became of the job."""


_CODES: Mapping[type[Exception], ExitCode] = MappingProxyType(
    {
        errors.InvalidInput: ExitCode.USAGE,
        errors.SourceMissing: ExitCode.USAGE,
        errors.SourceRefused: ExitCode.USAGE,
        errors.SourceUnreadable: ExitCode.USAGE,
        errors.UnsupportedMediaType: ExitCode.USAGE,
        errors.DocumentTooLarge: ExitCode.USAGE,
        errors.MissingExtra: ExitCode.USAGE,
        errors.ServerUnavailable: ExitCode.SERVER,
        errors.IndexMissing: ExitCode.INDEX,
        errors.IndexMismatch: ExitCode.INDEX,
        errors.IndexDamaged: ExitCode.INDEX,
        Interrupted: ExitCode.INTERRUPTED,
    }
)


def code_of(error: BaseException) -> ExitCode:
    """The exit code of an error raised in this process."""
    if isinstance(error, KeyboardInterrupt):
        return ExitCode.INTERRUPTED
    return next((code for kind, code in _CODES.items() if isinstance(error, kind)), ExitCode.FAILED)


def code_of_name(name: str | None) -> ExitCode:
    """The exit code of an error that a workflow carried, by the name of its class."""
    return next((code for kind, code in _CODES.items() if kind.__name__ == name), ExitCode.FAILED)
