"""95 % intervals of amplitude and phase of a complex value with a normal error."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pycwt_mod.arrays import Complexes, Floats, read_only

__all__ = ["PROBABILITY", "Interval", "amplitude_interval", "error_points", "phase_interval"]

PROBABILITY = 0.95
#: Points of the quadrature. Intervals of 95 % have 94 to 95.6 % of the normal distribution.
POINTS = 256


@dataclass(frozen=True, kw_only=True, eq=False)
class Interval:
    """The 95 % interval of real quantities under a model, and their medians; of one shape."""

    low: Floats
    median: Floats
    high: Floats

    @classmethod
    def of_points(cls, points: Floats) -> Interval:
        """Return the interval that leaves out equal probabilities on both sides.

        Parameters
        ----------
        points : ndarray, shape (..., n)
            Equally probable values.
        """
        tail = (1 - PROBABILITY) / 2
        ordered = np.sort(points, axis=-1)
        low, median, high = (_quantile(ordered, part) for part in (tail, 0.5, 1 - tail))
        return cls(low=low, median=median, high=high)

    def scaled(self, scale: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return both ends, with their distances from the median multiplied by `scale`."""
        factor = np.asarray(scale)
        return (
            self.median - factor * (self.median - self.low),
            self.median + factor * (self.high - self.median),
        )

    def least_scale(self, exact: Floats) -> NDArray[np.float64]:
        """Return the smallest scale with which the interval contains `exact`."""
        side = np.where(exact > self.median, self.high - self.median, self.median - self.low)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.abs(exact - self.median) / side)


def error_points(variance: ArrayLike, pseudo_variance: ArrayLike) -> Complexes:
    """Return equally probable errors of a complex normal distribution; shape (..., POINTS).

    Parameters
    ----------
    variance : array_like
        V = E|e|².
    pseudo_variance : array_like
        C = E e²; |C| <= V.
    """
    total, pseudo = np.asarray(variance, float), np.asarray(pseudo_variance, complex)
    size = np.minimum(np.abs(pseudo), total)
    axis = np.exp(0.5j * np.angle(pseudo))
    along, across = (np.sqrt((total + sign * size) / 2)[..., None] for sign in (1, -1))
    points = _normal_points()
    return np.asarray(axis[..., None] * (along * points.real + 1j * across * points.imag))


@lru_cache(maxsize=1)
def _normal_points() -> Complexes:
    """Return `POINTS` equally probable points of two independent standard normal numbers.

    A Fibonacci lattice: equal steps of probability in radius, golden angles.
    """
    k = np.arange(POINTS)
    radius = np.sqrt(-2 * np.log1p(-(k + 0.5) / POINTS))
    angle = np.pi * (3 - np.sqrt(5)) * k
    points = radius * np.exp(1j * angle)
    return read_only(points)


def amplitude_interval(value: Complexes, variance: Floats, pseudo_variance: Complexes) -> Interval:
    """Return the interval of |W|."""
    return Interval.of_points(np.abs(value[..., None] + error_points(variance, pseudo_variance)))


def phase_interval(value: Complexes, variance: Floats, pseudo_variance: Complexes) -> Interval:
    """Return the interval of the phase relative to that of the value, in radians.

    It is symmetric, and up to 0.95 π on both sides where the error exceeds the value, so that the
    phase is unknown. The linear approximation std/|W| fails there.
    """
    turned = (value[..., None] + error_points(variance, pseudo_variance)) * np.conj(
        value[..., None]
    )
    return symmetric(np.angle(turned))


def symmetric(points: Floats) -> Interval:
    """Return the interval about 0 that contains equally probable values, shape (..., n)."""
    half = _quantile(np.sort(np.abs(points), axis=-1), PROBABILITY)
    return Interval(low=-half, median=np.zeros_like(half), high=half)


def _quantile(ordered: Floats, part: float) -> NDArray[np.float64]:
    """Return `np.quantile` of sorted values, shape (..., n), in a quarter of its time."""
    place = part * (ordered.shape[-1] - 1)
    below = int(place)
    above = min(below + 1, ordered.shape[-1] - 1)
    rest = place - below
    return np.asarray((1 - rest) * ordered[..., below] + rest * ordered[..., above])
