"""Run the tasks of a plan on a backend, and compute levels from their histograms.

The tasks depend on the plan and on earlier histograms alone, and a histogram on the seed of its
task; so the levels do not depend on where the tasks run, or on how many run concurrently.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pycwt_mod.backends import get_backend
from pycwt_mod.significance.levels import MonteCarloLevels, quantile, standard_error
from pycwt_mod.significance.simulation_plan import CHUNKS, MonteCarloPlan, chunked
from pycwt_mod.significance.surrogates import SurrogateTask, run_task

#: Called with the number of finished tasks and of all tasks.
Progress: TypeAlias = Callable[[int, int], None]

#: Pairs per octave at which a simulation for a precision ends in any case: by then the error is
#: a fifth of the width of a bin of the histogram.
MAX_PAIRS = 2**20
#: Factor on the estimated number of pairs, since estimates of errors scatter by a sixth.
_RESERVE = 1.2
#: Largest growth of the number of pairs in one round: early estimates are not exact.
_GROWTH = 8.0


class OctaveTally:
    """The histograms of one octave so far; adds up what its tasks return."""

    def __init__(self, tasks: tuple[SurrogateTask, ...]) -> None:
        self.rows = tasks[0].rows
        self.pairs = 0
        self._entropy = tasks[0].entropy
        self._octave = tasks[0].spawn_key[0]
        self._chunks: list[NDArray[np.int64]] = []

    def add(self, task: SurrogateTask, histogram: NDArray[np.int64]) -> None:
        """Count the histogram of a task, shape (rows, BINS)."""
        self.pairs += task.pairs
        self._chunks.append(histogram)

    def levels(self, level: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the level of every row, and its standard error."""
        chunks = np.stack(self._chunks)
        r2 = np.array([quantile(row, level) for row in chunks.sum(axis=0)])
        errors = [standard_error(chunks[:, i], at) for i, at in enumerate(r2)]
        return r2, np.array(errors)

    def more(self, precision: float, level: float) -> tuple[SurrogateTask, ...]:
        """Return the tasks that are still needed for `precision`; none if it is reached.

        A row that no point of a record outside the cone of influence belongs to has no level,
        so it needs no tasks.
        """
        errors = self.levels(level)[1]
        counted = np.stack(self._chunks).any(axis=(0, 2))
        if not counted.any() or self.pairs >= MAX_PAIRS:
            return ()
        if np.isnan(errors[counted]).any():  # too few tasks, or none of them near the level
            growth = _GROWTH
        else:
            growth = (float(errors[counted].max()) / precision) ** 2
            if growth <= 1:
                return ()
        pairs = math.ceil(self.pairs * (min(_RESERVE * growth, _GROWTH) - 1))
        pairs = min(max(pairs, CHUNKS), MAX_PAIRS - self.pairs)
        return chunked(self.rows, self._octave, pairs, self._entropy, len(self._chunks))


def simulate(
    plan: MonteCarloPlan,
    level: float,
    *,
    backend: str = "sequential",
    n_jobs: int = 1,
    progress: Progress | None = None,
) -> MonteCarloLevels:
    """Return the levels of a plan.

    Raises
    ------
    ValueError
        If there is no such backend.
    """
    place = get_backend(backend)
    octaves = plan.tasks()
    tallies = [OctaveTally(tasks) for tasks in octaves]
    pending = [task for tasks in octaves for task in tasks]
    done = total = 0
    while pending:
        total += len(pending)
        for task, histogram in zip(
            pending, place.map(run_task, pending, n_jobs=n_jobs), strict=True
        ):
            tallies[task.spawn_key[0]].add(task, histogram)
            done += 1
            if progress is not None:
                progress(done, total)
        pending = []
        if plan.precision is not None:
            pending = [task for tally in tallies for task in tally.more(plan.precision, level)]
    return _result(plan, tallies, level)


def _result(plan: MonteCarloPlan, tallies: list[OctaveTally], level: float) -> MonteCarloLevels:
    r2, errors = zip(*(tally.levels(level) for tally in tallies), strict=True)
    levels = np.concatenate(r2).view(MonteCarloLevels)
    standard_errors = np.concatenate(errors)
    if plan.convention == "pycwt":
        levels[-1] = standard_errors[-1] = np.nan
    levels.standard_error = standard_errors
    levels.pairs = np.concatenate(
        [np.full(len(each), tally.pairs) for each, tally in zip(r2, tallies, strict=True)]
    )
    levels.seed = plan.entropy
    levels.mc_count = plan.mc_count
    levels.method = "montecarlo"
    return levels
