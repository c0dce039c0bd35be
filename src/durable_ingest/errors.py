"""Every error the package raises on purpose.

```
DurableIngestError
├── TransientError            trying again may help; `retry_after` seconds when known
│   ├── SourceUnavailable     server error, timeout, connection lost
│   ├── EmbedderUnavailable   the embedding service did not answer
│   ├── StoreBusy             another writer holds the index
│   └── StorageFull           no space left on the device
└── TerminalError             trying again cannot help; the message says what can
    ├── InvalidInput          a value, file or option that is wrong as it stands
    ├── SourceMissing         it is not there (any more): no such path, HTTP 404 or 410
    ├── SourceRefused         a safety rule forbids it; `rule` names which
    ├── SourceUnreadable      it is there, but cannot be read
    ├── DocumentTooLarge      over the size limit
    ├── UnsupportedMediaType  no converter reads it
    ├── ConversionFailed      the converter could not read the bytes
    ├── EmbedderRejected      the embedding service refused the request for good
    ├── ModelMismatch         model files do not have the expected digest
    ├── IndexMissing          there is no index at that place
    ├── IndexMismatch         the index was made with other settings
    ├── IndexDamaged          bytes of the index are not what was written
    ├── ArtifactMissing       an artifact is gone
    ├── ArtifactDamaged       an artifact's bytes do not match its name
    ├── RunConflict           another job is unfinished on the same index
    ├── ServerUnavailable     no Temporal server to be found, started or reached
    └── MissingExtra          an optional distribution is not installed
```

A stage that meets a `TerminalError` for one document turns it into an error row and goes on;
a `TransientError` is raised, so that Temporal (or the in-process runner) tries again.
"""

from __future__ import annotations

__all__ = [
    "ArtifactDamaged",
    "ArtifactMissing",
    "ConversionFailed",
    "DocumentTooLarge",
    "DurableIngestError",
    "EmbedderRejected",
    "EmbedderUnavailable",
    "IndexDamaged",
    "IndexMismatch",
    "IndexMissing",
    "InvalidInput",
    "MissingExtra",
    "ModelMismatch",
    "RunConflict",
    "ServerUnavailable",
    "SourceMissing",
    "SourceRefused",
    "SourceUnavailable",
    "SourceUnreadable",
    "StorageFull",
    "StoreBusy",
    "TerminalError",
    "TransientError",
    "UnsupportedMediaType",
]


class DurableIngestError(Exception):
    """Base of all errors raised on purpose; catch it to catch them all."""


class TransientError(DurableIngestError):
    """The same call may succeed later.

    Attributes:
        retry_after: Seconds the other side asked to wait, or None.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class TerminalError(DurableIngestError):
    """The same call will fail again until somebody changes something."""


class SourceUnavailable(TransientError):
    """A source answered with a server error, timed out or dropped the connection."""


class EmbedderUnavailable(TransientError):
    """An embedding service is overloaded, limits the rate or cannot be reached."""


class StoreBusy(TransientError):
    """Another process is writing to the index; one writer at a time is allowed."""


class StorageFull(TransientError):
    """The device has no space left; nothing half-written was kept."""


class InvalidInput(TerminalError):
    """Something the caller gave is wrong; the message names the value and what was expected."""


class SourceMissing(TerminalError):
    """The document does not exist (any more)."""


class SourceRefused(TerminalError):
    """A safety rule of the worker forbids reading this source.

    Attributes:
        rule: Short name of the rule, such as `allowed_roots` or `private-address`.
    """

    def __init__(self, message: str, *, rule: str) -> None:
        super().__init__(message)
        self.rule = rule


class SourceUnreadable(TerminalError):
    """The document exists but cannot be read: no permission, a device, a broken link."""


class DocumentTooLarge(TerminalError):
    """The document is over the size limit; raise `max_document_bytes` to take it."""


class UnsupportedMediaType(TerminalError):
    """No converter reads this media type."""


class ConversionFailed(TerminalError):
    """The converter could not turn the bytes into text."""


class EmbedderRejected(TerminalError):
    """The embedding service refused the request: bad key, unknown model, text too long."""


class ModelMismatch(TerminalError):
    """Model files were found, but their digest is not the published one."""


class IndexMissing(TerminalError):
    """There is no index at the given place."""


class IndexMismatch(TerminalError):
    """The index was made with another model, dimension or format version."""


class IndexDamaged(TerminalError):
    """Bytes of the index are not what was written; the message names the file."""


class ArtifactMissing(TerminalError):
    """An artifact that a reference names is not in the store."""


class ArtifactDamaged(TerminalError):
    """An artifact's bytes do not have the digest that its reference promises."""


class RunConflict(TerminalError):
    """Another job is unfinished on the same index."""


class ServerUnavailable(TerminalError):
    """No Temporal server could be found, started or reached; the message says what to do."""


class MissingExtra(TerminalError):
    """An optional distribution is needed and not installed.

    Attributes:
        extra: The extra of durable-ingest that brings it.
    """

    def __init__(self, distribution: str, *, extra: str) -> None:
        super().__init__(
            f"{distribution} is not installed: pip install 'durable-ingest[{extra}]' brings it"
        )
        self.extra = extra
