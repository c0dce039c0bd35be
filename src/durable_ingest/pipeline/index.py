"""An index opened for searching."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from durable_ingest import registry
from durable_ingest.errors import IndexMismatch, InvalidInput
from durable_ingest.ids import path_of
from durable_ingest.models import ChunkRow, DocumentState, EmbedderSpec, MetadataValue
from durable_ingest.ports import Embedder, SearchFilter, SearchHit, Store, StoreInfo
from durable_ingest.settings import WorkerSettings

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Index:
    """Searches an index; sees each commit as soon as it is durable.

    Use `Index.open`. May be used from several threads.
    """

    def __init__(self, store: Store, embedder: Embedder | None, spec: EmbedderSpec | None) -> None:
        self._store = store
        self._embedder = embedder
        self._spec = spec

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        embedder: EmbedderSpec | None = None,
        settings: WorkerSettings | None = None,
        kind: str = "faiss",
    ) -> Self:
        """Open an index for reading.

        Args:
            path: Its folder, or the `file:` URI of it.
            embedder: How to embed queries; default: as the index was made.
            settings: Where to find the model.
            kind: Registry name of the store.

        Raises:
            IndexMissing: There is none.
            IndexMismatch: `embedder` is not the one that the index was made with.
            IndexDamaged: Its files are not what was written.
        """
        folder = path_of(path) if isinstance(path, str) and path.startswith("file:") else Path(path)
        store: Store = registry.load("stores", kind).open(folder, read_only=True)
        try:
            recipe = store.info().settings.recipe
            spec = embedder or (EmbedderSpec.model_validate_json(recipe) if recipe else None)
            model: Embedder | None = None
            if spec is not None:
                model = registry.load("embedders", spec.kind)(spec, settings or WorkerSettings())
                _check(store.info(), model)
        except BaseException:
            store.close()
            raise
        return cls(store, model, spec)

    def info(self) -> StoreInfo:
        """Settings, newest commit and live counts."""
        return self._store.info()

    def documents(self, *, after: str = "", limit: int = 1000) -> list[DocumentState]:
        """A page of documents in order of id, those behind `after` first."""
        return self._store.documents(after=after, limit=limit)

    def chunks(self, document_id: str) -> list[ChunkRow]:
        """The chunks of a document in order; empty when it is not in the index."""
        return self._store.chunk_rows(document_id)

    def search(
        self,
        query: str | NDArray[np.float32],
        k: int = 10,
        *,
        metadata: Mapping[str, MetadataValue | Sequence[MetadataValue]] | None = None,
        documents: Sequence[str] | None = None,
        uri_prefix: str = "",
        per_document: int | None = None,
    ) -> list[SearchHit]:
        """The passages that are most similar to a query, best first.

        Args:
            query: Text, or a `(dimension,)` float32 vector.
            k: Most hits.
            metadata: Wanted value per field, or several of which one must match.
            documents: Only these document ids.
            uri_prefix: Only documents whose id begins so.
            per_document: At most so many hits of one document.

        Raises:
            InvalidInput: Empty query, `k` under 1, or a vector of the wrong length.
        """
        vector = self._embed(query) if isinstance(query, str) else query
        where = SearchFilter(metadata or {}, documents, uri_prefix, per_document)
        return self._store.search(vector, k=k, where=where)

    async def asearch(
        self, query: str | NDArray[np.float32], k: int = 10, **options: Any
    ) -> list[SearchHit]:
        """`search` for callers in an event loop; runs in a thread."""
        return await asyncio.to_thread(lambda: self.search(query, k, **options))

    def _embed(self, query: str) -> NDArray[np.float32]:
        if not query.strip():
            raise InvalidInput(f"the query {query!r} holds no text")
        if self._embedder is None or self._spec is None:
            raise InvalidInput(
                "this index does not say how it was embedded: give `embedder=` or a vector"
            )
        vector: NDArray[np.float32] = self._embedder.embed([self._spec.query_prompt + query])[0]
        return vector

    def close(self) -> None:
        """Release the files."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _check(info: StoreInfo, embedder: Embedder) -> None:
    found = embedder.describe()
    if found.fingerprint != info.settings.embedder:
        raise IndexMismatch(
            f"the index was made with {info.settings.model!r} (fingerprint "
            f"{info.settings.embedder[:12]}), the query would be embedded with {found.model!r} "
            f"(fingerprint {found.fingerprint[:12]}): open it with the model it was made with"
        )
