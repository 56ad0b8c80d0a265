"""Simulation of thresholds: its plan with independent tasks, their execution, and the result.

The tasks depend only on the plan and on earlier histograms, and a histogram only on the seed of its
task. The thresholds therefore do not depend on where the tasks run, or on how many run
concurrently.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pycwt_mod.arrays import Convention, Summarised, padded_length, span
from pycwt_mod.backends import get_backend
from pycwt_mod.conditioning import Statistic
from pycwt_mod.engine.filter_bank import coherence_bandwidth, fast_length, power_of_two_below
from pycwt_mod.engine.scale_axis import geometric
from pycwt_mod.significance.surrogates import (
    BINS,
    SURROGATE_TOL,
    SurrogateOctave,
    SurrogateTask,
    run_task,
)
from pycwt_mod.smoothing import ScaleBoxcar
from pycwt_mod.wavelets import Wavelet, as_wavelet

#: Raise it when the numbers of a seed change; it is part of every plan, and so of cache keys.
ALGORITHM_VERSION = 3
#: Length of endless noise in units of an octave's largest scale.
ENDLESS_SCALES = 64
#: Records of the user's length that are shorter than this, in units of a scale, have their ends
#: exactly where those of the signal are, and up to `MOST_REPEATS` times as many pairs.
SHORT_SCALES = 16
MOST_REPEATS = 4
#: For those: largest interval of the samples that are counted, and padding that no wavelet crosses,
#: in units of the smallest and of the largest scale of an octave.
_SHORT_SPACING = 0.5
_SHORT_PADDING = 6
#: Tasks per octave; their scatter gives the standard error.
CHUNKS = 20
#: Tolerance of the simulated smoothing against aliases.
_ALIAS_TOL = 1e-3


@dataclass(frozen=True, kw_only=True)
class MonteCarloPlan:
    """Everything that the histograms of `wct_significance` depend on, bit for bit.

    Hashable, so it serves as the key of a cache. `s0` is in samples; `entropy` is the seed.
    `others` are the AR(1) coefficients of further noises, of partial and multiple coherence.
    With a `precision`, `mc_count` is the number of pairs to begin with. `n` is the length of the
    user's record; without it records have 6 times the largest scale.
    """

    al1: float
    al2: float
    dj: float
    s0: float
    J: int
    wavelet: Wavelet
    mc_count: int
    convention: Convention
    entropy: int
    precision: float | None = None
    n: int | None = None
    version: int = ALGORITHM_VERSION
    others: tuple[float, ...] = ()
    statistic: Statistic = "coherence"

    def __post_init__(self) -> None:
        object.__setattr__(self, "wavelet", as_wavelet(self.wavelet))

    def octaves(self) -> tuple[SurrogateOctave, ...]:
        """Return the rows to simulate, octave by octave."""
        boxcar = ScaleBoxcar.of(self.wavelet.deltaj0, self.dj, self.convention)
        scales = geometric(self.s0, self.dj, self.J)
        per_octave = max(1, round(1 / self.dj))
        octaves = []
        for start in range(0, self.J + 1, per_octave):
            stop = min(start + per_octave, self.J + 1)
            low, high = max(0, start + boxcar.first), min(self.J + 1, stop + boxcar.last)
            rows = tuple(float(s) for s in scales[low:high])
            octaves.append(self._rows(rows, (start - low, stop - low), boxcar, float(scales[-1])))
        return tuple(octaves)

    def _rows(
        self, scales: tuple[float, ...], keep: tuple[int, int], boxcar: ScaleBoxcar, largest: float
    ) -> SurrogateOctave:
        record = self.n or math.ceil(6 * largest)
        noises = (self.wavelet, scales, keep, boxcar, self.al1, self.al2)
        others, centred = self.others, self.convention == "standard"
        if record >= ENDLESS_SCALES * scales[-1]:
            rows = surrogate_octave(*noises, *others, centred=centred)
        elif self.n is not None and self.n < SHORT_SCALES * scales[keep[1] - 1]:
            rows = short_record_octave(*noises, *others, n=self.n, convention=self.convention)
        else:
            rows = surrogate_octave(*noises, *others, record=record, centred=centred)
        return rows if self.statistic == "coherence" else replace(rows, statistic=self.statistic)

    def tasks(self) -> tuple[tuple[SurrogateTask, ...], ...]:
        """Return the tasks of each octave; together they simulate `mc_count` pairs or more."""
        return tuple(
            chunked(rows, octave, self.mc_count * self._repeats(rows), self.entropy)
            for octave, rows in enumerate(self.octaves())
        )

    def _repeats(self, rows: SurrogateOctave) -> int:
        """Return the factor on `mc_count` that makes the rows as exact as the others."""
        if self.n is None or not rows.record:
            return 1
        largest = rows.scales[rows.keep[1] - 1]
        return min(MOST_REPEATS, math.ceil(SHORT_SCALES * largest / rows.record))


def chunked(
    rows: SurrogateOctave, octave: int, pairs: int, entropy: int, first: int = 0
) -> tuple[SurrogateTask, ...]:
    """Return up to `CHUNKS` tasks that share `pairs`, numbered from `first`."""
    each, more = divmod(pairs, CHUNKS)
    sizes = [each + (chunk < more) for chunk in range(CHUNKS)]
    return tuple(
        SurrogateTask(rows=rows, pairs=size, entropy=entropy, spawn_key=(octave, first + chunk))
        for chunk, size in enumerate(sizes)
        if size
    )


def surrogate_octave(
    wavelet: Wavelet,
    scales: tuple[float, ...],
    keep: tuple[int, int],
    boxcar: ScaleBoxcar,
    al1: float,
    al2: float,
    *others: float,
    record: int = 0,
    centred: bool = True,
) -> SurrogateOctave:
    """Return the surrogate octave of some rows; scales, record and AR(1) per sample of the signal.

    A record with ends is generated at every d-th sample, as far as its Nyquist frequency
    stays above the band: AR(1) noise sampled every d is AR(1) noise with coefficient al^d.
    """
    width = coherence_bandwidth(wavelet, _ALIAS_TOL)
    if not record:
        step = power_of_two_below(2 * math.pi * scales[0] / width)
        length = fast_length(ENDLESS_SCALES * scales[-1], step)
        return SurrogateOctave(
            wavelet=wavelet, scales=scales, keep=keep, step=step, length=length, record=0,
            al1=al1, al2=al2, others=others, centred=centred, boxcar=boxcar,
        )  # fmt: skip
    thin = _thinning(wavelet, scales[0])
    thinned = tuple(s / thin for s in scales)
    step = power_of_two_below(2 * math.pi * thinned[0] / width)
    samples = math.ceil(record / thin)
    return SurrogateOctave(
        wavelet=wavelet, scales=thinned, keep=keep, step=step,
        length=fast_length(1.5 * samples, step), record=samples,
        al1=al1**thin, al2=al2**thin, others=tuple(g**thin for g in others),
        centred=centred, boxcar=boxcar,
    )  # fmt: skip


def short_record_octave(
    wavelet: Wavelet,
    scales: tuple[float, ...],
    keep: tuple[int, int],
    boxcar: ScaleBoxcar,
    al1: float,
    al2: float,
    *others: float,
    n: int,
    convention: Convention,
) -> SurrogateOctave:
    """Return the surrogate octave of rows that feel the ends of a record of `n` samples everywhere.

    The record is generated at a longer interval than the signal's, as `surrogate_octave` does, but
    at one that divides it exactly: its ends are where those of the signal are, and one of the
    samples that are counted lies in its middle.
    """
    thin = _thinning(wavelet, scales[0])
    spacing = min(2 * math.pi / coherence_bandwidth(wavelet, _ALIAS_TOL), _SHORT_SPACING)
    step = power_of_two_below(spacing * scales[0] / thin)
    samples = n if thin == 1 else 2 * step * math.ceil((n / thin - 1) / (2 * step)) + 1
    interval = n / samples
    padded = min(padded_length(n, convention), n + _SHORT_PADDING * scales[-1])
    return SurrogateOctave(
        wavelet=wavelet, scales=tuple(s / interval for s in scales), keep=keep, step=step,
        length=fast_length(padded / interval, step), record=samples,
        al1=_thinned(al1, interval), al2=_thinned(al2, interval),
        others=tuple(_thinned(g, interval) for g in others),
        centred=convention == "standard", boxcar=boxcar, exact_ends=True,
    )  # fmt: skip


def _thinning(wavelet: Wavelet, smallest: float) -> int:
    """Return the step at which noise for scales from `smallest` on can be generated."""
    top = wavelet.frequency_band(SURROGATE_TOL)[1]
    return power_of_two_below(math.pi * smallest / top)


def _thinned(lag1: float, interval: float) -> float:
    """Return the AR(1) coefficient of every `interval`-th sample."""
    return lag1 if interval == 1 else abs(lag1) ** interval


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
    """Histograms of one octave so far; accumulates the results of its tasks."""

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
        """Return the threshold of every row, and its standard error."""
        chunks = np.stack(self._chunks)
        r2 = np.array([quantile(row, level) for row in chunks.sum(axis=0)])
        errors = [standard_error(chunks[:, i], at) for i, at in enumerate(r2)]
        return r2, np.array(errors)

    def more(self, precision: float, level: float) -> tuple[SurrogateTask, ...]:
        """Return the tasks that are still needed for `precision`; none if it is reached.

        A row without any point outside the cone of influence of a record has no threshold, so it
        needs no tasks.
        """
        errors = self.levels(level)[1]
        counted = np.stack(self._chunks).any(axis=(0, 2))
        if not counted.any() or self.pairs >= MAX_PAIRS:
            return ()
        if np.isnan(errors[counted]).any():  # too few tasks, or none of them near the threshold
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
    """Return the thresholds of a plan.

    Raises
    ------
    ValueError
        If the backend does not exist.
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


