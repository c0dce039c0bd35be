"""Inputs of the store contract: batches and queries to refuse, filters and what they match."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from durable_ingest.conformance.store_model import DIMENSION, record, state, unit
from durable_ingest.models import DocumentRecord, Metadata, MetadataValue
from durable_ingest.ports import CommitBatch, IndexSettings, SearchFilter

SETTINGS = IndexSettings(dimension=DIMENSION, embedder="fingerprint", model="model")
NAN = np.array([[np.nan, 0, 0, 0]], dtype=np.float32)


def put(name: str, *documents: DocumentRecord) -> CommitBatch:
    """A batch that puts documents with all their vectors."""
    keys = sorted({chunk.vector_key for each in documents for chunk in each.chunks})
    vectors = np.stack([unit(key) for key in keys]) if keys else None
    return CommitBatch(name, documents=documents, vector_keys=keys, vectors=vectors)


def altered(document: DocumentRecord, **changes: object) -> DocumentRecord:
    """The document with another first chunk."""
    first, *rest = document.chunks
    return document.model_copy(update={"chunks": [first.model_copy(update=changes), *rest]})


NEW = record("new", "t1", "t2")


@dataclass(frozen=True)
class BadBatch:
    """A batch that has to be refused; `match` is in the message."""

    name: str
    batch: CommitBatch
    match: str


BAD_BATCHES = [
    BadBatch("no name", put("", NEW), "commit_id"),
    BadBatch("vector with NaN", replace(put("bad"), vector_keys=["k"], vectors=NAN), "'k'"),
    BadBatch(
        "infinite vector",
        replace(put("bad"), vector_keys=["k"], vectors=np.full((1, 4), np.inf, np.float32)),
        "'k'",
    ),
    BadBatch(
        "vector of length 2",
        replace(put("bad"), vector_keys=["k"], vectors=np.full((1, 4), 1, np.float32)),
        "length 2",
    ),
    BadBatch(
        "vector of length 0",
        replace(put("bad"), vector_keys=["k"], vectors=np.zeros((1, 4), np.float32)),
        "length 0",
    ),
    BadBatch(
        "wrong dimension",
        replace(put("bad"), vector_keys=["k"], vectors=np.eye(1, 5, dtype=np.float32)),
        r"\(1, 5\)",
    ),
    BadBatch(
        "more keys than vectors",
        replace(put("bad"), vector_keys=["k", "l"], vectors=np.eye(1, 4, dtype=np.float32)),
        r"\(1, 4\)",
    ),
    BadBatch("keys without vectors", replace(put("bad"), vector_keys=["k"]), "1 keys"),
    BadBatch(
        "chunk without a vector",
        CommitBatch("bad", documents=[record("other", "unheard of")]),
        "key-unheard of",
    ),
    BadBatch(
        "chunk id twice in a document",
        put("bad", altered(NEW, chunk_id=NEW.chunks[1].chunk_id)),
        NEW.chunks[1].chunk_id,
    ),
    BadBatch(
        "chunk id twice in a batch",
        put("bad", NEW, altered(record("other", "t0"), chunk_id=NEW.chunks[1].chunk_id)),
        NEW.chunks[1].chunk_id,
    ),
    BadBatch(
        "chunk id of another document",
        put("bad", altered(NEW, chunk_id=record("here", "t0").chunks[0].chunk_id)),
        "'here'",
    ),
    BadBatch("ordinal twice", put("bad", altered(NEW, ordinal=1)), "ordinal 1"),
    BadBatch("chunk of another document", put("bad", altered(NEW, document_id="x")), "'x'"),
    BadBatch("document put twice", put("bad", NEW, NEW), "'new'"),
    BadBatch("put and deleted", replace(put("bad", NEW), deleted=["new"]), "'new'"),
    BadBatch("put and touched", replace(put("bad", NEW), touched=[NEW.state]), "'new'"),
    BadBatch(
        "touched and deleted",
        CommitBatch("bad", touched=[state("here")], deleted=["here"]),
        "'here'",
    ),
    BadBatch("touched twice", CommitBatch("bad", touched=[state("here")] * 2), "'here'"),
    BadBatch("touched but unknown", CommitBatch("bad", touched=[state("unknown")]), "'unknown'"),
    BadBatch(
        "lone surrogate in a text",
        put("bad", altered(NEW, text="\ud800")),
        NEW.chunks[0].chunk_id,
    ),
    BadBatch(
        "metadata that is no number",
        put("bad", NEW.model_copy(update={"state": state("new", {"score": math.nan})})),
        "'score'",
    ),
]


@dataclass(frozen=True)
class BadQuery:
    """A search that has to be refused."""

    name: str
    match: str
    vector: NDArray[np.float32] = field(default_factory=lambda: unit("key-t0"))
    k: int = 3
    where: SearchFilter | None = None


BAD_QUERIES = [
    BadQuery("NaN", "finite", vector=NAN[0]),
    BadQuery("infinity", "finite", vector=np.full(DIMENSION, np.inf, np.float32)),
    BadQuery("no length", "length 0", vector=np.zeros(DIMENSION, np.float32)),
    BadQuery("too short", r"\(3,\)", vector=np.ones(3, np.float32)),
    BadQuery("a matrix", r"\(1, 4\)", vector=np.eye(1, DIMENSION, dtype=np.float32)),
    BadQuery("no hits wanted", "k is 0", k=0),
    BadQuery("no hits by document", "per_document is 0", where=SearchFilter(per_document=0)),
]

DOCUMENTS: Mapping[str, Metadata] = {
    "a/1": {"language": "en", "year": 2024, "tags": ["x", "y"], "draft": True},
    "a/2": {"language": "de", "year": 2024.0, "tags": ["y"], "draft": False},
    "a_3": {"language": "en", "year": 2025, "tags": [], "number": 1},
    "b%1": {"language": "EN", "year": "2024", "odd \" name.with[0] 'signs'": "v", "flag": 1},
    "b1": {},
}


@dataclass(frozen=True)
class Matching:
    """A filter and the documents that match it."""

    name: str
    where: SearchFilter
    expected: tuple[str, ...]


def by(**metadata: MetadataValue | Sequence[MetadataValue]) -> SearchFilter:
    """A filter on metadata."""
    return SearchFilter(metadata=metadata)


MATCHING = [
    Matching("nothing asked", SearchFilter(), tuple(DOCUMENTS)),
    Matching("text", by(language="en"), ("a/1", "a_3")),
    Matching("text is no number", by(year="2024"), ("b%1",)),
    Matching("numbers by value", by(year=2024), ("a/1", "a/2")),
    Matching("a number as float", by(year=2025.0), ("a_3",)),
    Matching("truth", by(draft=True), ("a/1",)),
    Matching("truth is no number", by(flag=True), ()),
    Matching("a number is no truth", by(draft=1), ()),
    Matching("one of several", by(language=["de", "EN"]), ("a/2", "b%1")),
    Matching("one of none", by(language=[]), ()),
    Matching("an element of a list", by(tags="y"), ("a/1", "a/2")),
    Matching("elements of a list", by(tags=["x", "z"]), ("a/1",)),
    Matching("all fields", by(language="en", year=2024), ("a/1",)),
    Matching("unknown field", by(nothing="x"), ()),
    Matching("a field's name is no path", by(**{"odd \" name.with[0] 'signs'": "v"}), ("b%1",)),
    Matching("documents", SearchFilter(documents=["a/2", "b1", "zzz"]), ("a/2", "b1")),
    Matching("no documents", SearchFilter(documents=[]), ()),
    Matching("prefix", SearchFilter(uri_prefix="a/"), ("a/1", "a/2")),
    Matching("a prefix is no pattern", SearchFilter(uri_prefix="b%"), ("b%1",)),
    Matching("underscore in a prefix", SearchFilter(uri_prefix="a_"), ("a_3",)),
    Matching(
        "all together",
        SearchFilter(metadata={"tags": "y"}, documents=["a/1", "b1"], uri_prefix="a"),
        ("a/1",),
    ),
    Matching("a surrogate equals nothing", by(language="\ud800"), ()),
]
