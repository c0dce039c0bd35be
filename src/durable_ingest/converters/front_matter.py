"""The metadata block at the top of a Markdown file.

Not a YAML parser: `key: value` lines at the left edge with scalar values, and flat lists of them.
Whatever else a block holds is ignored, so that no file can make it do more.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from durable_ingest.models import Metadata, MetadataValue

__all__ = ["FrontMatter", "split_front_matter"]

_LONGEST = 64 * 1024
_MOST_FIELDS = 100
_LONGEST_VALUE = 2000
_OPENING = re.compile(r"---[ \t]*\n")
_CLOSING = re.compile(r"^(?:---|\.\.\.)[ \t]*$", re.MULTILINE)
_FIELD = re.compile(r"([A-Za-z_][A-Za-z0-9_. -]{0,63}?)[ \t]*:(?:[ \t]+(.*))?$")
_INTEGER = re.compile(r"[+-]?[0-9]{1,15}")
_FLOAT = re.compile(r"[+-]?[0-9]{1,15}\.[0-9]{1,15}")
_TRUTH = {"true": True, "false": False}
_NOTHING = frozenset({"", "~", "null"})

Scalar = str | bool | int | float


@dataclass(frozen=True, slots=True)
class FrontMatter:
    """What a block says.

    Attributes:
        metadata: Scalar fields and flat lists.
        end: First code point of the text after the block, 0 without a block.
        skipped: Fields that hold more than that and were left out.
    """

    metadata: Metadata = field(default_factory=dict)
    end: int = 0
    skipped: int = 0


def split_front_matter(text: str) -> FrontMatter:
    """Read the block between `---` lines at the very start of `text`.

    A block must close within 64 Ki characters and hold nothing that YAML would not have at its
    left edge; otherwise the first line is an ordinary thematic break and nothing is taken.
    """
    if (opening := _OPENING.match(text)) is None:
        return FrontMatter()
    closing = _CLOSING.search(text, opening.end(), _LONGEST)
    if closing is None:
        return FrontMatter()
    lines = text[opening.end() : closing.start()].split("\n")
    fields = _fields(lines)
    if not fields:
        return FrontMatter()
    metadata: Metadata = {}
    skipped = 0
    for key, lines_of_value in fields.items():
        value = _value(lines_of_value)
        if value is None or len(metadata) >= _MOST_FIELDS:
            skipped += value is None and any(lines_of_value)
            continue
        metadata[key] = value
    end = closing.end()
    while text[end : end + 1] == "\n":
        end += 1
    return FrontMatter(metadata=metadata, end=end, skipped=skipped)


def _fields(lines: list[str]) -> dict[str, list[str]]:
    """Lines of each field; empty if any line at the left edge is no field."""
    fields: dict[str, list[str]] = {}
    current: list[str] | None = None
    for line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if line[0] in " \t" or line.startswith(("- ", "-\t")) or line == "-":
            if current is None:
                return {}
            current.append(line.strip())
        elif (found := _FIELD.match(line)) is not None:
            current = [(found[2] or "").strip()]
            fields.setdefault(found[1].strip(), current)
        else:
            return {}
    return fields


def _value(lines: list[str]) -> MetadataValue | None:
    """The scalar or flat list that the lines hold, None if they hold something else."""
    first, *rest = lines
    if not rest:
        if first.startswith("[") and first.endswith("]"):
            return _flow_list(first[1:-1])
        return _scalar(first)
    if not first and all(line.startswith("-") for line in rest):
        items = [_scalar(line[1:].strip()) for line in rest]
        return [item for item in items if item is not None]
    if first in {">", "|", ">-", "|-"}:
        joined = (" " if first.startswith(">") else "\n").join(rest)
        return joined[:_LONGEST_VALUE] or None
    return None


def _flow_list(inside: str) -> MetadataValue | None:
    if any(mark in inside for mark in "[]{}\"'"):
        quoted = re.fullmatch(r"\s*(?:(?:\"[^\"]*\"|'[^']*')\s*(?:,\s*|$))*", inside)
        if quoted is None:
            return None
        return [
            (first or second)[:_LONGEST_VALUE]
            for first, second in re.findall(r"\"([^\"]*)\"|'([^']*)'", inside)
        ]
    items = [_scalar(item.strip()) for item in inside.split(",")]
    return [item for item in items if item is not None]


def _scalar(text: str) -> Scalar | None:
    if text[:1] in {'"', "'"}:
        closing = text.find(text[0], 1)
        return text[1:closing][:_LONGEST_VALUE] if closing > 0 else None
    text = text.split(" #", 1)[0].rstrip()
    if text in _NOTHING or text[:1] in {"{", "&", "*", "!", "|", ">", "[", "%", "@", "`"}:
        return None
    if text.lower() in _TRUTH:
        return _TRUTH[text.lower()]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text[:_LONGEST_VALUE]
