"""What every `DocumentSource` must do; inherit `SourceContract` in a test class to prove one."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from durable_ingest.errors import DocumentTooLarge, DurableIngestError, TerminalError
from durable_ingest.ids import canonical_uri
from durable_ingest.models import DocumentRef, ErrorRow, PlannedDocument, SourceSpec
from durable_ingest.ports import DocumentSource, Fetched, Unchanged

__all__ = ["Failure", "SourceContract"]

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Failure:
    """A document that cannot be read.

    Attributes:
        name: Shown when the test fails.
        ref: The document.
        error: What `fetch` must raise: a `TerminalError` or a `TransientError`.
    """

    name: str
    ref: DocumentRef
    error: type[DurableIngestError]


class SourceContract:
    """The promises of the port. A subclass overrides the fixtures.

    `spec` must yield one document at least, each of two bytes or more.
    """

    @pytest.fixture
    def source(self) -> DocumentSource:
        """The adapter under test."""
        raise NotImplementedError

    @pytest.fixture
    def spec(self) -> SourceSpec:
        """A source with documents that can be read."""
        raise NotImplementedError

    @pytest.fixture
    def foreign_uris(self) -> Sequence[str]:
        """Canonical URIs that `spec` does not yield and would not if they existed."""
        raise NotImplementedError

    @pytest.fixture
    def failures(self) -> Sequence[Failure]:
        """Documents that cannot be read, terminal and transient ones."""
        raise NotImplementedError

    @pytest.fixture
    def broken_specs(self) -> Sequence[SourceSpec]:
        """Sources that cannot be read as a whole."""
        raise NotImplementedError

    def test_it_fulfils_the_protocol(self, source: DocumentSource) -> None:
        """The adapter has the port's methods."""
        assert isinstance(source, DocumentSource)

    def test_discovers_documents_in_the_same_order_each_time(
        self, source: DocumentSource, spec: SourceSpec
    ) -> None:
        """Two listings are equal and not empty."""
        first, second = list(source.discover(spec)), list(source.discover(spec))
        assert first == second
        assert any(isinstance(item, DocumentRef) for item in first)

    def test_discovers_each_canonical_uri_once(
        self, source: DocumentSource, spec: SourceSpec
    ) -> None:
        """URIs are canonical and unique, those of error rows too."""
        uris = [item.uri for item in source.discover(spec)]
        assert len(uris) == len(set(uris))
        assert [canonical_uri(uri) for uri in uris] == uris

    def test_error_rows_of_discovery_say_their_stage_and_reason(
        self, source: DocumentSource, spec: SourceSpec
    ) -> None:
        """A row that discovery yields can be shown as it is."""
        for item in source.discover(spec):
            if isinstance(item, ErrorRow):
                assert item.stage == "discover"
                assert item.error_type
                assert item.message

    def test_covers_what_it_discovers(self, source: DocumentSource, spec: SourceSpec) -> None:
        """Otherwise a vanished document would stay in the index for good."""
        for ref in _refs(source, spec):
            assert source.covers(spec, ref.uri), ref.uri

    def test_covers_nothing_else(
        self, source: DocumentSource, spec: SourceSpec, foreign_uris: Sequence[str]
    ) -> None:
        """Otherwise documents of other sources would be deleted."""
        found = {ref.uri for ref in _refs(source, spec)}
        for uri in foreign_uris:
            assert uri not in found, uri
            assert not source.covers(spec, uri), uri

    def test_fetches_what_it_discovers(self, source: DocumentSource, spec: SourceSpec) -> None:
        """Every discovered document can be read, with a bare lower-case media type."""
        for ref in _refs(source, spec):
            fetched = _fetched(source, ref)
            assert fetched.size == len(fetched.content)
            assert fetched.media_type == fetched.media_type.lower()
            assert "/" in fetched.media_type
            assert ";" not in fetched.media_type
            if ref.size is not None:
                assert fetched.size == ref.size

    def test_a_document_may_have_exactly_the_size_limit(
        self, source: DocumentSource, spec: SourceSpec
    ) -> None:
        """`max_bytes` itself is allowed, one byte more is not."""
        ref = _refs(source, spec)[0]
        size = len(_fetched(source, ref).content)
        assert _fetched(source, ref, max_bytes=size).size == size
        with pytest.raises(DocumentTooLarge, match=str(size - 1)):
            source.fetch(PlannedDocument(ref=ref), max_bytes=size - 1)

    def test_several_threads_may_fetch_at_once(
        self, source: DocumentSource, spec: SourceSpec
    ) -> None:
        """Batches are read by several threads that share one adapter."""
        refs = _refs(source, spec) * 4
        with ThreadPoolExecutor(4) as pool:
            threaded = list(pool.map(lambda ref: _fetched(source, ref).content, refs))
        assert [_fetched(source, ref).content for ref in refs] == threaded

    def test_failures_are_raised_as_terminal_or_transient(
        self, source: DocumentSource, failures: Sequence[Failure]
    ) -> None:
        """What may pass is raised as transient, all else as terminal, with a message."""
        for failure in failures:
            with pytest.raises(failure.error) as caught:
                source.fetch(PlannedDocument(ref=failure.ref), max_bytes=MIB)
            assert str(caught.value), failure.name

    def test_a_source_that_cannot_be_read_yields_nothing_and_raises(
        self, source: DocumentSource, broken_specs: Sequence[SourceSpec]
    ) -> None:
        """Nothing was yielded before the error."""
        for spec in broken_specs:
            with pytest.raises(TerminalError):
                next(iter(source.discover(spec)))


def _refs(source: DocumentSource, spec: SourceSpec) -> list[DocumentRef]:
    return [item for item in source.discover(spec) if isinstance(item, DocumentRef)]


def _fetched(source: DocumentSource, ref: DocumentRef, *, max_bytes: int = MIB) -> Fetched:
    result = source.fetch(PlannedDocument(ref=ref), max_bytes=max_bytes)
    assert not isinstance(result, Unchanged), f"{ref.uri}: nothing was known before"
    return result
