"""Independent pieces of work in a bounded number of threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor


def run(tasks: Iterable[Callable[[], object]], workers: int) -> None:
    """Run all tasks in up to `workers` threads, and raise what they raise."""
    if workers == 1:
        for task in tasks:
            task()
        return
    with ThreadPoolExecutor(workers) as pool:
        for future in [pool.submit(task) for task in tasks]:
            future.result()
