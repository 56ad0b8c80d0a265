"""Autoregressive models: x_t = Σ a_i x_{t-i} + e_t about a mean, fitted by Burg's method."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pycwt_mod.arrays import Floats

__all__ = ["MAX_ORDER", "Autoregression", "fit_autoregression"]

#: Default limit of the order: two to four periods of the highest frequency of an octave. A
#: lower one raises the errors of the breath's rows in the shipped recording.
MAX_ORDER = 64
#: Fewest pairs of valid samples that a coefficient is estimated from.
MIN_PAIRS = 16
#: Least part of the valid samples that must be usable. Fewer would make the criterion, which
#: compares variances of the same samples, prefer orders that fit the few that are left.
MIN_USABLE = 0.5


@dataclass(frozen=True, kw_only=True, eq=False)
class Autoregression:
    """An autoregressive model.

    Attributes
    ----------
    mean : float
        In units of the samples.
    coefs : ndarray, shape (p,)
        a_1 … a_p; empty for white noise.
    variance : float
        Of the innovations, in squared units of the samples.
    """

    mean: float
    coefs: NDArray[np.float64]
    variance: float

    @property
    def order(self) -> int:
        """The order p; 0 for white noise."""
        return len(self.coefs)

    def plain(self) -> list[float]:
        """Return mean, variance and coefficients as a list."""
        return [self.mean, self.variance, *self.coefs.tolist()]

    @classmethod
    def of_plain(cls, values: Sequence[float]) -> Autoregression:
        """Return the model of which these are `plain`."""
        mean, variance, *coefs = values
        return cls(mean=mean, variance=variance, coefs=np.array(coefs, np.float64))

    def spectrum(self, omega: Floats) -> NDArray[np.float64]:
        """Return σ²/|1 - Σ a_k exp(-iωk)|² at `omega` in radians per sample."""
        lags = np.arange(1, self.order + 1)
        response = 1 - np.exp(-1j * np.multiply.outer(omega, lags)) @ self.coefs
        return np.asarray(self.variance / np.abs(response) ** 2)


def fit_autoregression(
    samples: Floats, max_order: int = MAX_ORDER, *, order: int | None = None
) -> Autoregression:
    """Fit a model by Burg's method, of the order with the lowest corrected Akaike criterion.

    The reflection coefficient of order m is -2 Σ f_t b_{t-1} / Σ (f_t² + b_{t-1}²), where f and b
    are the forward and backward prediction errors of order m - 1. With missing samples, both sums
    are over the t whose errors are free of them, and no order is considered that leaves fewer than
    half of the valid samples.

    Parameters
    ----------
    samples : ndarray, shape (n,)
        Evenly sampled; NaN is missing.
    max_order : int
        Largest order considered.
    order : int, optional
        Order to use instead of the best one.

    Returns
    -------
    Autoregression
        Of order 0 if the samples are constant or too few for a higher one.

    Raises
    ------
    ValueError
        If no sample is valid.

    References
    ----------
    Burg (1975), thesis, Stanford University. Hurvich & Tsai (1989), Biometrika 76, 297,
    doi:10.1093/biomet/76.2.297.

    Examples
    --------
    >>> from pycwt_mod import rednoise
    >>> model = fit_autoregression(rednoise(5000, 0.7, rng=1), order=1)
    >>> model.coefs.round(1), round(model.variance, 1)
    (array([0.7]), 1.0)
    """
    valid = ~np.isnan(samples)
    if not valid.any():
        raise ValueError("cannot fit an autoregressive model: no sample is valid")
    mean = float(samples[valid].mean())
    forward = np.where(valid, samples - mean, np.nan)
    variance = float((forward[valid] ** 2).mean())
    best = Autoregression(mean=mean, coefs=np.empty(0), variance=variance)
    floor = (8 * np.finfo(np.float64).eps * max(abs(mean), 1e-300)) ** 2
    if variance <= floor:
        return best
    count = int(valid.sum())
    lowest = _aicc(count, variance, 0)
    coefs: NDArray[np.float64] = np.empty(0)
    whole = bool(valid.all())
    before, after = forward[:-1], forward[1:]  # b_{t-1} and f_t
    for m in range(1, (max_order if order is None else order) + 1):
        if not whole:
            usable = ~(np.isnan(before) | np.isnan(after))
            b, f = np.where(usable, before, 0.0), np.where(usable, after, 0.0)
            pairs = int(usable.sum())
        else:
            b, f, pairs = before, after, len(after)
        energy = float(f @ f + b @ b)
        if pairs < max(MIN_PAIRS, MIN_USABLE * count) or energy <= floor * pairs:
            break
        reflection = 2 * float(f @ b) / energy
        coefs = np.append(coefs - reflection * coefs[::-1], reflection)
        variance *= 1 - reflection**2
        after, before = (after - reflection * before)[1:], (before - reflection * after)[:-1]
        if variance <= floor:
            break
        criterion = _aicc(count, variance, m)
        if m == order or (order is None and criterion < lowest):
            lowest = min(lowest, criterion)
            best = Autoregression(mean=mean, coefs=coefs, variance=variance)
    return best


def _aicc(n: int, variance: float, order: int) -> float:
    """Return n ln σ² + 2k + 2k(k+1)/(n-k-1), where k counts the coefficients and the variance."""
    k = order + 1
    if n <= k + 1:
        return math.inf
    return n * math.log(variance) + 2 * k + 2 * k * (k + 1) / (n - k - 1)
