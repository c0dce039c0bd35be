"""Checking an index down to the last byte."""

from __future__ import annotations

from durable_ingest.errors import IndexDamaged
from durable_ingest.stores.log import CommitLog
from durable_ingest.stores.lookup import LookupDamaged, Standing
from durable_ingest.stores.recovery import Recovery
from durable_ingest.stores.segments import ROWS, VECTORS, Segments


def check_segments(log: CommitLog, segments: Segments) -> None:
    """Compare the digest of every segment that was not compared yet.

    Raises:
        IndexDamaged: Names the segment that is missing or not what was written.
    """
    for name in _named(log):
        segments.check(name)


def _named(log: CommitLog) -> list[str]:
    """All segments that the log names, in an order that is the same each time."""
    return sorted(
        {
            f"{ref.sha256}.{kind}"
            for sequence in range(1, log.newest() + 1)
            for record in [log.read(sequence)[0]]
            for ref, kind in ((record.rows, ROWS), (record.vectors, VECTORS))
            if ref is not None
        }
    )


def verify_index(recovery: Recovery, log: CommitLog, segments: Segments) -> Standing:
    """Read the whole log and every segment it names, and replay it from the first commit.

    Returns:
        Where the log stands.

    Raises:
        IndexDamaged: Names the file that is not what was written.
    """
    newest = log.newest()
    log.verify(0, newest)
    for name in _named(log):
        segments.read(name)
    lookup = recovery.build_private(use_checkpoint=False)
    try:
        lookup.verify()
        return lookup.standing()
    except LookupDamaged as error:
        raise IndexDamaged(
            f"the log up to commit {newest} does not add up ({error}): restore the index from a"
            " backup, or build it anew in another folder"
        ) from error
    finally:
        lookup.close()
