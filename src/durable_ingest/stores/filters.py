"""Search filters as conditions on documents.

All restrictions of a `SearchFilter` but `per_document` speak of documents, so a filter is the set
of documents that match it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from durable_ingest.errors import InvalidInput
from durable_ingest.models import MetadataValue
from durable_ingest.ports import SearchFilter
from durable_ingest.stores.lookup import Lookup
from durable_ingest.stores.queries import is_storable
from durable_ingest.stores.rows import metadata_token

_SURROGATES = range(0xD800, 0xE000)


def check_filter(where: SearchFilter) -> None:
    """Refuse a filter that makes no sense.

    Raises:
        InvalidInput: Names the field and its value.
    """
    if where.per_document is not None and where.per_document < 1:
        raise InvalidInput(f"per_document is {where.per_document!r}: it must be 1 or more, or None")
    if isinstance(where.documents, str):
        raise InvalidInput(f"documents is {where.documents!r}: give a list of document ids")
    for name, wanted in where.metadata.items():
        for value in _wanted_values(wanted):
            if not isinstance(value, str | bool | int | float):
                raise InvalidInput(
                    f"the filter on {name!r} holds {value!r}: text, truth and numbers can be"
                    " compared"
                )


def matching_documents(lookup: Lookup, where: SearchFilter) -> set[int] | None:
    """Numbers of the documents that match; None when all do.

    Takes one pass over the documents in SQLite, or over those in range of the prefix.
    """
    conditions: list[str] = []
    arguments: list[Any] = []
    if where.documents is not None:
        conditions.append("id IN (SELECT value FROM json_each(?))")
        arguments.append(json.dumps([each for each in where.documents if is_storable(each)]))
    if where.uri_prefix:
        if not is_storable(where.uri_prefix):
            return set()
        conditions.append("id >= ?")
        arguments.append(where.uri_prefix)
        end = _successor(where.uri_prefix)
        if end:
            conditions.append("id < ?")
            arguments.append(end)
    for name, wanted in where.metadata.items():
        tokens = [metadata_token(name, value) for value in _wanted_values(wanted)]
        conditions.append(
            "tokens != '' AND EXISTS (SELECT 1 FROM json_each(tokens) AS token"
            " WHERE token.value IN (SELECT value FROM json_each(?)))"
        )
        arguments.append(json.dumps([token for token in tokens if is_storable(token)]))
    if not conditions:
        return None
    rows = lookup.connection.execute(
        f"SELECT n FROM documents WHERE {' AND '.join(conditions)}",  # noqa: S608 - conditions of our own, values as arguments
        arguments,
    )
    return {row[0] for row in rows}


def vectors_of_documents(lookup: Lookup, documents: set[int]) -> list[int]:
    """Numbers of the vectors that chunks of these documents use, each once, in order."""
    rows = lookup.connection.execute(
        "SELECT DISTINCT vector FROM chunks WHERE document IN (SELECT value FROM json_each(?))"
        " ORDER BY vector",
        (json.dumps(sorted(documents)),),
    )
    return [row[0] for row in rows]


def _wanted_values(
    wanted: MetadataValue | Sequence[MetadataValue],
) -> Sequence[Any]:
    if isinstance(wanted, Sequence) and not isinstance(wanted, str):
        return wanted
    return [wanted]


def _successor(prefix: str) -> str:
    """The least text above all that begin with `prefix`; empty when there is none."""
    while prefix:
        code = ord(prefix[-1]) + 1
        if code in _SURROGATES:
            code = _SURROGATES.stop
        if code <= sys.maxunicode:
            return prefix[:-1] + chr(code)
        prefix = prefix[:-1]
    return ""
