"""What a run leaves: a report on the screen, in the index folder, and as JSON."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from durable_ingest.cli.exits import ExitCode
from durable_ingest.cli.pace import spoken_duration
from durable_ingest.models import ErrorRow, IngestReport

__all__ = ["SavedReport", "document_of", "exit_code_of", "save", "text_of"]

_SHOWN = 20
_KIB = 1024


@dataclass(frozen=True, slots=True)
class SavedReport:
    """A report and where it was put.

    Attributes:
        report: What the run did.
        index: Address of the index.
        workflow: Id of the workflow, None for a run in process.
        attached: The job was running already and was gone on with.
        path: The report's file, None when it was not saved here.
        error_rows: File with all failed documents as JSON lines, None when none failed.
    """

    report: IngestReport
    index: str
    workflow: str | None = None
    attached: bool = False
    path: Path | None = None
    error_rows: Path | None = None


def exit_code_of(report: IngestReport) -> ExitCode:
    """How a finished run ends the process."""
    if report.status == "cancelled":
        return ExitCode.FAILED
    return ExitCode.DOCUMENTS_FAILED if report.counts.failed else ExitCode.GOOD


def document_of(saved: SavedReport) -> dict[str, Any]:
    """The JSON form."""
    report = saved.report
    return {
        "status": report.status,
        "index": saved.index,
        "workflow_id": saved.workflow,
        "attached": saved.attached,
        "seconds": round(report.seconds, 3),
        "counts": report.counts.model_dump(mode="json"),
        "errors": [row.model_dump(mode="json") for row in report.errors[:_SHOWN]],
        "head": report.head,
        "model": report.embedder.model if report.embedder else None,
        "started_at": report.started_at.isoformat() if report.started_at else None,
        "finished_at": report.finished_at.isoformat() if report.finished_at else None,
        "report": None if saved.path is None else str(saved.path),
        "error_rows": None if saved.error_rows is None else str(saved.error_rows),
    }


def save(saved: SavedReport, folder: Path, rows: bytes | None) -> SavedReport:
    """Write a report into a folder, under the time in UTC.

    Args:
        saved: The report, not saved yet.
        folder: Made when missing.
        rows: All failed documents as JSON lines; None when the report holds them all.
    """
    folder.mkdir(parents=True, exist_ok=True)
    moment = saved.report.finished_at or datetime.now(UTC)
    stem = moment.astimezone(UTC).strftime("%Y-%m-%dT%H-%M-%S.%fZ")
    errors = None
    if saved.report.errors:
        errors = folder / f"{stem}.errors.jsonl"
        lines = "".join(row.model_dump_json() + "\n" for row in saved.report.errors)
        _write(errors, rows if rows is not None else lines.encode())
    placed = SavedReport(
        saved.report,
        saved.index,
        saved.workflow,
        saved.attached,
        folder / f"{stem}.json",
        errors,
    )
    _write(folder / f"{stem}.json", json.dumps(document_of(placed), indent=2).encode())
    return placed


def _write(path: Path, data: bytes) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def text_of(saved: SavedReport) -> str:
    """The report for people."""
    report, counts = saved.report, saved.report.counts
    rows = [
        ("documents", f"{counts.documents}"),
        ("  added", f"{counts.added}"),
        ("  updated", f"{counts.updated}"),
        ("  unchanged", f"{counts.unchanged}"),
        ("  failed", f"{counts.failed}"),
        ("deleted", f"{counts.deleted}"),
        ("chunks", f"{counts.chunks}"),
        ("  embedded", f"{counts.embedded}"),
        ("  reused", f"{counts.reused}"),
        ("bytes read", _spoken_size(counts.bytes)),
    ]
    if counts.pending:
        rows.insert(5, ("  pending", f"{counts.pending}"))
    if counts.truncated:
        rows.insert(-1, ("  truncated", f"{counts.truncated}"))
    lines = [f"{report.status} in {spoken_duration(report.seconds)}"]
    lines += [f"  {name:<14}{value:>10}" for name, value in rows]
    if report.errors:
        lines.append("failed documents:")
        lines += [f"  {line_of(row)}" for row in report.errors[:_SHOWN]]
        more = counts.failed - len(report.errors[:_SHOWN])
        if more > 0:
            place = f", all of them in {saved.error_rows}" if saved.error_rows else ""
            lines.append(f"  and {more} more{place}")
    if saved.path is not None:
        lines.append(f"report: {saved.path}")
    return "\n".join(lines)


def line_of(row: ErrorRow) -> str:
    """A failed document in one line: what, why, and by which rule."""
    rule = f", rule {row.rule}" if row.rule else ""
    return f"{row.uri} ({row.stage}, {row.error_type}{rule}): {row.message}"


def _spoken_size(size: int) -> str:
    if size < _KIB:
        return f"{size} B"
    scaled = float(size)
    for unit in ("KiB", "MiB", "GiB"):
        scaled /= _KIB
        if scaled < _KIB:
            return f"{scaled:.1f} {unit}"
    return f"{scaled / _KIB:.1f} TiB"
