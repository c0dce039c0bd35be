"""Where chunks and vectors live: one file or folder per kind of index."""