#: Source of thresholds: a simulation for these arguments, or the table of earlier simulations.
Method: TypeAlias = Literal["montecarlo", "table"]

_CENTRES = (np.arange(BINS) + 0.5) / BINS
#: Half width in R² of the interval for the density at the threshold.
_DENSITY_REACH = 0.02


class MonteCarloLevels(Summarised, np.ndarray[tuple[int, ...], np.dtype[np.float64]]):
    """Thresholds of R² per scale: an array as pycwt returns, with its provenance.

    Attributes
    ----------
    standard_error : ndarray, shape (scales,), or None
        Error of each threshold. With ``method="montecarlo"`` the sampling error, from the scatter
        between the tasks; NaN with less than two of them. With ``method="table"`` that of the table
        for white noise; for red noise it is somewhat larger. None on arrays derived from a result.
    pairs : ndarray of int, shape (scales,), or None
        Number of surrogate pairs for each threshold; None for thresholds from the table.
    seed : int or None
        Pass it as `rng` to get the same thresholds again, bit for bit; None for the table.
    mc_count : int or None
        Requested number of surrogate pairs; None for the table.
    method : {"montecarlo", "table"} or None
    """

    standard_error: NDArray[np.float64] | None
    pairs: NDArray[np.int64] | None
    seed: int | None
    mc_count: int | None
    method: Method | None

    def __array_finalize__(self, obj: object) -> None:
        self.standard_error = None
        self.pairs = None
        self.seed = None
        self.mc_count = None
        self.method = None

    def copy(self, order: Literal["K", "A", "C", "F"] | None = "C") -> MonteCarloLevels:
        """Return a copy with the attributes; every other derived array loses them."""
        copied = super().copy(order)
        copied.__dict__.update(deepcopy(self.__dict__))
        return copied

    def placed(self, places: slice | NDArray[np.intp]) -> MonteCarloLevels:
        """Return the thresholds at `places` with the attributes; a slice stands for all of them."""
        if isinstance(places, slice):
            return self
        levels = np.ndarray.__getitem__(self, places).view(MonteCarloLevels)
        levels.__dict__.update(self.__dict__)
        for name in ("standard_error", "pairs"):
            each = getattr(self, name)
            setattr(levels, name, None if each is None else each[places])
        return levels

    def _facts(self) -> dict[str, str]:
        facts = {
            "scales": str(self.size),
            "threshold of R²": span(self),
            "method": str(self.method),
        }
        if self.pairs is not None:
            facts |= {"pairs": span(self.pairs), "seed": str(self.seed)}
        if self.standard_error is not None:
            facts["standard error"] = span(self.standard_error)
        return facts

    def __repr__(self) -> str:
        """Return the summary; of derived arrays, which have no attributes, the numbers."""
        return np.ndarray.__repr__(self) if self.method is None else super().__repr__()

    def _repr_html_(self) -> str | None:
        return None if self.method is None else super()._repr_html_()

    def __copy__(self) -> MonteCarloLevels:
        return self.copy("K")

    def __deepcopy__(self, memo: dict[int, Any] | None = None, /) -> MonteCarloLevels:
        return self.copy("K")

    def __reduce__(self) -> tuple[Any, ...]:
        reduced = super().__reduce__()
        return (*reduced[:2], (reduced[2], dict(self.__dict__)))

    def __setstate__(self, state: tuple[Any, ...], /) -> None:
        array, attributes = state
        super().__setstate__(array)
        self.__dict__.update(attributes)


