"""The adapters of one process, built from names and settings when first needed."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Any

from durable_ingest import registry
from durable_ingest.errors import InvalidInput
from durable_ingest.ids import path_of
from durable_ingest.models import ChunkerSpec, EmbedderInfo, EmbedderSpec, IndexSpec
from durable_ingest.pipeline.recipe import Recipe, index_settings, resolve
from durable_ingest.pipeline.vector_cache import VectorCache
from durable_ingest.ports import DocumentSource, Embedder, Store
from durable_ingest.settings import WorkerSettings

_COLLECTION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


class Resources:
    """Builds each adapter once and keeps it; may be used from several threads.

    Attributes:
        settings: What this process was given.
    """

    def __init__(self, settings: WorkerSettings) -> None:
        self.settings = settings
        self._lock = threading.RLock()
        self._sources: dict[str, DocumentSource] = {}
        self._embedders: dict[str, Embedder] = {}
        self._recipes: dict[tuple[str, str, str], Recipe] = {}
        self._stores: dict[str, Store] = {}
        self._cache: VectorCache | None = None

    def source(self, kind: str) -> DocumentSource:
        """The source adapter of a registry name."""
        with self._lock:
            if kind not in self._sources:
                self._sources[kind] = registry.load("sources", kind)(self.settings)
            return self._sources[kind]

    def embedder(self, spec: EmbedderSpec) -> Embedder:
        """The embedder of a specification; its weights are loaded at the first `embed`."""
        key = spec.model_dump_json()
        with self._lock:
            if key not in self._embedders:
                self._embedders[key] = registry.load("embedders", spec.kind)(spec, self.settings)
            return self._embedders[key]

    def recipe(
        self,
        chunker: ChunkerSpec,
        embedder: EmbedderSpec,
        info: EmbedderInfo,
        tokenizer_json: bytes | None,
    ) -> Recipe:
        """Chunker, tokenizer and fingerprint of a job."""
        key = (chunker.model_dump_json(), embedder.model_dump_json(), info.fingerprint)
        with self._lock:
            if key not in self._recipes:
                self._recipes[key] = resolve(chunker, embedder, info, tokenizer_json)
            return self._recipes[key]

    def store(
        self,
        index: IndexSpec,
        *,
        create: tuple[EmbedderInfo, EmbedderSpec] | None = None,
    ) -> Store:
        """The open store of an index.

        Args:
            index: Which one.
            create: Make it for this embedder if it does not exist; an existing one must match.

        Raises:
            IndexMissing: It does not exist and `create` is None.
            IndexMismatch: It was made with another embedder.
        """
        with self._lock:
            factory: Any = registry.load("stores", index.kind)
            if index.uri in self._stores and not self.place(index).exists():
                self._forget(index.uri)  # somebody removed the index to build it anew
            if create is not None:
                # Checked each time: the open store may have been made for another job's embedder.
                settings = index_settings(*create)
                found = self._stores.get(index.uri)
                if found is None or found.info().settings != settings:
                    # A mismatch is raised here, and the open store goes on serving other jobs.
                    made = factory.create(self.place(index), settings)
                    self._forget(index.uri)
                    self._stores[index.uri] = made
            elif index.uri not in self._stores:
                self._stores[index.uri] = factory.open(self.place(index))
            return self._stores[index.uri]

    def place(self, index: IndexSpec) -> Path:
        """The folder of an index.

        Raises:
            InvalidInput: The address is neither a folder nor a collection of this worker.
        """
        scheme, _, rest = index.uri.partition(":")
        if scheme == "file":
            return path_of(index.uri)
        if scheme == "collection":
            if self.settings.index_root is None:
                raise InvalidInput(
                    f"{index.uri!r} needs a worker with DURABLE_INGEST_INDEX_ROOT set"
                )
            if not _COLLECTION.fullmatch(rest):
                raise InvalidInput(
                    f"collection name {rest!r} may hold letters, digits, '_', '.' and '-' only"
                )
            return self.settings.index_root / rest
        raise InvalidInput(
            f"index address {index.uri!r} must be a file: URI of a folder or collection:NAME"
        )

    def vector_cache(self) -> VectorCache | None:
        """The shared cache of vectors, None when the settings name no file."""
        with self._lock:
            if self._cache is None and self.settings.vector_cache is not None:
                self._cache = VectorCache(self.settings.vector_cache)
            return self._cache

    def _forget(self, uri: str) -> None:
        store = self._stores.pop(uri, None)
        if store is not None:
            store.close()

    def close(self) -> None:
        """Release what is open."""
        with self._lock:
            for uri in list(self._stores):
                self._forget(uri)
            if self._cache is not None:
                self._cache.close()
                self._cache = None
            for source in self._sources.values():
                if (close := getattr(source, "close", None)) is not None:
                    close()
            self._sources.clear()
