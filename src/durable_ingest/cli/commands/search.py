"""`search`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from durable_ingest.cli import options as given
from durable_ingest.cli.exits import ExitCode
from durable_ingest.cli.guard import guarded
from durable_ingest.cli.terminal import Terminal

if TYPE_CHECKING:
    from durable_ingest.models import MetadataValue
    from durable_ingest.ports import SearchHit

__all__ = ["search", "snippet", "text_of"]

_SNIPPET = 400


@guarded
def search(
    query: Annotated[str, typer.Argument(help="What to look for, in plain words.")],
    *,
    index: given.Index = given.DEFAULT_INDEX,
    k: Annotated[int, typer.Option("-k", min=1, metavar="N", help="Most passages.")] = 5,
    as_json: given.AsJson = False,
    where: Annotated[
        list[str] | None,
        typer.Option(
            "--filter",
            metavar="KEY=VALUE",
            help="Only documents with this metadata; several values of one key are alternatives.",
            show_default=False,
        ),
    ] = None,
    document: Annotated[
        list[str] | None,
        typer.Option(
            "--document",
            metavar="URI",
            help="Only this document, by path or address; may be repeated.",
            show_default=False,
        ),
    ] = None,
    per_document: Annotated[
        int | None,
        typer.Option(
            "--per-document",
            min=1,
            metavar="N",
            help="Most passages of one document.",
            show_default=False,
        ),
    ] = None,
) -> ExitCode:
    """Find the passages that are nearest in meaning to a query, best first."""
    from durable_ingest.cli.folders import IndexFolder  # noqa: PLC0415 - --help stays light
    from durable_ingest.pipeline.index import Index  # noqa: PLC0415 - --help stays light

    terminal = Terminal(as_json=as_json)
    with Index.open(IndexFolder.at(index).path) as opened:
        hits = opened.search(
            query,
            k,
            metadata=filters_of(where or []),
            documents=[document_id(name) for name in document] if document else None,
            per_document=per_document,
        )
    if not hits:
        terminal.say("nothing found")
    for number, hit in enumerate(hits, start=1):
        terminal.show(text_of(number, hit))
    terminal.emit([asdict(hit) for hit in hits])
    return ExitCode.GOOD


def filters_of(pairs: list[str]) -> dict[str, list[str | bool | int | float]]:
    """Wanted values per field; `year=2024` matches the number and the text."""
    from durable_ingest.cli.jobs import parse_pairs  # noqa: PLC0415 - --help stays light

    out: dict[str, list[str | bool | int | float]] = {}
    for pair in pairs:
        read: dict[str, MetadataValue] = parse_pairs([pair])
        for key, value in read.items():
            wanted = out.setdefault(key, [])
            wanted += value if isinstance(value, list) else [value]
            text = pair.partition("=")[2]
            if text not in wanted:
                wanted.append(text)
    return out


def document_id(name: str) -> str:
    """The id of a document that is named by a path or an address."""
    from durable_ingest.ids import canonical_uri, file_uri  # noqa: PLC0415 - --help stays light

    return canonical_uri(name) if "://" in name else file_uri(Path(name).expanduser())


def text_of(number: int, hit: SearchHit) -> str:
    """A hit for people: score, place, and the beginning of the passage."""
    path = hit.heading_path
    if hit.title and hit.title not in path[:1]:
        path = (hit.title, *path)
    place = " > ".join(path)
    lines = [f"{number}. {hit.score:.3f}  {place or hit.document_id}"]
    lines.append(f"   {hit.document_id} [{hit.start}:{hit.end}]")
    lines.append(f"   {snippet(hit.text)}")
    return "\n".join(lines) + "\n"


def snippet(text: str) -> str:
    """The beginning of a passage on one line."""
    flat = " ".join(text.split())
    if len(flat) <= _SNIPPET:
        return flat
    return flat[:_SNIPPET].rsplit(" ", 1)[0] + " ..."
