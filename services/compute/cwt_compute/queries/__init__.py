"""Queries: pure functions from request to reply, and their execution by a worker.

`cost`, `simulation`, `transforms`, `benchmark` and `descriptions` are pure. `executor` admits a
query and runs it in a thread, `cache` stores replies and significance levels.
"""
