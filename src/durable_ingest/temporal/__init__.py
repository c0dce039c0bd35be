"""The stages as Temporal workflows and activities."""
