"""AR(1) noise: its coefficient, its spectrum, and samples of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pycwt_mod.arrays import Floats, as_series, check_count, check_lag1, check_memory

#: What randomness may be given as.
Seed: TypeAlias = int | np.random.SeedSequence | np.random.Generator | None


class AR1(NamedTuple):
    """AR(1) estimate, in pycwt's order.

    Attributes
    ----------
    g : float
        Lag-1 autocorrelation.
    a : float
        Standard deviation of the innovations: var(x) ≈ a²/(1 - g²).
    mu2 : float
        Square of the mean of a finite segment, as a part of the variance.
    """

    g: float
    a: float
    mu2: float


def ar1(x: ArrayLike | Sequence[float]) -> AR1:
    """Lag-1 autocorrelation with the bias of a finite series removed.

    Parameters
    ----------
    x : array_like, shape (n,)
        Evenly sampled series without missing values.

    Returns
    -------
    AR1
        ``(g, a, mu2)``.

    Raises
    ------
    ValueError
        If `x` is constant, holds NaN, or is so short or trended that no estimate exists.

    References
    ----------
    Allen & Smith (1996), J. Climate 9, 3373, footnote 4,
    doi:10.1175/1520-0442(1996)009<3373:MCSDIO>2.0.CO;2

    Examples
    --------
    >>> series = rednoise(5000, 0.7, rng=1)
    >>> round(ar1(series).g, 1)
    0.7
    """
    series = as_series("x", x)
    if np.isnan(series).any():
        raise ValueError("x holds NaN: AR(1) of a series with gaps must be given by the caller")
    return estimate_ar1(series, "x")


def estimate_ar1(series: Floats, name: str) -> AR1:
    """`ar1` of a series that may hold NaN: only pairs of neighbours that are both valid count."""
    x = series.astype(np.float64)
    x = x - np.nanmean(x)
    n = int(np.count_nonzero(~np.isnan(x)))
    pairs = x[:-1] * x[1:]
    if n < 4 or np.isnan(pairs).all():
        raise ValueError(f"{name} has {n} valid samples, too few for AR(1): give the coefficient")
    c0 = float(np.nanmean(x * x))
    c1 = float(np.nanmean(pairs))
    if c0 <= (8 * np.finfo(np.float64).eps * float(np.nanmax(np.abs(series)))) ** 2:
        raise ValueError(f"{name} is constant, so it has no AR(1) coefficient")
    quadratic = c0 * n**2
    linear = -c1 * n - c0 * n**2 - 2 * c0 + 2 * c1 - c1 * n**2 + c0 * n
    constant = n * (c0 + c1 * n - c1)
    root = linear**2 - 4 * quadratic * constant
    g = (-linear - math.sqrt(root)) / (2 * quadratic) if root > 0 else math.nan
    if not -1 < g < 1:
        raise ValueError(
            f"{name} has no AR(1) coefficient below 1: the series is too short ({n} samples) or "
            "its trend too large; remove the trend, or give the coefficient"
        )
    mu2 = -1 / n + (2 / n**2) * ((n - g**n) / (1 - g) - g * (1 - g ** (n - 1)) / (1 - g) ** 2)
    return AR1(g, math.sqrt((1 - g**2) * c0 / (1 - mu2)), mu2)


def ar1_spectrum(freqs: ArrayLike, ar1: float = 0.0) -> NDArray[np.float64]:
    """Power spectrum of AR(1) noise of unit variance, (1 - g²)/|1 - g exp(-2πi f)|².

    Parameters
    ----------
    freqs : array_like
        Frequencies in cycles per sample.
    ar1 : float
        Lag-1 autocorrelation g.

    Returns
    -------
    ndarray
        Of the shape of `freqs`, dimensionless.

    References
    ----------
    Torrence & Compo (1998), eq. 16.
    """
    check_lag1("ar1", ar1)
    phase = -2j * np.pi * np.asarray(freqs, dtype=np.float64)
    return np.asarray((1 - ar1**2) / np.abs(1 - ar1 * np.exp(phase)) ** 2)


def rednoise(N: int, g: float, a: float = 1.0, *, rng: Seed = None) -> NDArray[np.float64]:
    """Return `N` samples of stationary AR(1) noise.

    Parameters
    ----------
    N : int
        Number of samples.
    g : float
        Lag-1 autocorrelation; 0 gives white noise.
    a : float
        Standard deviation of the innovations.
    rng : int, SeedSequence, Generator or None
        Source of randomness; None draws fresh entropy.

    Returns
    -------
    ndarray, shape (N,), float64

    Raises
    ------
    ValueError
        If N < 1, not -1 < g < 1, or the noise would not fit `MEMORY_LIMIT_BYTES`.
    """
    check_memory("the noise", 8 * check_count("N", N))
    check_lag1("g", g)
    return red_samples(as_generator(rng), (N,), g) * a


def red_samples(rng: np.random.Generator, shape: tuple[int, ...], g: float) -> NDArray[np.float64]:
    """Return AR(1) noise with unit innovations along the last axis, stationary from the start."""
    return redden(rng.standard_normal(shape), g)


def redden(white: NDArray[np.float64], g: float) -> NDArray[np.float64]:
    """Return AR(1) noise whose innovations are `white`, stationary from the start."""
    if g == 0:
        return white
    # Imported on first use: scipy.signal takes longer to load than the rest of the library.
    from scipy.signal import lfilter

    noise = white.copy()
    noise[..., 0] /= math.sqrt(1 - g**2)
    return np.asarray(lfilter([1.0], [1.0, -g], noise, axis=-1))


def as_generator(rng: Seed) -> np.random.Generator:
    """Return `rng` itself if it is a Generator, or a Philox generator seeded with it."""
    if isinstance(rng, np.random.Generator):
        return rng
    return np.random.Generator(np.random.Philox(rng))
