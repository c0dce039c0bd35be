"""Loads JSON that people write, and finds the line of a field."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from durable_ingest.errors import InvalidInput
from durable_ingest.sources.input_files import (
    MAX_DEPTH,
    MAX_VALUES,
    InputFile,
    Key,
    read_text,
    too_deep,
    too_many,
)

__all__ = ["load_json"]

_SPACE = re.compile(r"[ \t\r\n]*")


def load_json(path: Path) -> InputFile:
    """Load a JSON file.

    Raises:
        InvalidInput: Broken, too large, too deep, or a field stands twice; with line and column.
        SourceMissing: There is no such file.
        SourceUnreadable: It cannot be read.
    """
    text = read_text(path)

    def check_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        out = dict(pairs)
        if len(out) != len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise InvalidInput(f"{path}: the field {twice!r} stands twice in one object")
        return out

    try:
        data = json.loads(text, object_pairs_hook=check_names, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise InvalidInput(
            f"{path}:{error.lineno}:{error.colno}: broken JSON: {error.msg}"
        ) from error
    except RecursionError as error:
        raise too_deep(path) from error
    except ValueError as error:
        raise InvalidInput(f"{path}: broken JSON: {error}") from error
    _check_size(path, data)
    return InputFile(path, data, lambda key: text.count("\n", 0, _place_of(text, key)) + 1)


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


def _check_size(path: Path, data: Any) -> None:
    level: list[Any] = [data]
    values = 0
    for _ in range(MAX_DEPTH + 1):
        values += len(level)
        if values > MAX_VALUES:
            raise too_many(path)
        level = [child for value in level for child in _children(value)]
        if not level:
            return
    raise too_deep(path)


def _children(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _place_of(text: str, key: Key) -> int:
    """Offset of the value that `key` leads to; of the nearest one around it when it is missing.

    Only used on text that was read without error.
    """
    decoder = json.JSONDecoder()
    place = _skip(text, 0)
    for step in key:
        found = _member(decoder, text, place, step)
        if found is None:
            break
        place = found
    return place


def _member(decoder: json.JSONDecoder, text: str, place: int, step: str | int) -> int | None:
    opening = text[place]
    if opening not in "[{":
        return None
    place = _skip(text, place + 1)
    ordinal = 0
    while text[place] not in "]}":
        start = place
        name: str | int = ordinal
        if opening == "{":
            name, end = decoder.raw_decode(text, place)
            start = _skip(text, _skip(text, end) + 1)
        if name == step:
            return start
        _, end = decoder.raw_decode(text, start)
        place = _skip(text, end)
        if text[place] == ",":
            place = _skip(text, place + 1)
        ordinal += 1
    return None


def _skip(text: str, place: int) -> int:
    found = _SPACE.match(text, place)
    return place if found is None else found.end()
