"""Checkpoints: where everything live lies after a commit, so that replay need not begin at one.

A checkpoint repeats nothing that segments hold; it lists which records of which segments are
live. It is derived from the log like the lookups are: a missing or damaged one costs time, not
data, and one that was left behind by another history is recognised by its head digest.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from durable_ingest.errors import IndexDamaged
from durable_ingest.files import TEMPORARY, Files, write_durably
from durable_ingest.stores.changes import Changes, record_commits, same_holdings
from durable_ingest.stores.log import CommitLog, Totals
from durable_ingest.stores.lookup import Lookup, LookupDamaged
from durable_ingest.stores.records import read_rows
from durable_ingest.stores.rows import RecordDamaged, RowSegment, decode_keys
from durable_ingest.stores.sealed import seal, unseal
from durable_ingest.stores.segments import Place, Segments

_NAME = re.compile(r"(\d{8,})\.json")
_KEPT = 2

EVERY = 64
"""Commits between two checkpoints, at least."""

_COMMIT_WORTH = 50
# Replaying a commit costs about as much as listing so many documents. A checkpoint is written when
# replay since the last one would cost a good part of what writing it costs, so that checkpoints
# never take more than a fixed share of all the work, however large the index becomes.


class Checkpoints:
    """Reads and writes checkpoints.

    Args:
        directory: The folder `checkpoints`.
        files: File calls.
    """

    def __init__(self, directory: Path, files: Files) -> None:
        self._directory = directory
        self._files = files
        self._latest: tuple[int, int] | None = None  # sequence and `Totals.writes`

    def path(self, sequence: int) -> Path:
        """The file of a checkpoint."""
        return self._directory / f"{sequence:08d}.json"

    def due(self, sequence: int, totals: Totals) -> bool:
        """Whether it is time to write one after a commit."""
        if sequence % EVERY:
            return False
        latest, writes = self._latest or self._find_latest()
        if sequence <= latest:
            return False
        replay = (sequence - latest) * _COMMIT_WORTH + totals.writes - writes
        return replay * 2 >= totals.documents

    def write(self, lookup: Lookup) -> None:
        """Write one of what the lookups say; inside `Lookup.reading`.

        Raises:
            OSError: It could not be written; that is no loss.
        """
        standing = lookup.standing()
        content = _content(lookup)
        write_durably(self._files, self.path(standing.sequence), [seal(content)])
        self._files.sync_directory(self._directory)
        self._latest = (standing.sequence, standing.totals.writes)
        for old in self._sequences()[:-_KEPT]:
            with suppress(OSError):
                self._files.remove(self.path(old))

    def restore(self, lookup: Lookup, segments: Segments, log: CommitLog, newest: int) -> bool:
        """Fill empty lookups from the newest usable checkpoint.

        Args:
            lookup: Inside `Lookup.writing`.
            segments: Where the records are.
            log: Vouches for the checkpoint.
            newest: Newest commit of the log.

        Returns:
            Whether there was one.

        Raises:
            IndexDamaged: A segment that live records lie in is not what was written.
        """
        for sequence in reversed(self._sequences()):
            content = self._read(sequence)
            if content is None or sequence > newest:
                continue
            record, digest = log.read(sequence)
            if content["head"] != digest:
                continue
            _restore(lookup, segments, content)
            totals = Totals(**content["totals"])
            if not same_holdings(totals, record.totals):
                raise LookupDamaged(f"checkpoint {sequence} and its commit do not add up")
            return True
        return False

    def _read(self, sequence: int) -> dict[str, Any] | None:
        try:
            path = self.path(sequence)
            return unseal(self._files.read(path), path)
        except (OSError, IndexDamaged):
            return None

    def _sequences(self) -> list[int]:
        return [
            int(match[1])
            for name in self._files.names(self._directory)
            if not name.endswith(TEMPORARY) and (match := _NAME.fullmatch(name))
        ]

    def _find_latest(self) -> tuple[int, int]:
        self._latest = (0, 0)
        for sequence in reversed(self._sequences()):
            content = self._read(sequence)
            if content is not None:
                self._latest = (sequence, content["totals"]["writes"])
                break
        return self._latest


def _content(lookup: Lookup) -> dict[str, Any]:
    standing = lookup.standing()
    fetch = lookup.connection.execute
    return {
        "sequence": standing.sequence,
        "head": standing.head,
        "totals": asdict(standing.totals),
        "commits": [row[0] for row in fetch("SELECT id FROM commits ORDER BY n")],
        "segments": {str(number): name for number, name in fetch("SELECT n, name FROM segments")},
        "keys": [
            list(row)
            for row in fetch(
                "SELECT rows_segment, length, vectors_segment FROM key_lines ORDER BY n"
            )
        ],
        "documents": [
            list(row)
            for row in fetch(
                "SELECT segment, start, touch_segment, touch_start FROM documents"
                " ORDER BY segment, start"
            )
        ],
    }


def _restore(lookup: Lookup, segments: Segments, content: dict[str, Any]) -> None:
    names = {int(number): name for number, name in content["segments"].items()}
    changes = Changes(lookup, content["sequence"], Totals())
    for rows, length, vectors in content["keys"]:
        line = segments.read_record(Place(names[rows], 0, length))
        try:
            keys = decode_keys(line)
        except RecordDamaged as error:
            segments.read(names[rows])  # raises when the segment is at fault
            raise LookupDamaged(f"the checkpoint misplaces names of vectors ({error})") from error
        changes.add_keys(keys, rows=names[rows], length=length, vectors=names[vectors])
    puts: dict[int, set[int]] = {}
    touches: dict[int, set[int]] = {}
    for segment, start, touch_segment, touch_start in content["documents"]:
        puts.setdefault(segment, set()).add(start)
        if touch_segment is not None:
            touches.setdefault(touch_segment, set()).add(touch_start)
    held: list[tuple[str, RowSegment]] = []
    for segment in sorted(puts.keys() | touches.keys()):
        rows = read_rows(segments, names[segment])
        live = [each for each in rows.puts if each.state.line.start in puts.get(segment, ())]
        changes.put(live, rows=names[segment])
        new = [each for each in rows.touches if each.line.start in touches.get(segment, ())]
        held.append((names[segment], RowSegment(touches=new)))
    for name, rows in held:
        changes.touch(rows.touches, rows=name)
    found = changes.finish().totals
    totals = Totals(**content["totals"])
    if not same_holdings(found, totals):
        raise LookupDamaged(f"the checkpoint promises {totals!r}, its records make {found!r}")
    record_commits(
        lookup,
        list(enumerate(content["commits"], start=1)),
        head=content["head"],
        totals=totals,
    )
