"""What a worker is given: roots, limits, places. Requests cannot widen any of it."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

MIB = 1024 * 1024


class WorkerSettings(BaseSettings):
    """Settings of one worker process, from arguments or `DURABLE_INGEST_*` variables.

    The connection to Temporal is no part of this: it comes from a `temporalio.envconfig` profile.
    """

    model_config = SettingsConfigDict(env_prefix="DURABLE_INGEST_", frozen=True, extra="ignore")

    allowed_roots: tuple[Path, ...] = Field(
        default=(), description="folders that file sources may read; none: no file at all"
    )
    allow_private_addresses: bool = Field(
        default=False, description="let web sources reach loopback and private networks"
    )
    max_document_bytes: int = Field(
        default=32 * MIB, ge=1, description="upper bound for every request's own limit"
    )
    artifacts: Path | None = Field(
        default=None, description="folder of the artifact store, shared by the workers of a job"
    )
    index_root: Path | None = Field(
        default=None, description="folder that holds the indexes addressed as `collection:NAME`"
    )
    vector_cache: Path | None = Field(
        default=None, description="file that keeps vectors across retries and runs"
    )
    http_timeout: float = Field(default=10.0, gt=0, description="seconds per read or connect")
    http_deadline: float = Field(default=120.0, gt=0, description="seconds per document in all")
    http_attempts: int = Field(default=3, ge=1, description="tries before a document is deferred")
    http_concurrency: int = Field(default=8, ge=1, description="documents fetched at once")
    user_agent: str = "durable-ingest (+https://github.com/durable-ingest/durable-ingest)"
    model_path: Path | None = Field(
        default=None, description="folder of model files, tried before any other place"
    )
    embedder_urls: tuple[str, ...] = Field(
        default=(),
        description="addresses of embedding services that requests may choose, beside the "
        "worker's own OPENAI_BASE_URL",
    )
    trust_model: bool = Field(
        default=False, description="load weights whose digest is not known to the package"
    )
