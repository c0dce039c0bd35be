"""Loads the YAML and JSON files that people write, and says where in them a field stands.

Files are bounded: 16 MiB, 500,000 values, 100 levels; aliases of YAML count as often as they
stand for something. JSON needs the standard library only, YAML the extra `cli`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from durable_ingest.errors import InvalidInput, SourceMissing, SourceUnreadable

__all__ = [
    "MAX_BYTES",
    "MAX_DEPTH",
    "MAX_VALUES",
    "InputFile",
    "Key",
    "read_text",
    "too_deep",
    "too_many",
]

Key = tuple[str | int, ...]
"""Field names and list places that lead to a value."""

MAX_BYTES = 16 * 1024 * 1024
MAX_VALUES = 500_000
MAX_DEPTH = 100


@dataclass(frozen=True, slots=True)
class InputFile:
    """What a file holds.

    Attributes:
        path: The file.
        data: Its value: mappings, lists, text, numbers, truth values and None.
        line_of: The line, from 1, of the value that a key leads to, or of the nearest value
            around it.
    """

    path: Path
    data: Any
    line_of: Callable[[Key], int]


def read_text(path: Path) -> str:
    """The text of an input file.

    Raises:
        SourceMissing: There is no such file.
        SourceUnreadable: It cannot be read.
        InvalidInput: No file, not UTF-8, over the size limit, or empty.
    """
    try:
        if path.exists() and not path.is_file():
            raise InvalidInput(f"{str(path)!r} is no file, and an input file was expected")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise SourceMissing(f"there is no file {str(path)!r}") from error
    except PermissionError as error:
        raise SourceUnreadable(f"no permission to read {str(path)!r}") from error
    except OSError as error:
        raise SourceUnreadable(f"{str(path)!r} cannot be read: {error.strerror}") from error
    if len(content) > MAX_BYTES:
        raise InvalidInput(
            f"{str(path)!r} is over {MAX_BYTES // 1024 // 1024} MiB: split it into several files, "
            "or name a folder or pattern instead of its files"
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InvalidInput(
            f"{path}:{line}: not UTF-8: byte {content[error.start]:#04x} at offset {error.start}; "
            "save the file as UTF-8"
        ) from error
    if not text.strip():
        raise InvalidInput(f"{str(path)!r} is empty; expected a list of sources")
    return text


def too_deep(path: Path) -> InvalidInput:
    """The error for a file that is nested too deep."""
    return InvalidInput(f"{str(path)!r} is nested more than {MAX_DEPTH} levels deep")


def too_many(path: Path) -> InvalidInput:
    """The error for a file that holds too much."""
    return InvalidInput(
        f"{str(path)!r} holds more than {MAX_VALUES} values, aliases counted each time: "
        "split it into several files"
    )
