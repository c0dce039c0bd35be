"""Results on stdout, talk on stderr."""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

__all__ = ["Terminal", "is_unicode", "printable"]

_UNSAFE = frozenset({"Cc", "Cs"})


def printable(text: str, *, keep: str = "\n") -> str:
    """Text without control characters: what a document holds must not drive the terminal."""
    return "".join(
        char if char in keep or unicodedata.category(char) not in _UNSAFE else "?"
        for char in text.replace("\t", " ")
    )


def is_unicode() -> bool:
    """Whether stdout takes every character."""
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    return encoding.lower().replace("-", "").startswith("utf")


class Terminal:
    """Both streams of a command.

    Args:
        as_json: stdout gets exactly one JSON document and nothing else.
    """

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json
        # rich honours NO_COLOR, and knows whether stderr is a terminal.
        self.talk = Console(stderr=True, highlight=False, soft_wrap=True)

    def say(self, line: str) -> None:
        """A line on stderr; above the progress bar when one is drawn."""
        self.talk.print(printable(line), markup=False, emoji=False)

    def restore(self) -> None:
        """Give a terminal its cursor back, which a bar hides."""
        self.talk.show_cursor()

    def show(self, text: str) -> None:
        """Result text on stdout, left out when the result is JSON."""
        if not self.as_json:
            sys.stdout.write(printable(text) + "\n")
            sys.stdout.flush()

    def emit(self, document: Mapping[str, Any] | Sequence[Any]) -> None:
        """The one JSON document on stdout, left out when the result is text."""
        if not self.as_json:
            return
        escaped = not is_unicode()
        sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=escaped) + "\n")
        sys.stdout.flush()
