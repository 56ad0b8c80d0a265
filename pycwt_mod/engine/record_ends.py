"""The ends of a record, seen by rows that are sampled less often than the record.

A sum over the samples 0 … n - 1 of a band-limited function F is D times the sum of its samples
every D, if these are weighted with the record's outline smoothed to less than 2π/D - B, where
B is the bandwidth of F: w(t) = Σ_k h(t - k), with h a low-pass filter that passes B.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import i0e

from pycwt_mod.arrays import Floats


def end_weights(n: int, step: int, oversampling: float, tol: float) -> tuple[Floats, int]:
    """Return weights for the samples every `step` from some before 0 to some after n.

    Parameters
    ----------
    n, step : int
        Length of the record, and D.
    oversampling : float
        2π/D over twice the bandwidth B.
    tol : float
        What the filter lets through beyond.

    Returns
    -------
    weights : ndarray
        0 far outside of the record, 1 far inside.
    before : int
        How many of them are before sample 0.

    References
    ----------
    Kaiser (1974), Proc. IEEE Int. Symp. Circuits and Systems, 20-23: length and shape of h.
    """
    if step == 1:
        return np.ones(n), 0
    decibels = -20 * math.log10(tol)
    width = 2 * math.pi / step * (1 - 1 / oversampling)
    half = math.ceil((decibels - 8) / (2.285 * width) / 2) + 1
    shape = 0.1102 * (decibels - 8.7)
    t = np.arange(-half, half + 1)
    z = shape * np.sqrt(1 - (t / (half + 1)) ** 2)
    filter_ = np.sinc(t / step) * i0e(z) * np.exp(z - shape)
    passed = np.concatenate([[0.0], np.cumsum(filter_ / filter_.sum())])
    before = half // step
    places = np.arange(-before, (n - 1 + half) // step + 1) * step
    upto = np.clip(np.stack([n - 1 - places, -1 - places]) + half + 1, 0, len(passed) - 1)
    return np.asarray(passed[upto[0]] - passed[upto[1]]), before
