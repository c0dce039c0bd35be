"""Stage 4: bytes to text to chunks."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from durable_ingest.converters import converter_for
from durable_ingest.errors import ConversionFailed, TerminalError, TransientError
from durable_ingest.ids import chunk_ids, vector_key
from durable_ingest.models import ChunkRow, Conversion, DocumentRecord, DocumentState
from durable_ingest.pipeline.batches import FetchedBatch, FetchedDocument, PreparedBatch
from durable_ingest.pipeline.discovering import error_row
from durable_ingest.pipeline.recipe import Recipe, document_fingerprint, embedding_input
from durable_ingest.ports import Chunk, Tick

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Preparer:
    """Converts and cuts batches of documents."""

    recipe: Recipe

    def prepare(self, batch: FetchedBatch, *, tick: Tick | None = None) -> PreparedBatch:
        """Convert and cut each document; one that fails becomes an error row."""
        records: list[DocumentRecord] = []
        errors = list(batch.remainder.errors)
        truncated = 0
        for done, document in enumerate(batch.documents, start=1):
            uri = document.planned.ref.uri
            stage = "convert"
            try:
                converter = converter_for(document.media_type)
                conversion = converter.convert(
                    document.content,
                    media_type=document.media_type,
                    charset=document.charset,
                    uri=uri,
                )
                stage = "chunk"
                chunks = self.recipe.chunker.chunk(
                    conversion.text, media_type=conversion.media_type, title=conversion.title
                )
                records.append(self._record(document, conversion, chunks))
                truncated += self._too_long(chunks)
            except TerminalError as error:
                errors.append(error_row(uri, stage, error))
            except (MemoryError, TransientError):
                raise
            except Exception as error:
                log.warning("cannot %s %r", stage, uri, exc_info=True)
                failed = ConversionFailed(f"unexpected {type(error).__name__}: {error}")
                errors.append(error_row(uri, stage, failed))
            if tick is not None:
                tick(done)
        remainder = batch.remainder.model_copy(update={"errors": errors})
        return PreparedBatch(records, remainder, truncated)

    def _record(
        self, document: FetchedDocument, conversion: Conversion, chunks: list[Chunk]
    ) -> DocumentRecord:
        ref = document.planned.ref
        ids = chunk_ids(ref.uri, ((chunk.context, chunk.text) for chunk in chunks))
        model = self.recipe.embedder.fingerprint
        rows = [
            ChunkRow(
                chunk_id=chunk_id,
                document_id=ref.uri,
                ordinal=ordinal,
                text=chunk.text,
                start=chunk.start,
                end=chunk.end,
                tokens=chunk.tokens,
                heading_path=list(chunk.heading_path),
                kind=chunk.kind,
                context=chunk.context,
                vector_key=vector_key(model, self.recipe.prompt, chunk.context, chunk.text),
            )
            for ordinal, (chunk_id, chunk) in enumerate(zip(ids, chunks, strict=True))
        ]
        language = {} if conversion.language is None else {"language": conversion.language}
        state = DocumentState(
            document_id=ref.uri,
            content_sha256=document.content_sha256,
            fingerprint=document_fingerprint(self.recipe.fingerprint, ref),
            media_type=document.media_type,
            title=conversion.title,
            size=document.size,
            modified_ns=document.modified_ns,
            scanned_ns=document.scanned_ns,
            etag=document.etag,
            last_modified=document.last_modified,
            # What the user says of a document wins over what the document says of itself.
            metadata={**language, **conversion.metadata, **ref.metadata},
            chunks=len(rows),
        )
        return DocumentRecord(state=state, chunks=rows)

    def _too_long(self, chunks: list[Chunk]) -> int:
        limit = self.recipe.input_limit
        if limit is None or self.recipe.tokenizer is None or not chunks:
            return 0
        counts = self.recipe.tokenizer.count_batch(
            [embedding_input(self.recipe.prompt, chunk.context, chunk.text) for chunk in chunks]
        )
        return sum(count > limit for count in counts)
