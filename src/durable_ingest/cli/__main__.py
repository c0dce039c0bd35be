"""`python -m durable_ingest.cli`."""

from __future__ import annotations

import sys

from durable_ingest.cli import main

if __name__ == "__main__":
    sys.exit(main())
