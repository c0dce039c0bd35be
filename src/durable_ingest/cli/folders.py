"""What lies in an index folder beside the index itself."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from durable_ingest.errors import InvalidInput
from durable_ingest.ids import file_uri, path_of, workflow_id

__all__ = ["IndexFolder", "JobNote", "index_uri"]

_FOREIGN = ("file:", "collection:")


def index_uri(place: str) -> str:
    """The address of an index: a path becomes a `file:` URI, an address stays as it is.

    Raises:
        InvalidInput: It names nothing, or has the scheme of another kind of place.
    """
    if not place.strip():
        raise InvalidInput("--index is empty: name the folder of the index")
    if "://" in place and not place.startswith(_FOREIGN):
        raise InvalidInput(
            f"index {place!r} is no folder: give a path, file:///PATH or collection:NAME"
        )
    return place if place.startswith(_FOREIGN) else file_uri(Path(place).expanduser())


@dataclass(frozen=True, slots=True)
class JobNote:
    """What the folder remembers of a job that is not finished.

    Attributes:
        workflow: Its workflow id.
        targets: What it ingests, as it was named.
        started: When it was started or last gone on with, ISO 8601 in UTC.
    """

    workflow: str
    targets: list[str]
    started: str


@dataclass(frozen=True, slots=True)
class IndexFolder:
    """Places below an index folder.

    Attributes:
        path: The folder; it need not exist.
    """

    path: Path

    @classmethod
    def at(cls, place: str) -> IndexFolder:
        """The folder that `--index` names.

        Raises:
            InvalidInput: It names no folder of this machine.
        """
        uri = index_uri(place)
        if not uri.startswith("file:"):
            raise InvalidInput(
                f"index {place!r} is no folder of this machine: give a path, or a Temporal profile "
                "with `--profile`"
            )
        # With links followed: whatever spelling names the folder, its job is the same one.
        return cls(Path(os.path.realpath(path_of(uri))))

    @property
    def uri(self) -> str:
        """The index's address in requests."""
        return file_uri(self.path)

    @property
    def workflow(self) -> str:
        """Id of the workflow that writes the index."""
        return workflow_id(self.uri)

    @property
    def server(self) -> Path:
        """The embedded server's database, log and locks."""
        return self.path / "server"

    @property
    def artifacts(self) -> Path:
        """What the steps of a run hand on; emptied when the run is finished."""
        return self.path / "artifacts"

    @property
    def cache(self) -> Path:
        """What makes a retry cheap; emptied when the run is finished."""
        return self.path / "cache"

    @property
    def vectors(self) -> Path:
        """The cache of vectors."""
        return self.cache / "vectors.sqlite"

    @property
    def reports(self) -> Path:
        """One report per finished run."""
        return self.path / "reports"

    @property
    def log(self) -> Path:
        """Warnings of the workers in `run`'s process."""
        return self.server / "worker.log"

    @property
    def _note(self) -> Path:
        return self.server / "job.json"

    def remember(self, targets: Sequence[str]) -> None:
        """Note that a job is being run."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        note = JobNote(self.workflow, list(targets), now)
        partial = self._note.with_suffix(".tmp")
        partial.write_text(json.dumps(asdict(note), indent=2), encoding="utf-8")
        partial.replace(self._note)

    def forget(self) -> None:
        """Note that the job is over."""
        self._note.unlink(missing_ok=True)

    def job(self) -> JobNote | None:
        """The job that was begun here and is not known to be over."""
        try:
            data = json.loads(self._note.read_text(encoding="utf-8"))
            return JobNote(
                str(data["workflow"]), [str(name) for name in data["targets"]], str(data["started"])
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def tidy(self) -> None:
        """Remove what served retries of a run that is over."""
        for folder in (self.artifacts, self.cache):
            shutil.rmtree(folder, ignore_errors=True)
