"""The stages as plain functions over ports, and the in-process runner. Knows no Temporal."""
