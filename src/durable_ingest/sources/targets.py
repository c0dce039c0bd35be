"""Turns what users type or write into sources: paths, patterns, addresses, input files."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from pydantic import AliasChoices, Field

from durable_ingest.errors import InvalidInput, SourceRefused, SourceUnreadable
from durable_ingest.http import check_url
from durable_ingest.ids import canonical_uri, file_uri
from durable_ingest.models import (
    IngestionWorkflowInput,
    Metadata,
    MimeTypesEnum,
    Source,
    SourceSpec,
)
from durable_ingest.models.frozen import FrozenModel
from durable_ingest.models.workshop import mime_type_of
from durable_ingest.sources.checking import check_against, spoken_key
from durable_ingest.sources.input_files import InputFile, Key
from durable_ingest.sources.json_files import load_json
from durable_ingest.sources.media_types import check_declared
from durable_ingest.sources.reading import translate_error
from durable_ingest.sources.selection import literal_uri, parse_options, parse_selection
from durable_ingest.sources.yaml_files import load_yaml

__all__ = ["Targets", "parse_target", "read_targets"]

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*(?=://)")
_WILDCARD = re.compile(r"[*?\[]")
# The same characters that `ids.file_uri` leaves as they are, and those of a pattern.
_PATTERN_SAFE = "/-._~!$&'()*+,;=:@?[]"
_PASSWORD_FIELDS = frozenset({"password", "passfile", "sslpassword"})


@dataclass(frozen=True, slots=True)
class Targets:
    """What an input file asks for.

    Attributes:
        specs: Its sources, in order.
        workshop: The whole input when it is one of the workshop's.
        warnings: What was accepted but will not be done as written, one sentence each.
    """

    specs: list[SourceSpec]
    workshop: IngestionWorkflowInput | None = None
    warnings: list[str] = field(default_factory=list)


class _Listed(FrozenModel):
    """An entry of a list of targets that says more than an address."""

    uri: str = Field(min_length=1)
    media_type: str | None = Field(
        default=None, validation_alias=AliasChoices("media_type", "mime_type")
    )
    metadata: Metadata = Field(default_factory=dict)
    options: dict[str, Any] = Field(default_factory=dict)


def parse_target(text: str, *, base: Path) -> SourceSpec:
    """Read one target: a file, folder or pattern, a `file:` URI, or an http(s) address.

    A name with `*`, `?` or `[` that exists is meant literally.

    Args:
        text: What the user typed.
        base: Absolute folder that relative paths start from.

    Raises:
        SourceMissing: There is no such file or folder.
        SourceUnreadable: It is there, but may not be read.
        SourceRefused: A web address with credentials.
        InvalidInput: It is neither a path nor an address that can be read.
    """
    spec = _spec_of(text, base)
    if spec.kind == "files":
        place = parse_selection(spec.uri).root
        try:
            place.lstat()
        except OSError as error:
            raise translate_error(place, error) from error
        # A link that leads nowhere is found out when it is read.
        if os.path.exists(place) and not os.access(place, os.R_OK):  # noqa: PTH110 - see access()
            raise SourceUnreadable(f"no permission to read {str(place)!r}")
    return spec


def read_targets(path: Path) -> Targets:
    """Read a YAML or JSON file: a list of targets, or an input of the workshop.

    A list holds texts, or mappings of `uri`, `media_type` (or `mime_type`), `metadata` and
    `options`. Relative paths start from the file's own folder. Whether the targets exist is not
    looked at: one that does not becomes an error row of the run.

    Raises:
        SourceMissing: There is no such file.
        SourceUnreadable: It cannot be read.
        SourceRefused: It lists a web address with credentials.
        InvalidInput: File, line, field and what was expected.
        MissingExtra: It is YAML, and PyYAML is not installed.
    """
    file = _load(path)
    base = Path(os.path.abspath(path)).parent  # noqa: PTH100 - resolve() would follow links
    if isinstance(file.data, list):
        if not file.data:
            raise InvalidInput(f"{path}: the list of sources is empty")
        return Targets(
            [_listed(file, item, (place,), base) for place, item in enumerate(file.data)]
        )
    if isinstance(file.data, dict):
        return _workshop(file, base)
    raise InvalidInput(
        f"{path}:{file.line_of(())}: expected a list of sources or a mapping with the field "
        f"'sources', not {file.data!r}"
    )


def _load(path: Path) -> InputFile:
    suffix = path.suffix.lower()
    if suffix == ".json":
        return load_json(path)
    if suffix in {".yaml", ".yml"}:
        return load_yaml(path)
    raise InvalidInput(f"{str(path)!r}: the file's name must end in .yaml, .yml or .json")


def _listed(file: InputFile, item: Any, at: Key, base: Path) -> SourceSpec:
    if isinstance(item, str):
        return _located(file, at, item, base)
    if not isinstance(item, dict):
        raise InvalidInput(
            f"{file.path}:{file.line_of(at)}: {spoken_key(at)}: expected an address or a mapping "
            f"with the field 'uri', not {item!r}"
        )
    entry = check_against(_Listed, file, item, at)
    spec = _located(file, (*at, "uri"), entry.uri, base)
    try:
        _check_options(spec, entry.options)
        media_type = check_declared(entry.media_type)
    except InvalidInput as error:
        raise _at(file, at, error) from error
    return spec.model_copy(
        update={"media_type": media_type, "metadata": entry.metadata, "options": entry.options}
    )


def _check_options(spec: SourceSpec, options: dict[str, Any]) -> None:
    if spec.kind == "files":
        parse_options(options)
    elif options:
        raise InvalidInput("a web address has no options")


def _workshop(file: InputFile, base: Path) -> Targets:
    workshop = check_against(IngestionWorkflowInput, file, file.data)
    if not workshop.sources:
        raise InvalidInput(f"{file.path}:{file.line_of(('sources',))}: sources: the list is empty")
    warnings: list[str] = []
    specs: list[SourceSpec] = []
    for place, source in enumerate(workshop.sources):
        at: Key = ("sources", place)
        warnings += [f"{spoken_key(at)}: {text}" for text in _not_done(source)]
        specs.append(_workshop_spec(file, source, at, base))
    config = workshop.indexing_config
    if config is not None and _holds_password(config.database_uri):
        warnings.append(
            "indexing_config.database_uri holds a password in clear: it is not stored; write "
            "env:NAME instead, with NAME an environment variable of the worker"
        )
    return Targets(specs, workshop, warnings)


def _workshop_spec(file: InputFile, source: Source, at: Key, base: Path) -> SourceSpec:
    media_type = None if source.mime_type is MimeTypesEnum.FOLDER else source.mime_type
    named = _located(file, (*at, "uri"), source.uri, base)
    options: dict[str, Any] = {}
    if source.raw_file_path is not None:
        # The page keeps its name and is read from the stored copy.
        place = (*at, "raw_file_path")
        stored = _located(file, place, source.raw_file_path, base)
        if stored.kind != "files":
            raise _at(file, place, InvalidInput(f"expected a path, not {source.raw_file_path!r}"))
        options["path"] = literal_uri(parse_selection(stored.uri).path)
    return SourceSpec(
        uri=named.uri,
        kind="files" if options else named.kind,
        media_type=mime_type_of(media_type),
        metadata=dict(source.metadata),
        options=options,
    )


def _not_done(source: Source) -> list[str]:
    out: list[str] = []
    if source.max_depth > 0:
        out.append(f"max_depth {source.max_depth}: links are not followed; one page is read")
    if source.converted_md_path is not None:
        out.append("converted_md_path is not read: the page is converted anew")
    if source.chunking_file_path is not None:
        out.append("chunking_file_path is not read: the page is cut anew")
    if source.error is not None:
        out.append(f"the error of an earlier run ({source.error!r}) is ignored: it is tried again")
    return out


def _holds_password(uri: str) -> bool:
    if uri.startswith("env:"):
        return False
    try:
        parts = urlsplit(uri)
        names = {name.lower() for name, _ in parse_qsl(parts.query)}
    except ValueError:
        return "@" in uri
    return bool(parts.password) or not names.isdisjoint(_PASSWORD_FIELDS)


def _located(file: InputFile, at: Key, text: str, base: Path) -> SourceSpec:
    try:
        return _spec_of(text, base)
    except InvalidInput as error:
        raise _at(file, at, error) from error
    except SourceRefused as error:
        where = f"{file.path}:{file.line_of(at)}: {spoken_key(at)}"
        raise SourceRefused(f"{where}: {error}", rule=error.rule) from error


def _at(file: InputFile, at: Key, error: InvalidInput) -> InvalidInput:
    return InvalidInput(f"{file.path}:{file.line_of(at)}: {spoken_key(at)}: {error}")


def _spec_of(text: str, base: Path) -> SourceSpec:
    """A target without looking whether it exists, except to tell names from patterns."""
    if not text.strip():
        raise InvalidInput("an empty target: expected a path or an address")
    scheme = _SCHEME.match(text.strip())
    name = "" if scheme is None else scheme.group().lower()
    if name in {"http", "https"}:
        # Private addresses are the worker's to judge; here only the form is.
        check_url(text.strip(), allow_private=True)
        return SourceSpec(kind="web", uri=canonical_uri(text))
    if text[:5].lower() == "file:":
        selection = parse_selection(text)
        if not selection.parts or os.path.lexists(selection.path):
            return SourceSpec(uri=literal_uri(selection.path))
        return SourceSpec(uri=text.partition("#")[0])
    if name:
        raise InvalidInput(
            f"{text!r} has the scheme {name!r}; expected a path, file:, http: or https:"
        )
    return SourceSpec(uri=_path_uri(text, base))


def _path_uri(text: str, base: Path) -> str:
    if "\0" in text:
        raise InvalidInput(f"{text!r}: a path cannot hold a NUL character")
    try:
        path = base / Path(text).expanduser()
    except RuntimeError:
        path = base / text  # `~name` of no user of this machine is a name like others
    try:
        uri = literal_uri(path)
    except UnicodeEncodeError as error:
        raise InvalidInput(f"{text!r} is not valid Unicode: {error}") from error
    first = next((n for n, part in enumerate(path.parts) if _WILDCARD.search(part)), None)
    if first is None or os.path.lexists(path):
        return uri
    root = file_uri(Path(*path.parts[:first]))
    pattern = "/".join(path.parts[first:]).encode("utf-8", "surrogateescape")
    return f"{root.rstrip('/')}/{quote(pattern, safe=_PATTERN_SAFE)}"
