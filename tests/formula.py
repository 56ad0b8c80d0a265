"""The transform as the papers write it, and signals that are hard on any other way."""

from __future__ import annotations

from typing import Any

import numpy as np

from pycwt_mod import Convention, Wavelet

Array = np.ndarray[Any, np.dtype[Any]]


def row_error(found: Array, expected: Array) -> float:
    """Largest difference, as a part of the row's maximum."""
    worst = np.abs(found - expected).max(axis=-1) / np.abs(expected).max(axis=-1)
    return float(worst.max())


def direct(x: Array, wavelet: Wavelet, scales: Array, length: int, convention: Convention) -> Array:
    """TC98 eq. 4, one product and one inverse FFT per scale, nothing left out."""
    omega = 2 * np.pi * np.fft.fftfreq(length)
    if convention == "standard":
        x = x - x.mean()
        omega[length // 2] = np.pi
    psi = np.sqrt(2 * np.pi * scales)[:, None] * np.conj(wavelet.psi_ft(scales[:, None] * omega))
    if convention == "standard" and wavelet.analytic:
        psi[:, omega <= 0] = 0
    return np.asarray(np.fft.ifft(np.fft.fft(x, length) * psi)[:, : len(x)])


def loud_elsewhere(n: int) -> dict[str, Array]:
    """Signals whose rows are faint beside what lies outside of their bands."""
    rng = np.random.default_rng(n)
    t, white = np.arange(n), rng.standard_normal(n)
    return {
        "random walk": np.cumsum(white),
        "steep": np.cumsum(np.cumsum(white)),
        "blue": np.gradient(np.gradient(white)),
        "line": 1e3 * np.sin(t / 37) + white,
        "step": np.where(t > n / 2, 100.0, 0.0) + white,
    }
