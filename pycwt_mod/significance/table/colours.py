"""Effect of red noise on the thresholds of white noise.

A row depends on the noise within its band. The spectrum of AR(1) noise has a knee at
ω_c = (1 - α)/√α: white below it, falling like ω^-2 above. The effect of the colour on a row at
scale s therefore depends on the knee in units of the row, κ = s ω_c, of either noise. It lowers (or
raises) the number of independent terms of the smoothed spectra: in

    1 - R²_red = (1 - R²_white)^g(κ1, κ2)

the exponent g is nearly the same for all significance levels and places on the scale axis. It is
tabulated; and again for the rows above a period of two samples, where the band is cut and the
spectrum of sampled noise flattens, so that g depends on the coefficients instead of the knees.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pycwt_mod.arrays import CONVENTIONS, Convention
from pycwt_mod.significance.table.files import stored
from pycwt_mod.smoothing import ScaleBoxcar
from pycwt_mod.wavelets import Wavelet

__all__ = ["FILE", "KNEES", "LAGS", "NEAR_OCTAVES", "VOICES", "exponents", "knee", "near_key"]

#: Tabulated knees; redder noise falls like ω^-2 throughout, whiter noise is white.
KNEES = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
#: Tabulated AR(1) coefficients near Nyquist; there redder noise is like the last.
LAGS = (0.0, 0.2, 0.4, 0.6, 0.8, 0.95)
#: Tabulated octaves above a period of two samples.
NEAR_OCTAVES = 2
#: Tabulated numbers of voices per octave; others have the exponents of the nearest.
VOICES = (2, 4, 12)
FILE = "colours.npz"

Numbers = NDArray[np.float64]


def knee(lag1: float) -> float:
    """Return ω_c in radians per sample; infinite for noise that isn't red."""
    return (1 - lag1) / math.sqrt(lag1) if lag1 > 0 else math.inf


def near_key(key: str) -> str:
    """Return the name of the exponents near Nyquist in the file."""
    return f"{key}/nyquist"


def exponents(
    wavelet: Wavelet,
    name: str,
    convention: Convention,
    voices: int,
    s0: float,
    count: int,
    lags: tuple[float, float],
) -> Numbers:
    """Return g for the scales s0 2^(j/voices), j < count, in samples; shape (scales, levels).

    A row is an average over its neighbours in scale; near the ends of the axis, where some are
    missing, it is like a row elsewhere whose neighbours have the same mean (log) scale, and
    whose boxcar is as wide as what is left: pycwt's is twice as wide as the standard one.
    """
    period = 2 / wavelet.fourier_factor
    boxcar = ScaleBoxcar.of(wavelet.deltaj0, 1 / voices, convention)
    places, left = _neighbours(boxcar, count)
    centres = math.log2(s0 / period) + places / voices
    nearest = min(VOICES, key=lambda v: abs(math.log(v / voices)))
    scales = period * 2 ** (centres - boxcar.centre / voices)
    knees = [_place(scales * knee(lag)) for lag in lags]
    first = np.zeros(count, np.intp)
    narrow, wide = (
        _bilinear(stored(FILE)[f"{name}/{each}/{nearest}"][None], first, *knees)
        for each in CONVENTIONS
    )
    width = left if convention == "standard" else 2 * left
    part = np.clip(width - 1, 0, 1)[:, None]
    g = (1 - part) * narrow + part * wide
    near = centres < NEAR_OCTAVES
    if near.any():
        g[near] = _near(wavelet, name, convention, nearest, centres[near], lags)
    return g


def _near(
    wavelet: Wavelet,
    name: str,
    convention: Convention,
    voices: int,
    centres: Numbers,
    lags: tuple[float, float],
) -> Numbers:
    """Return g for rows whose neighbours are `centres` octaves above a period of two samples."""
    boxcar = ScaleBoxcar.of(wavelet.deltaj0, 1 / voices, convention)
    count = NEAR_OCTAVES * voices + 1
    grid = _neighbours(boxcar, count + boxcar.last)[0][:count] / voices
    low, weight = _between(grid, centres)
    places = [_between(LAGS, np.full(len(low), lag)) for lag in lags]
    key = near_key(f"{name}/{convention}/{voices}")
    lower, upper = (_bilinear(stored(FILE)[key], low + k, *places) for k in (0, 1))
    return np.asarray((1 - weight[:, None]) * lower + weight[:, None] * upper)


def _neighbours(boxcar: ScaleBoxcar, count: int) -> tuple[Numbers, Numbers]:
    """Return where the neighbours of each of `count` rows are on average, and what part is left."""
    weights = np.array(boxcar.weights)
    rows = np.arange(count)[:, None] + np.arange(boxcar.first, boxcar.last + 1)
    present = np.where((rows >= 0) & (rows < count), weights, 0.0)
    left = present.sum(axis=1)
    return np.asarray((present * rows).sum(axis=1) / left), np.asarray(left / weights.sum())


def _bilinear(
    grids: NDArray[Any],
    which: NDArray[np.intp],
    first: tuple[NDArray[np.intp], Numbers],
    second: tuple[NDArray[np.intp], Numbers],
) -> Numbers:
    """Interpolate grids[which] between two places each, of shape (points,)."""
    (i, a), (j, b) = first, second
    corners = (
        (1 - a) * (1 - b), grids[which, i, j], (1 - a) * b, grids[which, i, j + 1],
        a * (1 - b), grids[which, i + 1, j], a * b, grids[which, i + 1, j + 1],
    )  # fmt: skip
    interpolated = sum(
        weight[:, None] * corner for weight, corner in zip(corners[::2], corners[1::2], strict=True)
    )
    return np.asarray(interpolated, dtype=np.float64)


def _place(knees: Numbers) -> tuple[NDArray[np.intp], Numbers]:
    """Return the grid point below each knee, and how far it is to the next, in octaves."""
    return _between(np.log2(KNEES), np.log2(np.clip(knees, KNEES[0], KNEES[-1])))


def _between(grid: ArrayLike, at: Numbers) -> tuple[NDArray[np.intp], Numbers]:
    """Return the grid point below each value, and the part of the way to the next."""
    points = np.asarray(grid, dtype=np.float64)
    inside = np.clip(at, points[0], points[-1])
    low = np.minimum(np.searchsorted(points, inside, side="right") - 1, len(points) - 2)
    return low, (inside - points[low]) / (points[low + 1] - points[low])
