"""Rows of a signal with missing samples: mean and error of all that is unknown, under a model.

Samples that are lost and samples that have not arrived are unknown alike. The joint precision of
n samples of an autoregressive model is Q = AᵀA/σ², where row t of A is x_t - Σ a_i x_{t-i}. With
the unknown samples u and the known ones o, both about the mean, the conditional mean is
x_u = -Q_uu⁻¹ Q_uo x_o and the conditional covariance is Q_uu⁻¹. This is what a Kalman smoother of
the same model computes one sample at a time.

References
----------
Rue & Held (2005), Gaussian Markov Random Fields, theorem 2.5, doi:10.1201/9780203492024.
"""

from __future__ import annotations

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from pycwt_mod.arrays import Complexes, Floats
from pycwt_mod.streaming.provisional.autoregression import Autoregression

__all__ = ["conditional_errors", "conditional_rows"]


def conditional_rows(
    weights: Complexes, samples: Floats, model: Autoregression
) -> tuple[Complexes, NDArray[np.float64], Complexes]:
    """Return the conditional mean, variance and pseudo-variance of weighted sums.

    Parameters
    ----------
    weights : ndarray, shape (rows, n)
        Of consecutive samples; those that have not arrived are included.
    samples : ndarray, shape (n,)
        NaN is unknown.

    Returns
    -------
    value : ndarray of complex, shape (rows,)
    variance, pseudo_variance : ndarray, shape (rows,)
    """
    unknown = np.isnan(samples)
    known = np.where(unknown, 0.0, samples - model.mean)
    value = weights @ known
    if not unknown.any():
        return value, np.zeros(len(value)), np.zeros(len(value), np.complex128)
    whitening = _whitening(model, len(samples))
    columns = whitening[:, unknown]
    factor = scipy.linalg.cho_factor(columns.T @ columns)
    missing = -scipy.linalg.cho_solve(factor, columns.T @ (whitening @ known))
    part = weights[:, unknown].T
    solved = scipy.linalg.cho_solve(factor, part.real) + 1j * scipy.linalg.cho_solve(
        factor, part.imag
    )
    variance = model.variance * (np.conj(part) * solved).sum(axis=0).real
    pseudo = model.variance * (part * solved).sum(axis=0)
    return value + missing @ part, np.maximum(variance, 0.0), pseudo


def conditional_errors(
    weights: Complexes, samples: Floats, model: Autoregression, innovations: Floats
) -> tuple[Complexes, Complexes]:
    """Return the conditional mean of weighted sums, and deviations from it.

    The deviation of the unknown samples for innovations e is Q_uu⁻¹ A_uᵀ e / σ², which has the
    conditional covariance if the innovations are independent and of variance σ².

    Parameters
    ----------
    weights, samples
        As for `conditional_rows`.
    innovations : ndarray, shape (m, n)

    Returns
    -------
    value : ndarray of complex, shape (rows,)
    errors : ndarray of complex, shape (m, rows)
    """
    unknown = np.isnan(samples)
    known = np.where(unknown, 0.0, samples - model.mean)
    whitening = _whitening(model, len(samples))
    columns = whitening[:, unknown]
    factor = scipy.linalg.cho_factor(columns.T @ columns)
    both = np.concatenate([-(whitening @ known)[None], innovations]) @ columns
    solved = scipy.linalg.cho_solve(factor, both.T).T
    part = weights[:, unknown].T
    sums = solved @ part.real + 1j * (solved @ part.imag)
    return weights @ known + sums[0], sums[1:]


def _whitening(model: Autoregression, n: int) -> NDArray[np.float64]:
    """Return A; its first rows take the samples as independent, of the signal's variance."""
    matrix = np.eye(n)
    for lag, coef in enumerate(model.coefs, start=1):
        index = np.arange(model.order, n)
        matrix[index, index - lag] = -coef
    theta = np.pi * (np.arange(2048) + 0.5) / 2048
    power = float(model.spectrum(theta).mean())
    first = np.arange(min(model.order, n))
    matrix[first, first] = np.sqrt(model.variance / power) if power > 0 else 1.0
    return matrix
