"""Options that several commands share, with their help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

__all__ = [
    "DEFAULT_INDEX",
    "AsJson",
    "BulkSize",
    "ChunkOverlap",
    "ChunkSize",
    "ChunkUnit",
    "Chunker",
    "Embedder",
    "Index",
    "Input",
    "KeepVanished",
    "MaxDocumentBytes",
    "Metadata",
    "Model",
    "Profile",
    "TargetNames",
    "TaskQueue",
    "VerifyContent",
    "Window",
]

DEFAULT_INDEX = "durable-index"

TargetNames: TypeAlias = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="TARGET...",
        help="Files, folders, patterns such as 'docs/**/*.md', or web addresses.",
        show_default=False,
    ),
]
Input: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--input",
        metavar="FILE",
        help="A list of targets in YAML or JSON, or an input of the ingestion workshop.",
        show_default=False,
    ),
]
Index: TypeAlias = Annotated[
    str, typer.Option("--index", metavar="DIR", help="Folder of the index.")
]
Profile: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--profile",
        metavar="NAME",
        help="Temporal profile (temporal.toml, TEMPORAL_* variables) of the server to use.",
        show_default=False,
    ),
]
TaskQueue: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--task-queue",
        metavar="NAME",
        help="Base name of the task queues.  [default: PY_WORKER_TASK_QUEUE]",
        show_default=False,
    ),
]
AsJson: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Print one JSON document on stdout.")
]
Embedder: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--embedder",
        metavar="KIND",
        help="sentence-transformers (default), openai or hashing.",
        show_default=False,
    ),
]
Model: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="NAME",
        help="Embedding model.  [default: sentence-transformers/all-MiniLM-L6-v2]",
        show_default=False,
    ),
]
Chunker: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--chunker",
        metavar="KIND",
        help="structure (default), recursive or fixed.",
        show_default=False,
    ),
]
ChunkSize: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--chunk-size",
        min=1,
        metavar="N",
        help="Longest chunk.  [default: what the model reads at once]",
        show_default=False,
    ),
]
ChunkOverlap: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--chunk-overlap",
        min=0,
        metavar="N",
        help="How much neighbouring chunks share.  [default: 0]",
        show_default=False,
    ),
]
ChunkUnit: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--chunk-unit",
        metavar="UNIT",
        help="tokens (default) or characters, for both of the above.",
        show_default=False,
    ),
]
Metadata: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--metadata",
        metavar="KEY=VALUE",
        help="Given to every document, for filters when searching; may be repeated.",
        show_default=False,
    ),
]
BulkSize: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--bulk-size",
        min=1,
        metavar="N",
        help="Most documents per batch.  [default: 256]",
        show_default=False,
    ),
]
Window: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--window",
        min=1,
        max=100,
        metavar="N",
        help="Batches in flight.  [default: 4]",
        show_default=False,
    ),
]
MaxDocumentBytes: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--max-document-bytes",
        min=1,
        metavar="N",
        help="Longer documents become failed ones.  [default: 33554432]",
        show_default=False,
    ),
]
VerifyContent: TypeAlias = Annotated[
    bool,
    typer.Option("--verify-content", help="Read files even if size and time say unchanged."),
]
KeepVanished: TypeAlias = Annotated[
    bool,
    typer.Option("--keep-vanished", help="Keep documents whose source has gone."),
]
