"""The FAISS store keeps the contract of stores."""

from __future__ import annotations

from pathlib import Path

from durable_ingest.conformance.store import StoreContract
from durable_ingest.ports import IndexSettings, Store
from durable_ingest.stores.faiss import FaissStore


class TestFaissStore(StoreContract):
    def make_store(self, settings: IndexSettings, folder: Path) -> Store:
        return FaissStore.create(folder / "index", settings)

    def reopen(self, store: Store) -> Store:
        assert isinstance(store, FaissStore)
        return FaissStore.open(store.directory)
