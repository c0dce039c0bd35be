"""The verbs: options and help of each, and which part does the work."""