def quantile(histogram: NDArray[np.int64], level: float) -> float:
    """Return the R² below which a fraction `level` of the counts lies; NaN without counts."""
    filled = histogram > 0
    if not filled.any():
        return np.nan
    total = histogram[filled].cumsum()
    return float(np.interp(level, (total - 0.5) / total[-1], _CENTRES[filled]))


def standard_error(chunks: NDArray[np.int64], level_r2: float) -> float:
    """Return the standard error of a quantile from independent `chunks`, shape (chunks, BINS).

    The part of each chunk below the pooled threshold scatters about the pooled part. This scatter,
    each chunk weighted by its counts, divided by the density at the threshold is the error of the
    threshold.
    """
    counts = chunks.sum(axis=1)
    if len(chunks) < 2 or not counts.all() or np.isnan(level_r2):
        return np.nan
    edges = np.arange(BINS + 1) / BINS
    cumulative = np.concatenate([np.zeros((len(chunks), 1)), chunks.cumsum(axis=1)], axis=1)
    below = np.array([np.interp(level_r2, edges, c) for c in cumulative])
    pooled = cumulative.sum(axis=0) / counts.sum()
    low, high = max(0.0, level_r2 - _DENSITY_REACH), min(1.0, level_r2 + _DENSITY_REACH)
    density = float(np.diff(np.interp([low, high], edges, pooled))[0]) / (high - low)
    residual = below - counts * (below.sum() / counts.sum())
    bessel = len(chunks) / (len(chunks) - 1)
    scatter = float(np.sqrt(bessel * np.sum(residual**2))) / float(counts.sum())
    return scatter / density if density > 0 else np.nan
