"""AR(1) noise: its coefficient, its spectrum, and samples of it."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from typing import (
    Any,
    Literal,
    NamedTuple,
    TypeAlias,
)

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg.lapack import dtbtrs

from pycwt_mod.arrays import (
    Floats,
    as_number,
    as_series,
    check_count,
    check_lag1,
    check_memory,
    unit_scaled,
)

#: Where a lag-1 coefficient is from; "given" by the caller, or one of two estimators.
Estimator: TypeAlias = Literal["allen-smith", "autocorrelation", "given"]
#: What randomness may be given as.
Seed: TypeAlias = int | np.random.SeedSequence | np.random.Generator | np.random.RandomState | None


class _AR1Fields(NamedTuple):
    g: float
    a: float
    mu2: float


class AR1(_AR1Fields):
    """AR(1) estimate; it unpacks as pycwt's three values.

    Attributes
    ----------
    g : float
        Lag-1 coefficient, between -1 and 1.
    a : float
        Standard deviation of the innovations: var(x) ≈ a²/(1 - g²).
    mu2 : float
        Square of the mean of a finite segment, as a part of the variance; 0 with the
        estimator "autocorrelation", which corrects no bias.
    estimator : {"allen-smith", "autocorrelation"}
        Which estimator `g` is from, see `ar1`.
    """

    estimator: Estimator

    def __new__(  # noqa: D102
        cls, g: float, a: float, mu2: float, estimator: Estimator = "allen-smith"
    ) -> AR1:
        self = super().__new__(cls, g, a, mu2)
        self.estimator = estimator
        return self

    def _replace(self, **changes: Any) -> AR1:  # noqa: ANN401 - any field
        """Return a copy with other values of some fields, or of `estimator`."""
        return AR1(**{**self._asdict(), "estimator": self.estimator, **changes})

    __replace__ = _replace  # copy.replace calls it


def ar1(x: ArrayLike | Sequence[float]) -> AR1:
    """Estimate the lag-1 coefficient of a series.

    Allen & Smith's estimator removes the bias of a finite series. It has no solution below 1
    for a series without enough changes of direction, such as a pure sine or a trend. Then `g`
    is the lag-1 autocorrelation c1/c0, and `estimator` says so.

    Parameters
    ----------
    x : array_like, shape (n,)
        Evenly sampled series. NaN is missing: only neighbours that are both valid are compared.

    Returns
    -------
    AR1
        ``(g, a, mu2)``, with the attribute `estimator`.

    Raises
    ------
    ValueError
        If `x` is constant, or has fewer than 4 valid samples or no two valid neighbours.

    References
    ----------
    Allen & Smith (1996), J. Climate 9, 3373, footnote 4,
    doi:10.1175/1520-0442(1996)009<3373:MCSDIO>2.0.CO;2.
    Grinsted et al. (2004), doi:10.5194/npg-11-561-2004, whose code uses c1/c0 throughout.

    Examples
    --------
    >>> series = rednoise(5000, 0.7, rng=1)
    >>> round(ar1(series).g, 1), ar1(series).estimator
    (0.7, 'allen-smith')
    >>> ar1(np.sin(np.linspace(0, 10, 50))).estimator
    'autocorrelation'
    """
    return estimate_ar1(as_series("x", x), "x")


def estimate_ar1(series: Floats, name: str) -> AR1:
    """Estimate AR(1) as `ar1` does; `name` is the argument that errors are about."""
    x, exponent = unit_scaled(series)
    x -= np.nanmean(x)
    n = int(np.count_nonzero(~np.isnan(x)))
    pairs = x[:-1] * x[1:]
    if n < 4 or np.isnan(pairs).all():
        raise ValueError(
            f"cannot estimate AR(1): {name} needs 4 valid samples, 2 of them adjacent, and has "
            f"{n}; use a longer signal, or give the coefficient"
        )
    c0 = float(np.nanmean(x * x))
    c1 = float(np.nanmean(pairs))
    if c0 <= (8 * np.finfo(np.float64).eps) ** 2:
        raise ValueError(f"cannot estimate AR(1): {name} is constant; use a signal that varies")
    estimate = _allen_smith(c0, c1, n)
    if estimate is None:
        g = c1 / c0
        if not -1 < g < 1:
            # Sums of unequal numbers of terms: by Cauchy-Schwarz this ratio lies within ±1.
            g = float(np.nansum(pairs) / np.nansum(x * x))
        estimate = AR1(g, math.sqrt((1 - g**2) * c0), 0.0, "autocorrelation")
    return AR1(
        estimate.g, math.ldexp(estimate.a, int(exponent[0])), estimate.mu2, estimate.estimator
    )


def _allen_smith(c0: float, c1: float, n: int) -> AR1 | None:
    """Return Allen & Smith's estimate from the autocovariances, or None without a root below 1."""
    quadratic = c0 * n**2
    linear = -c1 * n - c0 * n**2 - 2 * c0 + 2 * c1 - c1 * n**2 + c0 * n
    constant = n * (c0 + c1 * n - c1)
    root = linear**2 - 4 * quadratic * constant
    if root <= 0:
        return None
    g = (-linear - math.sqrt(root)) / (2 * quadratic)
    if not -1 < g < 1:
        return None
    mu2 = -1 / n + (2 / n**2) * ((n - g**n) / (1 - g) - g * (1 - g ** (n - 1)) / (1 - g) ** 2)
    if not mu2 < 1:  # rounding, with g within 1e-8 of 1
        return None
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
    rng : int, SeedSequence, Generator, RandomState or None
        Source of randomness; None draws fresh entropy, and a RandomState gives a seed.

    Returns
    -------
    ndarray, shape (N,), float64

    Raises
    ------
    ValueError
        If N < 1, not -1 < g < 1, or the noise would not fit `MEMORY_LIMIT_BYTES`.
    """
    N, g = check_count("N", N), check_lag1("g", g)
    check_memory("the noise", 8 * N)
    return red_samples(as_generator(rng), (N,), g) * as_number("a", a)


def red_samples(rng: np.random.Generator, shape: tuple[int, ...], g: float) -> NDArray[np.float64]:
    """Return AR(1) noise with unit innovations along the last axis, stationary from the start."""
    return redden(rng.standard_normal(shape), g)


def redden(white: NDArray[np.float64], g: float) -> NDArray[np.float64]:
    """Return AR(1) noise whose innovations are `white`, stationary from the start."""
    if g == 0:
        return white
    noise = white.copy()
    noise[..., 0] /= math.sqrt(1 - g**2)
    # x[t] - g x[t-1] = white[t] as a banded triangular system: several times faster than
    # scipy.signal.lfilter, which also takes longer to import than the rest of the library.
    n = noise.shape[-1]
    band = np.empty((2, n), order="F")
    band[0], band[1] = 1, -g
    columns = noise.reshape(-1, n).T
    solved, _ = dtbtrs(band, columns, uplo="L", diag="U", overwrite_b=True)
    return np.asarray(solved.T).reshape(white.shape)


def as_generator(rng: Seed) -> np.random.Generator:
    """Return `rng` itself if it is a Generator, or a Philox generator seeded with it."""
    if isinstance(rng, np.random.Generator):
        return rng
    if isinstance(rng, np.random.RandomState):
        return np.random.Generator(np.random.Philox(drawn_seed(rng)))
    check_seed("rng", rng)
    return np.random.Generator(np.random.Philox(rng))


def check_seed(name: str, seed: object) -> None:
    """Raise TypeError naming the argument unless `seed` is a `Seed`."""
    generators = np.random.SeedSequence | np.random.Generator | np.random.RandomState
    if not isinstance(seed, numbers.Integral | generators | None):
        raise TypeError(
            f"cannot use {name}={seed!r}: give a whole number, a numpy.random.Generator, "
            "SeedSequence or RandomState, or None"
        )


def drawn_seed(rng: np.random.RandomState) -> int:
    """Return a seed drawn from NumPy's older generator."""
    return int(rng.randint(2**63 - 1, dtype=np.int64))


