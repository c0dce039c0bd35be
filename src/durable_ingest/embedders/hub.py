"""Fetching a model from the Hugging Face hub, if it answers at all."""

from __future__ import annotations

import os
from pathlib import Path

import httpx

from durable_ingest._optional import require
from durable_ingest.errors import MissingExtra

__all__ = ["download"]

_PROBE_SECONDS = 5.0
_PATTERNS = ("*.json", "*.txt", "*.safetensors", "*.model")  # in subfolders too, no pickles
_UNUSED = ("onnx/*", "openvino/*")
_TRUE = frozenset({"1", "on", "yes", "true"})


def download(name: str, revision: str | None, *, cache: Path) -> Path | str:
    """Fetch a model's files into the hub cache.

    One short probe comes first, so that a machine without network is not kept waiting by the
    hub client's own retries.

    Args:
        name: Name on the hub, `organisation/model`.
        revision: Commit, branch or tag; None means `main`.
        cache: Folder of the hub cache.

    Returns:
        The snapshot folder, or in one phrase why there is none.
    """
    if os.environ.get("HF_HUB_OFFLINE", "").strip().lower() in _TRUE:
        return "not asked, HF_HUB_OFFLINE is set"
    try:
        hub = require("huggingface_hub", extra="local", distribution="huggingface-hub")
        constants = require("huggingface_hub.constants", extra="local")
        bars = require("huggingface_hub.utils", extra="local")
    except MissingExtra as error:
        return str(error)
    endpoint = os.environ.get("HF_ENDPOINT") or constants.ENDPOINT
    if (silence := _probe(endpoint)) is not None:
        return silence
    quiet = bars.are_progress_bars_disabled()
    bars.disable_progress_bars()
    try:
        return Path(
            hub.snapshot_download(
                name,
                revision=revision,
                allow_patterns=list(_PATTERNS),
                ignore_patterns=list(_UNUSED),
                cache_dir=cache,
                endpoint=endpoint,
                etag_timeout=_PROBE_SECONDS,
            )
        )
    except Exception as error:  # noqa: BLE001 - whatever the client raises, the next place is tried
        return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    finally:
        if not quiet:
            bars.enable_progress_bars()


def _probe(endpoint: str) -> str | None:
    """Why the hub cannot be reached, None if something answers there."""
    try:
        httpx.head(endpoint, timeout=_PROBE_SECONDS)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return f"{endpoint} cannot be reached ({type(error).__name__}: {error})"
    return None
