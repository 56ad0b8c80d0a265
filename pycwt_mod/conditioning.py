"""Partial and multiple coherence from the smoothed spectra of several signals.

The spectra S_ij = S(W_i W_j*/s) form a Hermitian matrix at every scale and time. Taking signal z
into account turns S_ij into S_ij - S_iz S_zj/S_zz (the Schur complement), one signal after the
other. With P the inverse of the whole matrix, what is left of two signals x and y has
R² = |P_xy|²/(P_xx P_yy) and the phase of -P_xy, and what is left of y alone is 1/P_yy.

Signals are numbered in the order of the arguments; cross spectra are in that of `pairs_of`.

References
----------
Mihanović, Orlić & Pasarić (2009), doi:10.1016/j.jmarsys.2009.01.018: partial wavelet coherence
Ng & Chan (2012), doi:10.1175/JTECH-D-12-00072.1: partial and multiple wavelet coherence
Hu & Si (2016), doi:10.5194/hess-20-3183-2016: multiple wavelet coherence
"""

from __future__ import annotations

from itertools import combinations
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from pycwt_mod.arrays import Bools, Complexes, Floats
from pycwt_mod.smoothing import squared_coherence

#: Coherence of two signals, partial coherence of the first two given all others, or multiple
#: coherence of the first one with all others.
Statistic: TypeAlias = Literal["coherence", "partial", "multiple"]

#: Least part of a signal's smoothed power that the other signals may leave. Below it, the matrix is
#: singular: what is left may be rounding of the signals and the tolerance of the smoothing.
SINGULAR = 1e-6


def pairs_of(count: int) -> tuple[tuple[int, int], ...]:
    """Return the pairs (i, j), i < j, of `count` signals, in the order of their cross spectra."""
    return tuple(combinations(range(count), 2))


class Partial(NamedTuple):
    """What is left of two signals.

    Attributes
    ----------
    coherence : ndarray
        R², 0 where the matrix is singular.
    cross : ndarray, complex
        Cross spectrum of the residuals, 0 where the matrix is singular.
    singular : ndarray of bool
    """

    coherence: Floats
    cross: Complexes
    singular: Bools


class Multiple(NamedTuple):
    """How much of a signal the others explain.

    Attributes
    ----------
    coherence : ndarray
        R², 0 where the matrix is singular.
    singular : ndarray of bool
    """

    coherence: Floats
    singular: Bools


def partial_coherence(power: Floats, cross: Complexes) -> Partial:
    """Return the coherence of signals 0 and 1 given all others.

    Parameters
    ----------
    power : ndarray, shape (k, ...)
        Smoothed power S_ii of each signal.
    cross : ndarray, shape (k (k - 1) / 2, ...), complex
        Smoothed cross spectra S_ij in the order of `pairs_of`.
    """
    left, left_cross, singular = _conditioned(power, cross, keep=2)
    singular |= ~((left[0] > SINGULAR * power[0]) & (left[1] > SINGULAR * power[1]))
    residual = np.where(singular, 0, left_cross[0, 1])
    r2 = squared_coherence((left[0], left[1]), residual.real, residual.imag)
    return Partial(r2, residual, singular)


def multiple_coherence(power: Floats, cross: Complexes) -> Multiple:
    """Return the coherence of signal 0 with all others; for arguments see `partial_coherence`."""
    left, _, singular = _conditioned(power, cross, keep=1)
    singular |= ~(left[0] > SINGULAR * power[0])
    part = np.divide(left[0], power[0], out=np.ones_like(power[0]), where=~singular)
    return Multiple(np.clip(1 - part, 0, 1), singular)


def _conditioned(
    power: Floats, cross: Complexes, keep: int
) -> tuple[list[Floats], dict[tuple[int, int], Complexes], Bools]:
    """Return power and cross spectra of the first `keep` signals given the others.

    Also where one of the others has next to nothing that those after it do not have.
    """
    count = len(power)
    left = list(power)
    left_cross = dict(zip(pairs_of(count), cross, strict=True))
    singular = np.zeros(power.shape[1:], np.bool_)
    for z in reversed(range(keep, count)):
        regular = left[z] > SINGULAR * power[z]
        singular |= ~regular
        inverse = np.divide(1, left[z], out=np.zeros_like(left[z]), where=regular)
        for i, j in pairs_of(z):
            explained = left_cross[i, z] * np.conj(left_cross[j, z])
            left_cross[i, j] = left_cross[i, j] - explained * inverse
        for i in range(z):
            s = left_cross[i, z]
            left[i] = left[i] - (s.real**2 + s.imag**2) * inverse
    return left, left_cross, singular
