"""Loads YAML that people write, and finds the line of a field (needs PyYAML, extra `cli`)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from durable_ingest._optional import require
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

__all__ = ["load_yaml"]

_TIMESTAMP = "tag:yaml.org,2002:timestamp"
_MERGE = "tag:yaml.org,2002:merge"
_START = frozenset({"SequenceStartEvent", "MappingStartEvent"})
_END = frozenset({"SequenceEndEvent", "MappingEndEvent"})


def load_yaml(path: Path) -> InputFile:
    """Load a YAML file of one document; only plain values, no tags that make objects.

    Dates stay the text that was written: metadata holds no dates.

    Raises:
        InvalidInput: Broken, too large, too deep, aliases that stand for too much, or a field
            stands twice; with line and column.
        SourceMissing: There is no such file.
        SourceUnreadable: It cannot be read.
        MissingExtra: PyYAML is not installed.
    """
    yaml = require("yaml", extra="cli", distribution="pyyaml")
    text = read_text(path)
    loader_class = _loader_class(yaml)
    try:
        _check_events(path, yaml.parse(text, Loader=loader_class))
        loader = loader_class(text)
        try:
            root = loader.get_single_node()
            if root is None:
                raise InvalidInput(f"{str(path)!r} is empty; expected a list of sources")
            _Nodes(path).check(root)
            data = loader.construct_document(root)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = "" if mark is None else f":{mark.line + 1}:{mark.column + 1}"
        raise InvalidInput(f"{path}{where}: broken YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise InvalidInput(f"{path}: broken YAML: {' '.join(str(error).split())}") from error
    except (ValueError, TypeError, RecursionError) as error:
        raise InvalidInput(f"{path}: a value cannot be read: {error}") from error
    return InputFile(path, data, lambda key: _line_of(root, key))


def _loader_class(yaml: Any) -> Any:
    base = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    resolvers = {
        first: [(tag, test) for tag, test in tests if tag != _TIMESTAMP]
        for first, tests in base.yaml_implicit_resolvers.items()
    }
    return type("PlainLoader", (base,), {"yaml_implicit_resolvers": resolvers})


def _check_events(path: Path, events: Iterable[Any]) -> None:
    """Refuse before anything is built: nodes are a hundred times larger than their text."""
    depth = 0
    for count, event in enumerate(events):
        kind = type(event).__name__
        if kind in _START:
            depth += 1
            if depth > MAX_DEPTH:
                raise too_deep(path)
        elif kind in _END:
            depth -= 1
        if count > 2 * MAX_VALUES:
            raise too_many(path)


class _Nodes:
    """Measures nodes with aliases followed: how many values and levels each stands for."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._measured: dict[int, tuple[int, int]] = {}
        self._open: set[int] = set()

    def check(self, node: Any) -> tuple[int, int]:
        """Values and levels of a node.

        Raises:
            InvalidInput: Too many of either, a value inside itself, or a field that stands twice.
        """
        known = self._measured.get(id(node))
        if known is not None:
            return known
        if id(node) in self._open:
            raise InvalidInput(
                f"{self._path}:{node.start_mark.line + 1}: an alias makes a value part of itself"
            )
        if len(self._open) > MAX_DEPTH:
            raise too_deep(self._path)
        self._open.add(id(node))
        values, levels = 1, 0
        for part in self._parts(node):
            inner, below = self.check(part)
            values += inner
            levels = max(levels, below)
            if values > MAX_VALUES:
                raise too_many(self._path)
        if levels >= MAX_DEPTH:
            raise too_deep(self._path)
        self._open.discard(id(node))
        self._measured[id(node)] = (values, levels + 1)
        return values, levels + 1

    def _parts(self, node: Any) -> list[Any]:
        if node.id == "sequence":
            return list(node.value)
        if node.id != "mapping":
            return []
        seen: set[str] = set()
        for name, _ in node.value:
            if name.id != "scalar" or name.tag == _MERGE:
                continue
            if name.value in seen:
                raise InvalidInput(
                    f"{self._path}:{name.start_mark.line + 1}: the field {name.value!r} stands "
                    "twice in one mapping"
                )
            seen.add(name.value)
        return [part for pair in node.value for part in pair]


def _line_of(root: Any, key: Key) -> int:
    node = root
    line = int(root.start_mark.line)
    for step in key:
        if node.id == "mapping":
            found = next(((name, value) for name, value in node.value if name.value == step), None)
            if found is None:
                break
            name, node = found
            line = int(name.start_mark.line)
        elif node.id == "sequence" and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            line = int(node.start_mark.line)
        else:
            break
    return line + 1
