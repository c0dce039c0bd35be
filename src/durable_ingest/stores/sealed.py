"""JSON files that carry their own digest.

A sealed file is one JSON object in canonical spelling whose field `sha256` is the digest of the
object without that field. Any other byte sequence is refused, so that one flipped bit is found
whatever it hits.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from durable_ingest.errors import IndexDamaged
from durable_ingest.ids import canonical_json, sha256


def seal(content: dict[str, Any]) -> bytes:
    """The bytes of a sealed file."""
    return canonical_json({**content, "sha256": sha256(canonical_json(content))})


def unseal(data: bytes, path: Path) -> dict[str, Any]:
    """The content of a sealed file.

    Raises:
        IndexDamaged: The bytes are not what `seal` wrote; the message names `path`.
    """
    try:
        content = json.loads(data)
    except ValueError as error:
        raise damaged(path, "it is not readable JSON") from error
    if not isinstance(content, dict) or "sha256" not in content:
        raise damaged(path, "it carries no digest")
    content.pop("sha256")
    if seal(content) != data:
        raise damaged(path, "its bytes do not have the digest that it carries")
    return content


def damaged(path: Path, reason: str) -> IndexDamaged:
    """The error for a file of the log that is not what was written."""
    return IndexDamaged(
        f"{str(path)!r} is damaged: {reason}; restore the file from a backup, or build the index"
        " anew in another folder"
    )
