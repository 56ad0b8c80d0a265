"""Intervals of amplitude and phase of a complex value with a normal error."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pycwt_mod.arrays import Complexes, Floats, read_only

__all__ = ["amplitude_interval", "error_points", "mahalanobis", "phase_halfwidth"]

#: Points of the quadrature. The probability of a half-plane is within 0.3 % of the normal one.
POINTS = 512


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


def amplitude_interval(
    value: Complexes, variance: Floats, pseudo_variance: Complexes, probability: float = 0.95
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the interval of |W| that leaves out equal probabilities on both sides."""
    size = np.abs(value[..., None] + error_points(variance, pseudo_variance))
    low, high = np.quantile(size, [(1 - probability) / 2, (1 + probability) / 2], axis=-1)
    return low, high


def phase_halfwidth(
    value: Complexes, variance: Floats, pseudo_variance: Complexes, probability: float = 0.95
) -> NDArray[np.float64]:
    """Return half the width of the arc about arg W that has this probability, in radians.

    It is up to π times the probability where the error exceeds the value, so that the phase is
    unknown. The linear approximation std/|W| fails there.
    """
    turned = (value[..., None] + error_points(variance, pseudo_variance)) * np.conj(
        value[..., None]
    )
    return np.asarray(np.quantile(np.abs(np.angle(turned)), probability, axis=-1))


def mahalanobis(
    error: Complexes, variance: Floats, pseudo_variance: Complexes
) -> NDArray[np.float64]:
    """Return the squared length of errors in units of their ellipse: χ² with 2 degrees of freedom.

    Infinite where the error is not zero and its variance is.
    """
    size = np.minimum(np.abs(pseudo_variance), variance)
    turned = error * np.exp(-0.5j * np.angle(pseudo_variance))
    along, across = (variance + size) / 2, (variance - size) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        total = turned.real**2 / along + turned.imag**2 / across
    return np.where(np.isnan(total), 0.0, total)
