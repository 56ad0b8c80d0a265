"""Threshold of live coherence: looked up, or simulated once if the table does not cover it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pycwt_mod.arrays import Convention, unit_scaled
from pycwt_mod.conditioning import Statistic
from pycwt_mod.engine.layout import BlockOp, OctaveLayout, VoiceGrid
from pycwt_mod.significance.octave import block_level, block_significance
from pycwt_mod.significance.table.level_table import LEAST_LAG1, MOST_LAG1, NotTabulated

__all__ = [
    "LevelMethod",
    "block_level_of",
    "pair_levels",
    "set_levels",
    "window_level",
]

LevelMethod: TypeAlias = Literal["table", "monte-carlo"]

#: Number of surrogate pairs of a simulated threshold: its standard error is below 0.01.
PAIRS = 300
#: Their errors are smaller with more signals, and each set takes longer.
JOINT_PAIRS = 4 * PAIRS
#: Fixed seed, so that thresholds of live results do not depend on the worker.
SEED = 0
#: Digits of lag-1 coefficients in keys of cached thresholds, which differ by less than 0.001.
TABLE_DIGITS = 2
#: Digits for simulated thresholds. Each takes a tenth of a second, and hardly depends on the
#: coefficients (at most 0.01 from 0 to 0.999).
SIMULATED_DIGITS, SIMULATED_MOST = 1, 0.9
#: Minimum pairs of samples for an estimate of the lag-1 coefficient.
MIN_PAIRS = 16

Levels: TypeAlias = NDArray[np.float64]


def window_level(
    samples: NDArray[Any],
    *,
    grid: VoiceGrid,
    layout: OctaveLayout,
    convention: Convention,
    level: float,
) -> tuple[Levels, LevelMethod]:
    """Return the thresholds of R² of a pair of signals, and their origin.

    Parameters
    ----------
    samples : ndarray, shape (samples, 2)
        A window; the AR(1) coefficients of the null hypothesis are estimated on it.
    grid, layout, convention
        As for `compute_block`, of "wct".
    level : float
        Significance level: the probability with which unrelated noise stays below.

    Returns
    -------
    levels : ndarray, shape (k,), read-only
        One per published voice.
    method : {"table", "monte-carlo"}
        `block_level`, or `block_significance` where the table doesn't cover the analysis.
    """
    levels, method = pair_levels(
        samples, ((0, 1),), grid=grid, layout=layout, convention=convention, level=level
    )
    return levels[0], method


def pair_levels(
    samples: NDArray[Any],
    pairs: Sequence[tuple[int, ...]],
    *,
    grid: VoiceGrid,
    layout: OctaveLayout,
    convention: Convention,
    level: float,
) -> tuple[Levels, LevelMethod]:
    """Return the thresholds of R² of pairs of channels, and their origin.

    Parameters
    ----------
    samples : ndarray, shape (samples, channels)
        A window; the AR(1) coefficient of each channel is estimated on it.
    pairs : sequence of (int, int)
        Columns of `samples`.
    grid, layout, convention, level
        As for `window_level`.

    Returns
    -------
    levels : ndarray, shape (pairs, k), read-only
    method : {"table", "monte-carlo"}
        The same for all pairs.
    """
    lags = np.round(_lags(samples), TABLE_DIGITS)
    distinct, which = np.unique(np.sort(lags[np.array(pairs)], axis=1), axis=0, return_inverse=True)
    known = [
        _levels(grid, layout, convention, first, second, level)
        for first, second in distinct.tolist()
    ]
    levels = np.array([each for each, _ in known])[which.reshape(-1)]
    levels.flags.writeable = False
    return levels, known[0][1]


def set_levels(
    op: BlockOp,
    samples: NDArray[Any],
    sets: Sequence[tuple[int, ...]],
    *,
    grid: VoiceGrid,
    layout: OctaveLayout,
    convention: Convention,
    level: float | None,
) -> list[tuple[Levels, LevelMethod] | tuple[None, None]]:
    """Return the thresholds of channel sets, and their origin; None without a `level`.

    For arguments see `block_level_of` and `pair_levels`.
    """
    if level is None:
        return [(None, None)] * len(sets)
    if op == "wct":
        levels, method = pair_levels(
            samples, sets, grid=grid, layout=layout, convention=convention, level=level
        )
        return [(each, method) for each in levels]
    return [
        block_level_of(
            op, samples[:, list(each)], grid=grid, layout=layout, convention=convention,
            level=level,
        )
        for each in sets
    ]  # fmt: skip


def _joint_level(
    samples: NDArray[Any],
    *,
    grid: VoiceGrid,
    layout: OctaveLayout,
    convention: Convention,
    level: float,
    statistic: Statistic,
) -> tuple[Levels, LevelMethod]:
    """Return the thresholds of partial or multiple coherence, and their origin.

    They are simulated, with one AR(1) coefficient for all noises: they depend on the number of
    signals, and hardly on the coefficients. For arguments see `window_level`.
    """
    lag = round(float(np.median(_lags(samples))), SIMULATED_DIGITS)
    levels = _simulated(
        grid, layout, convention, *[min(max(lag, 0.0), SIMULATED_MOST)] * samples.shape[1],
        level=level, statistic=statistic,
    )  # fmt: skip
    levels.flags.writeable = False
    return levels, "monte-carlo"


#: What the thresholds of an operation are of.
STATISTICS: dict[BlockOp, Statistic] = {"pwct": "partial", "mwct": "multiple"}


def block_level_of(
    op: BlockOp,
    samples: NDArray[Any],
    *,
    grid: VoiceGrid,
    layout: OctaveLayout,
    convention: Convention,
    level: float,
) -> tuple[Levels, LevelMethod]:
    """Return the thresholds of a coherence: for more than two signals, by simulation."""
    if op in STATISTICS:
        return _joint_level(
            samples, grid=grid, layout=layout, convention=convention, level=level,
            statistic=STATISTICS[op],
        )  # fmt: skip
    return window_level(samples, grid=grid, layout=layout, convention=convention, level=level)


def _lags(samples: NDArray[Any]) -> list[float]:
    """Return the lag-1 autocorrelation of every column.

    Those of a window without missing samples, which is usual, are computed together.
    """
    if len(samples) <= MIN_PAIRS or not np.isfinite(samples).all():
        return [_autocorrelation(column) for column in samples.T]
    # Squares of extreme magnitudes would overflow.
    x = np.ascontiguousarray(unit_scaled(samples.T)[0])
    x -= x.mean(axis=1, keepdims=True)
    square = x * x
    total = square.sum(axis=1)
    # Without the last sample, and without the first: the powers of early and late.
    power = np.sqrt((total - square[:, -1]) * (total - square[:, 0]))
    product = (x[:, :-1] * x[:, 1:]).sum(axis=1)
    lags = np.divide(product, power, out=np.zeros_like(product), where=power > 0)
    return [float(lag) for lag in lags]


def _autocorrelation(samples: NDArray[Any]) -> float:
    """Return the lag-1 autocorrelation of a signal; NaN is missing, and its pairs are omitted.

    A signal without variance is treated as white.
    """
    valid = np.isfinite(samples)
    pairs = valid[:-1] & valid[1:]
    if np.count_nonzero(pairs) < MIN_PAIRS:
        return 0.0
    x = unit_scaled(np.where(valid, samples, np.nan))[0]
    x -= x[valid].mean()
    early, late = (x[:-1], x[1:]) if pairs.all() else (x[:-1][pairs], x[1:][pairs])
    power = float(np.sqrt(np.dot(early, early) * np.dot(late, late)))
    return float(np.dot(early, late)) / power if power else 0.0


#: All pairs of rounded coefficients, for a few octaves.
_KEPT_LEVELS = 2**15


@lru_cache(maxsize=_KEPT_LEVELS)
def _levels(
    grid: VoiceGrid,
    layout: OctaveLayout,
    convention: Convention,
    first: float,
    second: float,
    level: float,
) -> tuple[Levels, LevelMethod]:
    # Redder noise has the thresholds of MOST_LAG1, as no window feels the ends of a record.
    al1, al2 = (min(max(lag, LEAST_LAG1), MOST_LAG1) for lag in (first, second))
    method: LevelMethod = "table"
    try:
        levels = block_level(
            grid=grid, layout=layout, convention=convention, al1=al1, al2=al2, level=level
        )
    except NotTabulated:
        method = "monte-carlo"
        al1, al2 = (
            min(max(round(lag, SIMULATED_DIGITS), 0.0), SIMULATED_MOST) for lag in (first, second)
        )
        levels = _simulated(grid, layout, convention, al1, al2, level=level)
    levels.flags.writeable = False
    return levels, method


@lru_cache(maxsize=1024)
def _simulated(
    grid: VoiceGrid,
    layout: OctaveLayout,
    convention: Convention,
    al1: float,
    al2: float,
    *others: float,
    level: float,
    statistic: Statistic = "coherence",
) -> Levels:
    return block_significance(
        grid=grid, layout=layout, convention=convention, al1=al1, al2=al2, level=level,
        mc_count=JOINT_PAIRS // (2 + len(others)) ** 2, seed=SEED, others=others,
        statistic=statistic,
    )  # fmt: skip
