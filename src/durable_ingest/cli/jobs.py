"""From options to a job."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from durable_ingest.cli.folders import index_uri
from durable_ingest.errors import InvalidInput
from durable_ingest.models import (
    ChunkerSpec,
    EmbedderSpec,
    IndexSpec,
    IngestRequest,
    MetadataValue,
    SourceSpec,
)
from durable_ingest.models.translation import request_of
from durable_ingest.pipeline.run import roots_of
from durable_ingest.settings import WorkerSettings
from durable_ingest.sources.targets import parse_target, read_targets

__all__ = ["Job", "JobOptions", "build_job", "parse_pairs", "settings_for"]


@dataclass(frozen=True, slots=True)
class JobOptions:
    """The options of `run` and `start` that describe a job, as they were typed."""

    targets: Sequence[str]
    input: Path | None
    index: str
    embedder: str | None = None
    model: str | None = None
    chunker: str | None = None
    chunk_size: int | None = None
    chunk_overlap: int | None = None
    chunk_unit: str | None = None
    metadata: Sequence[str] = ()
    bulk_size: int | None = None
    window: int | None = None
    max_document_bytes: int | None = None
    verify_content: bool = False
    keep_vanished: bool = False


@dataclass(frozen=True, slots=True)
class Job:
    """A job and what belongs to it in this process.

    Attributes:
        request: What is to be done.
        named: What it ingests, as the user named it.
        roots: Folders that the user surely meant to be read.
        warnings: What was accepted but will not be done as written.
        listed: The sources come from a file; one that is missing is a row, not an error.
    """

    request: IngestRequest
    named: list[str]
    roots: list[Path]
    warnings: list[str]
    listed: bool

    def written_to(self, uri: str) -> Job:
        """The same job for an index by another spelling of its address."""
        request = self.request.model_copy(
            update={"index": self.request.index.model_copy(update={"uri": uri})}
        )
        return replace(self, request=request)


def build_job(options: JobOptions) -> Job:
    """Turn options into a request.

    Raises:
        TerminalError: An option or target is wrong; nothing was written.
    """
    if bool(options.targets) == (options.input is not None):
        raise InvalidInput(
            "name what to ingest: one or more files, folders, patterns or addresses, or one list "
            "of them with --input"
        )
    index = IndexSpec(uri=index_uri(options.index))
    warnings: list[str] = []
    if options.input is None:
        base = Path.cwd()
        request = IngestRequest(
            sources=[parse_target(name, base=base) for name in options.targets], index=index
        )
        named = list(options.targets)
    else:
        listed = read_targets(options.input)
        warnings = listed.warnings
        request = (
            IngestRequest(sources=listed.specs, index=index)
            if listed.workshop is None
            # The list's own sources have their paths resolved against the file's folder.
            else request_of(listed.workshop, index).model_copy(update={"sources": listed.specs})
        )
        named = [str(options.input)]
    request = IngestRequest.model_validate({**request.model_dump(), **_changes(options, request)})
    roots = list(roots_of(request))
    if options.input is not None:
        roots += [options.input.absolute().parent, Path.cwd()]
    return Job(request, named, roots, warnings, listed=options.input is not None)


def _changes(options: JobOptions, request: IngestRequest) -> dict[str, Any]:
    common = parse_pairs(options.metadata)
    chunker = {
        "kind": options.chunker,
        "size": options.chunk_size,
        "overlap": options.chunk_overlap,
        "length": options.chunk_unit,
    }
    changes: dict[str, Any] = {
        "sources": [
            SourceSpec.model_validate(
                {**spec.model_dump(), "metadata": {**common, **spec.metadata}}
            )
            for spec in request.sources
        ],
        "chunker": ChunkerSpec.model_validate({**request.chunker.model_dump(), **_given(chunker)}),
        "embedder": _embedder(options, request.embedder),
        "delete_vanished": not options.keep_vanished,
        "verify_content": options.verify_content,
    }
    names = ("bulk_size", "window", "max_document_bytes")
    changes |= _given({name: getattr(options, name) for name in names})
    return changes


def _embedder(options: JobOptions, given: EmbedderSpec) -> EmbedderSpec:
    if options.embedder is None or options.embedder == given.kind:
        return given.model_copy(update=_given({"model": options.model}))
    if options.model is not None:
        return EmbedderSpec(kind=options.embedder, model=options.model)
    if options.embedder == EmbedderSpec().kind:
        return EmbedderSpec()
    if options.embedder == "hashing":
        return EmbedderSpec(kind="hashing", model="hashing")
    raise InvalidInput(f"the embedder {options.embedder!r} needs a model: name it with --model")


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def parse_pairs(pairs: Iterable[str]) -> dict[str, MetadataValue]:
    """Read `key=value` options; a key given more than once holds a list.

    `true`, `false` and numbers are what they look like; anything else is text, and so is what
    stands in double quotes.

    Raises:
        InvalidInput: One has no `=`, no key, or is no valid Unicode.
    """
    out: dict[str, MetadataValue] = {}
    for pair in pairs:
        key, found, text = pair.partition("=")
        if not found or not key.strip():
            raise InvalidInput(f"{pair!r} must be written as key=value")
        try:
            pair.encode()
        except UnicodeEncodeError as error:
            raise InvalidInput(f"{pair!r} is not valid Unicode: {error.reason}") from error
        value = _scalar(text)
        before = out.get(key)
        if before is None:
            out[key] = value
        else:
            out[key] = [*before, value] if isinstance(before, list) else [before, value]
    return out


def _scalar(text: str) -> str | bool | int | float:
    try:
        value = json.loads(text, parse_constant=lambda name: name)
    except ValueError:
        return text
    return value if isinstance(value, str | bool | int | float) else text


def settings_for(
    job: Job, *, allow_root: Sequence[Path] = (), allow_private: bool = False
) -> WorkerSettings:
    """What workers in this process are given: the job's own roots, and what was allowed."""
    given = WorkerSettings()
    roots = [*job.roots, *(path.expanduser().absolute() for path in allow_root)]
    changes: dict[str, Any] = {"allowed_roots": (*given.allowed_roots, *roots)}
    # On this machine the user is who sets the worker's limit too.
    changes["max_document_bytes"] = max(given.max_document_bytes, job.request.max_document_bytes)
    if allow_private:
        changes["allow_private_addresses"] = True
    return given.model_copy(update=changes)
