"""Simulate the effect of red noise on levels: ``python -m benchmarks.level_colours [--n-jobs N]``.

Simulates a row in the middle of the axis for every pair of knees in
`pycwt_mod.significance.table.colours.KNEES`, and the rows above a period of two samples for every
pair of coefficients in `LAGS`. Red and white noise are made from the same random numbers, so that
the ratio of log(1 - R²), which the table contains, varies much less than the levels.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from functools import partial
from itertools import combinations_with_replacement
from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray

from benchmarks.level_table import SEED, write_table
from pycwt_mod.arrays import CONVENTIONS, Convention
from pycwt_mod.significance.simulation import quantile, surrogate_octave
from pycwt_mod.significance.surrogates import SurrogateTask, run_task
from pycwt_mod.significance.table import colours, level_table
from pycwt_mod.smoothing import ScaleBoxcar
from pycwt_mod.wavelets import Wavelet

PAIRS = 600
#: Scale of the row in samples, far from Nyquist and larger than all knees.
SCALE = 64.0


def simulate(
    wavelet: Wavelet, convention: Convention, voices: int, pairs: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the exponents of all pairs of knees, and of coefficients near Nyquist.

    Shapes (knees, knees, levels) and (rows, lags, lags, levels).
    """
    boxcar = ScaleBoxcar.of(wavelet.deltaj0, 1 / voices, convention)
    around = np.arange(boxcar.first, boxcar.last + 1)
    middle = partial(
        _levels, wavelet, SCALE * 2 ** (around / voices), (-boxcar.first, 1 - boxcar.first), boxcar
    )
    count = colours.NEAR_OCTAVES * voices + 1
    above = np.arange(count + boxcar.last)
    smallest = 2 / wavelet.fourier_factor
    near = partial(_levels, wavelet, smallest * 2 ** (above / voices), (0, count), boxcar)
    lags = tuple(_lag1(knee) for knee in colours.KNEES)
    return _exponents(middle, lags, pairs)[0], _exponents(near, colours.LAGS, pairs)


def _exponents(
    levels: Callable[[float, float, int], NDArray[np.float64]], lags: tuple[float, ...], pairs: int
) -> NDArray[np.float32]:
    """Return the exponents of all pairs of `lags`, shape (rows, lags, lags, levels)."""
    white = np.log1p(-levels(0.0, 0.0, pairs))
    found = np.ones((len(white), len(lags), len(lags), white.shape[1]), np.float32)
    for i, j in combinations_with_replacement(range(len(lags)), 2):
        red = np.log1p(-levels(lags[i], lags[j], pairs))
        found[:, i, j] = found[:, j, i] = red / white
    return found


def _lag1(knee: float) -> float:
    """Return the AR(1) coefficient with this knee for the row, the inverse of `colours.knee`."""
    half = knee / SCALE / 2
    return (math.sqrt(half**2 + 1) - half) ** 2


def _levels(
    wavelet: Wavelet,
    scales: NDArray[np.float64],
    keep: tuple[int, int],
    boxcar: ScaleBoxcar,
    al1: float,
    al2: float,
    pairs: int,
) -> NDArray[np.float64]:
    """Return the levels of the retained rows, shape (rows, levels)."""
    rows = surrogate_octave(wavelet, tuple(scales.tolist()), keep, boxcar, al1, al2)
    task = SurrogateTask(rows=rows, pairs=pairs, entropy=SEED, spawn_key=(0,))
    return np.array(
        [
            [quantile(histogram, level) for level in level_table.LEVELS]
            for histogram in run_task(task)
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n-jobs", type=int, default=1)
    parser.add_argument("--pairs", type=int, default=PAIRS)
    given = parser.parse_args()
    names = {name: wavelet for wavelet, name in reversed(level_table.WAVELETS.items())}
    asked = [
        (name, convention, voices)
        for voices in colours.VOICES
        for name in names
        for convention in CONVENTIONS
    ]
    found = joblib.Parallel(n_jobs=given.n_jobs, batch_size=1)(
        joblib.delayed(simulate)(names[name], convention, voices, given.pairs)
        for name, convention, voices in asked
    )
    arrays: dict[str, NDArray[Any]] = {}
    for each, (middle, near) in zip(asked, found, strict=True):
        key = level_table.file_key(*each)
        arrays |= {key: middle, colours.near_key(key): near}
    write_table(
        colours.FILE, arrays, made_by="python -m benchmarks.level_colours", pairs=given.pairs
    )


if __name__ == "__main__":
    main()
