"""What a chunker is made with: checked once, named by a fingerprint."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Literal, TypeAlias

from durable_ingest.chunkers.clusters import library_version
from durable_ingest.errors import InvalidInput
from durable_ingest.ids import digest
from durable_ingest.ports import Tokenizer

__all__ = ["Length", "Parameters"]

Length: TypeAlias = Literal["tokens", "characters"]
"""Unit of `size`, `overlap` and `context`: tokens of the given tokenizer, or code points."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """Parameters that every kind of chunker shares.

    Attributes:
        kind: Registry name of the chunker.
        version: Raised with every change of its rules.
        size: Most units of a chunk's text.
        overlap: Most units that a chunk repeats of the one before it.
        length: The unit.
        tokenizer: Counts tokens; needed when they are the unit.
        context: Most units of a chunk's context.

    Raises:
        InvalidInput: A value cannot be used; the message says which and why.
    """

    kind: str
    version: int
    size: int
    overlap: int = 0
    length: Length = "characters"
    tokenizer: Tokenizer | None = None
    context: int = 0

    def __post_init__(self) -> None:
        if self.length not in ("tokens", "characters"):
            raise InvalidInput(f"length {self.length!r} is no unit; use 'tokens' or 'characters'")
        if self.size < 1:
            raise InvalidInput(f"size {self.size!r} is below 1; give at least one unit a chunk")
        if not 0 <= self.overlap < self.size:
            raise InvalidInput(
                f"overlap {self.overlap!r} is not between 0 and size - 1 ({self.size - 1}); "
                "lower it or raise size"
            )
        if self.context < 0:
            raise InvalidInput(f"context {self.context!r} is below 0; use 0 for no context")
        if self.length == "tokens" and self.tokenizer is None:
            raise InvalidInput(
                "length 'tokens' needs a tokenizer; give one, such as "
                "durable_ingest.tokenizers.load_tokenizer(path), or use length='characters'"
            )

    @property
    def fingerprint(self) -> str:
        """Digest of all of it and of the Unicode tables that decide where text may be cut."""
        return digest(
            "chunker",
            self.kind,
            str(self.version),
            str(self.size),
            str(self.overlap),
            self.length,
            str(self.context),
            self.tokenizer.fingerprint if self.tokenizer is not None else "",
            unicodedata.unidata_version,
            library_version(),
        )
