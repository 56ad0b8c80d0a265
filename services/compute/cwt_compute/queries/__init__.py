"""Queries: pure functions from request to reply, and how a worker executes them.

`cost`, `simulation`, `transforms`, `benchmark` and `descriptions` are pure. `executor` admits a
query and runs it in a thread, `cache` keeps replies and significance levels.
"""
