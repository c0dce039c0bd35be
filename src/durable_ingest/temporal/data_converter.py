"""How payloads are written: pydantic models as plain JSON."""

from __future__ import annotations

import dataclasses

from temporalio.contrib.pydantic import PydanticPayloadConverter, pydantic_data_converter
from temporalio.converter import DataConverter, DefaultPayloadConverter

from durable_ingest.errors import InvalidInput


def with_pydantic(existing: DataConverter | None) -> DataConverter:
    """The user's data converter with pydantic payloads; codec and failure converter stay.

    Raises:
        InvalidInput: The user's converter replaces the payload converter by something else, so
            that models could not be read.
    """
    if existing is None:
        return pydantic_data_converter
    payloads = existing.payload_converter_class
    if issubclass(payloads, PydanticPayloadConverter):
        return existing
    if payloads is DefaultPayloadConverter:
        return dataclasses.replace(existing, payload_converter_class=PydanticPayloadConverter)
    raise InvalidInput(
        f"the client's payload converter {payloads.__name__!r} cannot read pydantic models: "
        "derive it from temporalio.contrib.pydantic.PydanticPayloadConverter"
    )