def lag1_of(number: Literal[1, 2], y: Floats, given: float | None) -> Lag1:
    """Return the lag-1 coefficient of each signal: the caller's if given, otherwise estimated.

    `number` is 1 for the arguments `y1` and `al1`, 2 for `y2` and `al2`; errors name them.
    """
    return lag1_by_name(f"y{number}", y, given, f"al{number}")


def lag1_by_name(name: str, y: Floats, given: float | None, argument: str) -> Lag1:
    """Return the lag-1 coefficient of each signal `name`; `argument` is that of the one given."""
    shape = y.shape[:-1]
    if given is not None:
        g = check_lag1(argument, given)
        return Lag1(np.full(shape, g), np.full(shape, "given"))
    estimates = [estimate_ar1(series, name) for series in y.reshape(-1, y.shape[-1])]
    return Lag1(
        np.array([each.g for each in estimates]).reshape(shape),
        np.array([each.estimator for each in estimates]).reshape(shape),
    )


class Lag1(NamedTuple):
    """Lag-1 coefficients that a threshold was computed with, and their origin.

    Attributes
    ----------
    g : ndarray
        One coefficient per signal of a batch; of shape () for a single signal.
    estimator : ndarray of str
        "allen-smith" or "autocorrelation" (see `ar1`), or "given" by the caller.
    """

    g: NDArray[np.float64]
    estimator: NDArray[np.str_]

    def __repr__(self) -> str:
        g, estimator = (np.array2string(each, threshold=8, separator=", ") for each in self)
        return f"Lag1(g={g}, estimator={estimator})"
