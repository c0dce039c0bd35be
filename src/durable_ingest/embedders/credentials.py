"""Keys by reference: a request names where the worker finds a key, never the key itself."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from durable_ingest.errors import InvalidInput

__all__ = ["read_key"]

# A request chooses the name and, with it, the address that the value is sent to. Without a rule
# for names it could have any variable of the worker sent anywhere.
_VARIABLE = re.compile(r"(?:[A-Z][A-Z0-9_]*_)?(?:API_)?(?:KEY|TOKEN)")
_MOUNTS = (Path("/run/secrets"), Path("/var/run/secrets"))
_LONGEST = 16 * 1024


def read_key(reference: object, *, allowed_roots: Sequence[Path] = ()) -> str | None:
    """The key behind `env:NAME` or `file:/path`; None if the variable is not set.

    Args:
        reference: The reference. A name must end in `KEY` or `TOKEN`; a file must lie under
            `/run/secrets`, `$CREDENTIALS_DIRECTORY` or a folder of `allowed_roots`.
        allowed_roots: Folders whose files requests may read anyway.

    Raises:
        InvalidInput: No reference, so maybe a key in clear (the message never repeats it); a
            name or file that requests may not use; a file that cannot be read.
    """
    if isinstance(reference, str) and reference.startswith("env:"):
        name = reference.removeprefix("env:")
        if _VARIABLE.fullmatch(name) is None:
            raise InvalidInput(
                f"api_key names the variable {name!r}: requests may only name variables that end "
                "in KEY or TOKEN, such as 'env:OPENAI_API_KEY'"
            )
        return os.environ.get(name, "").strip() or None
    if isinstance(reference, str) and reference.startswith("file:"):
        return _read_file(Path(reference.removeprefix("file:").replace("//", "", 1)), allowed_roots)
    raise InvalidInput(
        "api_key must be a reference, 'env:NAME' or 'file:/path', never the key itself: whatever "
        "a request holds is written to workflow history. The value given is not shown here; "
        "if it was a key, replace it"
    )


def _read_file(path: Path, allowed_roots: Sequence[Path]) -> str:
    mounts = [*_MOUNTS, *allowed_roots]
    if folder := os.environ.get("CREDENTIALS_DIRECTORY"):
        mounts.append(Path(folder))
    real = path.resolve()
    if not any(real.is_relative_to(mount.resolve()) for mount in mounts):
        raise InvalidInput(
            f"api_key names the file {str(path)!r}: requests may only name files under "
            f"{', '.join(sorted(str(mount) for mount in mounts))}"
        )
    try:
        key = real.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"api_key file {str(path)!r} cannot be read: {error}") from error
    if not key or len(key) > _LONGEST or "\n" in key:
        raise InvalidInput(f"api_key file {str(path)!r} holds no key: one line was expected")
    return key
