"""How many tasks of a job go on the queue at a time: pure functions.

The queue is served in order. So a job comes on it in portions, and with each portion, in its
middle, a message for whoever takes it to put the next portion behind what others have queued by
then. Jobs take turns that way, and another one waits for a portion or two of each instead of for
all their tasks; while half a portion is still there for the workers when the next one is cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

__all__ = ["first_half", "portion_size"]

#: Work of a portion for each message that workers have now, in estimated seconds of one core. They
#: have two for each core, so it is some seconds of all cores: long beside cutting the next one.
PORTION_S = 2.0
#: A portion is so many times longer than reading the job's tasks, which each one takes.
READ_FACTOR = 20.0
READ_BYTES_PER_S = 100e6


def portion_size(costs_s: Sequence[float], *, in_flight: int, job_bytes: int) -> int:
    """Return how many of the next tasks, whose costs are given, make a portion: at least one.

    Parameters
    ----------
    costs_s
        Estimated seconds of one core, in the order of the tasks.
    in_flight
        Messages that workers have, of all jobs.
    job_bytes
        Size of the job's tasks as they are kept.
    """
    wanted_s = max(PORTION_S * max(in_flight, 1), READ_FACTOR * job_bytes / READ_BYTES_PER_S)
    for count, sum_s in enumerate(accumulate(costs_s), 1):
        if sum_s >= wanted_s:
            return count
    return len(costs_s)


def first_half(count: int) -> int:
    """Return how many tasks of a portion come before the message for the next one."""
    return (count + 1) // 2
