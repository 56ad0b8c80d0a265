"""Deadlines of tests, all multiplied by one factor.

A test that passes does not wait for its deadline, so deadlines only decide how long a test that
hangs is given. On a busy machine everything takes longer by about the same factor, which is
measured once at the start of a run: how much longer a piece of work took than the processor time
it used. What is not there yet at that time has a factor of its own: the other workers of the run,
and coverage, which counts lines in every process.
``TEST_DEADLINE_SCALE`` sets the product instead; worker processes of pytest-xdist inherit it.
"""

from __future__ import annotations

import os
import time
from contextlib import AbstractContextManager

import anyio
from coverage import Coverage

__all__ = ["SCALE", "fail_after"]

VARIABLE = "TEST_DEADLINE_SCALE"
#: Processor time of the measurement; long enough to be interrupted by whatever else runs.
MEASURED_S = 0.2
#: Several processes of each of several workers share the cores.
WORKERS_FACTOR = 2.0
#: Processor time with coverage over that without; measured on all tests: 2.65.
COVERAGE_FACTOR = 3.0


def _slowness() -> float:
    """Return how much longer than on a quiet machine a test takes, at least 1."""
    wall, used = time.perf_counter(), time.process_time()
    while time.process_time() - used < MEASURED_S:
        pass
    busy = max(1.0, (time.perf_counter() - wall) / MEASURED_S)
    return busy * WORKERS_FACTOR * (COVERAGE_FACTOR if Coverage.current() else 1.0)


def _scale() -> float:
    """Return the factor, and leave it to child processes."""
    text = os.environ.setdefault(VARIABLE, f"{_slowness():.1f}")
    scale = float(text)
    if scale <= 0:
        raise ValueError(f"{VARIABLE}={text} must be > 0")
    return scale


SCALE = _scale()


def fail_after(seconds: float) -> AbstractContextManager[anyio.CancelScope]:
    """Raise TimeoutError if the block takes longer than `seconds` on a quiet machine."""
    return anyio.fail_after(seconds * SCALE)
