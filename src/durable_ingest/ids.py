"""Identities: documents, chunks, vectors, commits and workflows.

All ids are digests of canonical inputs, so that the same work has the same name wherever and
however often it is done. The rules are frozen by tests: changing one orphans every stored index.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

__all__ = [
    "canonical_json",
    "canonical_uri",
    "chunk_ids",
    "commit_id",
    "digest",
    "file_uri",
    "path_of",
    "sha256",
    "vector_key",
    "workflow_id",
]

_DEFAULT_PORTS = {"http": 80, "https": 443}
# RFC 3986 unreserved, sub-delims and the characters a path or query may hold unescaped.
_PATH_SAFE = "/-._~!$&'()*+,;=:@%"
_QUERY_SAFE = _PATH_SAFE + "?"


def sha256(data: bytes) -> str:
    """Digest as 64 lower-case hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def canonical_json(value: Any) -> bytes:
    """One spelling per JSON value: sorted keys, no spaces, UTF-8.

    Lone surrogates are kept as escapes, so that any string has an encoding.
    """
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    ).encode()


def digest(*parts: str | bytes) -> str:
    """Digest of several parts in order; their lengths count, so that no two lists collide."""
    hasher = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        hasher.update(len(data).to_bytes(8, "big"))
        hasher.update(data)
    return hasher.hexdigest()


def file_uri(path: Path) -> str:
    """Canonical `file:` URI of a path; made absolute, symbolic links are not followed.

    Bytes that are no valid UTF-8 survive: they are percent-encoded one by one.
    """
    absolute = Path.cwd() / path
    normal = Path(*_collapse(absolute.parts))
    return "file://" + quote(
        normal.as_posix().encode("utf-8", "surrogateescape"), safe="/-._~!$&'()*+,;=:@"
    )


def _collapse(parts: Sequence[str]) -> list[str]:
    out: list[str] = []
    for part in parts:
        if part == "..":
            if len(out) > 1:
                out.pop()
        elif part != ".":
            out.append(part)
    return out


def path_of(uri: str) -> Path:
    """The path of a `file:` URI."""
    raw = urlsplit(uri).path
    return Path(unquote(raw, encoding="utf-8", errors="surrogateescape"))


def canonical_uri(uri: str) -> str:
    """Return the one spelling of an address.

    Scheme and host are lower-case, escapes upper-case; default port, fragment and dot segments
    are dropped; an empty path is `/`.

    `file:` URIs and other schemes come back with their fragment only dropped.
    """
    parts = urlsplit(uri.strip())
    scheme = parts.scheme.lower()
    if scheme not in _DEFAULT_PORTS:
        return urlunsplit((scheme, parts.netloc, parts.path, parts.query, "")) if scheme else uri
    host = (parts.hostname or "").lower().rstrip(".")
    if ":" in host:
        host = f"[{host}]"
    else:
        try:
            host = host.encode("idna").decode("ascii")
        except UnicodeError:
            host = quote(host)
    port = "" if parts.port in (None, _DEFAULT_PORTS[scheme]) else f":{parts.port}"
    path = _upper_escapes(quote(_drop_dots(parts.path) or "/", safe=_PATH_SAFE))
    query = _upper_escapes(quote(parts.query, safe=_QUERY_SAFE))
    return urlunsplit((scheme, host + port, path, query, ""))


def _drop_dots(path: str) -> str:
    out: list[str] = []
    segments = path.split("/")
    for index, segment in enumerate(segments):
        last = index == len(segments) - 1
        if segment == "..":
            if len(out) > 1:
                out.pop()
            if last:
                out.append("")
        elif segment == ".":
            if last:
                out.append("")
        else:
            out.append(segment)
    return "/".join(out)


def _upper_escapes(text: str) -> str:
    if "%" not in text:
        return text
    head, *rest = text.split("%")
    return head + "".join("%" + piece[:2].upper() + piece[2:] for piece in rest)


def chunk_ids(document_id: str, contents: Iterable[tuple[str, str]]) -> list[str]:
    """Ids of a document's chunks: document, content and ordinal among equal contents.

    A chunk keeps its id when the document changes elsewhere.

    Args:
        document_id: Canonical URI.
        contents: `(context, text)` of each chunk in order.
    """
    seen: dict[str, int] = {}
    out: list[str] = []
    for context, text in contents:
        content = digest(context, text)
        nth = seen.get(content, 0)
        seen[content] = nth + 1
        out.append(digest(document_id, content, str(nth))[:40])
    return out


def vector_key(embedder: str, prompt: str, context: str, text: str) -> str:
    """Name of a vector: equal model and input, equal vector."""
    return digest(embedder, prompt, context, text)[:40]


def commit_id(first_run_id: str, ordinal: int, inputs: str) -> str:
    """Name of a change: the same batch of the same run commits once, however often it is tried.

    The run is part of it, so that content going X, Y, X over three runs commits three times.
    """
    return digest(first_run_id, str(ordinal), inputs)[:40]


def workflow_id(index_uri: str) -> str:
    """Workflow id of the job that writes an index: one writer per index, cluster-wide."""
    return f"ingest-{digest(canonical_uri(index_uri))[:24]}"
