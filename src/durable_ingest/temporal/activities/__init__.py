"""Activities: the stages of `durable_ingest.pipeline` with artifacts in and out.

One class per role, so that each worker process installs and loads only what its queue needs.
"""
