"""A worker: one process bound to one engine. Holds jobs by leases and brings each to an end that everybody can see.

`python -m services.executor.worker` runs it.
"""
