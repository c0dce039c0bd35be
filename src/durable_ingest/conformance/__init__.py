"""Contract suites of the ports: inherit one in a test class to prove an adapter (needs pytest)."""
