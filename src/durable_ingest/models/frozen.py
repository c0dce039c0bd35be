"""The configuration that all wire models share."""

from pydantic import BaseModel, ConfigDict


class FrozenModel(BaseModel):
    """An immutable model that ignores unknown fields, so that two versions can talk."""

    model_config = ConfigDict(frozen=True, extra="ignore")
