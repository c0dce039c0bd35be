"""From text to vectors: one file per kind of model."""
