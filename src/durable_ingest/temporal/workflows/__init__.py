"""Workflow definitions: orchestration only, deterministic, no input or output of their own."""
