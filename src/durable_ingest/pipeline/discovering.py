"""Stage 1: which documents are there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from durable_ingest.errors import InvalidInput, TerminalError
from durable_ingest.ids import path_of
from durable_ingest.models import DocumentRef, ErrorRow, SourceSpec
from durable_ingest.ports import DocumentSource

Sources = Callable[[str], DocumentSource]
"""The adapter of a registry name."""


def discover(specs: Sequence[SourceSpec], sources: Sources) -> Iterator[DocumentRef | ErrorRow]:
    """Yield every document of the sources once; one found by two sources belongs to the first.

    A source that cannot be read as a whole becomes an error row, so that the others go on.

    Raises:
        InvalidInput: There is no source.
        TerminalError: No source could be read at all; the first one's reason.
    """
    if not specs:
        raise InvalidInput("no sources given: name at least one file, folder, pattern or address")
    seen: set[str] = set()
    refused: list[tuple[SourceSpec, TerminalError]] = []
    for ordinal, spec in enumerate(specs):
        try:
            found = 0
            for item in sources(spec.kind).discover(spec):
                found += 1
                if item.uri in seen:
                    continue
                seen.add(item.uri)
                yield (
                    item.model_copy(
                        update={
                            "source": ordinal,
                            "kind": spec.kind,
                            "metadata": {**spec.metadata, **item.metadata},
                        }
                    )
                    if isinstance(item, DocumentRef)
                    else item
                )
            if not found:
                raise InvalidInput(f"{_spoken(spec)} holds nothing that can be read")
        except TerminalError as error:
            refused.append((spec, error))
    if len(refused) == len(specs) and not seen:
        raise refused[0][1]
    for spec, reason in refused:
        if spec.uri not in seen:
            seen.add(spec.uri)
            yield error_row(spec.uri, "discover", reason)


def error_row(uri: str, stage: str, error: Exception) -> ErrorRow:
    """The row that a failed document leaves."""
    return ErrorRow(
        uri=uri,
        stage=stage,
        error_type=type(error).__name__,
        message=str(error),
        rule=getattr(error, "rule", None),
    )


def _spoken(spec: SourceSpec) -> str:
    # As `repr`: a name that is no valid UTF-8 has no other spelling that can be sent or stored.
    return repr(str(path_of(spec.uri))) if spec.uri.startswith("file:") else spec.uri
