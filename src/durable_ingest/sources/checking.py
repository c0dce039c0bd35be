"""Checks what a person wrote against a model, and says what is wrong where."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from durable_ingest.errors import InvalidInput
from durable_ingest.sources.input_files import InputFile, Key

__all__ = ["check_against", "spoken_key"]

Model = TypeVar("Model", bound=BaseModel)

_SHOWN = 5
_LONGEST_VALUE = 60
_PASSWORD = re.compile(r"(://[^/\s:@]*:)\S*@")


def check_against(model: type[Model], file: InputFile, data: Any, at: Key = ()) -> Model:
    """Validate a part of a file, unknown fields forbidden.

    Args:
        model: What it must be.
        file: Where it was written.
        data: The part.
        at: The key of the part within the file.

    Raises:
        InvalidInput: One line per problem (five at most): file, line, field, what was expected.
    """
    try:
        return model.model_validate(data, extra="forbid")
    except ValidationError as error:
        problems = _problems(model, data, error)
    lines = [
        f"{file.path}:{file.line_of((*at, *key))}: {spoken_key((*at, *key)) or 'top level'}: {text}"
        for key, text in problems.items()
    ]
    if len(lines) > _SHOWN:
        lines[_SHOWN:] = [f"... and {len(lines) - _SHOWN} more"]
    raise InvalidInput("\n".join(lines))


def spoken_key(key: Sequence[str | int]) -> str:
    """A key as people write it: `sources[0].uri`."""
    out = ""
    for step in key:
        if isinstance(step, int):
            out += f"[{step}]"
        else:
            out += f".{step}" if out else step
    return out


def _problems(model: type[BaseModel], data: Any, error: ValidationError) -> dict[Key, str]:
    """What is wrong, once per value: a union complains once per alternative."""
    expected: dict[Key, list[str]] = {}
    for item in error.errors(include_url=False):
        key = _existing(data, item["loc"])
        if item["type"] == "extra_forbidden":
            text = _unknown(str(item["loc"][-1]), _siblings(model, item["loc"]))
        elif item["type"] == "missing":
            text = f"the field {item['loc'][-1]!r} is missing"
        else:
            text = _lower(item["msg"]) + _shown(item["input"])
        texts = expected.setdefault(key, [])
        if text not in texts:
            texts.append(text)
    return {key: "; or ".join(texts) for key, texts in expected.items()}


def _existing(data: Any, location: Sequence[str | int]) -> Key:
    """The part of a location that leads to something; the rest names a union's alternatives."""
    out: list[str | int] = []
    value = data
    for step in location:
        if not isinstance(value, dict | list):
            break
        try:
            value = value[step]  # type: ignore[index]
        except (KeyError, IndexError, TypeError):
            break
        out.append(step)
    return tuple(out)


def _siblings(model: type[BaseModel], location: Sequence[str | int]) -> list[str]:
    """The fields that the model knows where an unknown one was found."""
    current: type[BaseModel] | None = model
    for step in location[:-1]:
        if isinstance(step, int) or current is None:
            continue
        field = current.model_fields.get(step)
        current = None if field is None else _model_in(field.annotation)
    return [] if current is None else sorted(current.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        found = _model_in(inner)
        if found is not None:
            return found
    return None


def _unknown(name: str, known: Sequence[str]) -> str:
    close = get_close_matches(name, known, n=1)
    if close:
        return f"unknown field; did you mean {close[0]!r}?"
    return f"unknown field; expected one of {', '.join(known)}" if known else "unknown field"


def _lower(message: str) -> str:
    text = message.removeprefix("Value error, ").replace("Input should be", "expected", 1)
    return text[:1].lower() + text[1:]


def _shown(value: Any) -> str:
    if isinstance(value, dict | list):
        return f", not a {'mapping' if isinstance(value, dict) else 'list'}"
    text = _PASSWORD.sub(r"\1***@", repr(value))
    return f", not {text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + '...'}"
