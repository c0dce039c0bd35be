"""Content-addressed bytes outside workflow history: one file per kind of storage."""
