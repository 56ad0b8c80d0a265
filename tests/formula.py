"""The transform as the papers write it, and signals that are hard on any other way."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pycwt_mod import DOG, Convention, Morlet, Paul, Wavelet

Array = np.ndarray[Any, np.dtype[Any]]


def row_error(found: Array, expected: Array) -> float:
    """Largest difference, as a part of the row's maximum."""
    worst = np.abs(found - expected).max(axis=-1) / np.abs(expected).max(axis=-1)
    return float(worst.max())


def psi_hat(wavelet: Wavelet, omega: Array) -> Array:
    """TC98 table 1, without the Heaviside step of Morlet, which pycwt leaves out."""
    if isinstance(wavelet, Morlet):
        return np.asarray(math.pi**-0.25 * np.exp(-((omega - wavelet.f0) ** 2) / 2))
    if isinstance(wavelet, Paul):
        m, positive = wavelet.m, np.maximum(omega, 0)
        factor = 2**m / math.sqrt(m * math.factorial(2 * m - 1))
        return np.asarray(factor * positive**m * np.exp(-positive))
    assert isinstance(wavelet, DOG)
    factor = -(1j**wavelet.m) / math.sqrt(math.gamma(wavelet.m + 0.5))
    return np.asarray(factor * omega**wavelet.m * np.exp(-(omega**2) / 2))


def direct(x: Array, wavelet: Wavelet, scales: Array, length: int, convention: Convention) -> Array:
    """TC98 eq. 4, one product and one inverse FFT per scale, without approximations."""
    omega = 2 * np.pi * np.fft.fftfreq(length)
    if convention == "standard":
        x = x - x.mean()
        if length % 2 == 0:
            omega[length // 2] = np.pi
    psi = np.sqrt(2 * np.pi * scales)[:, None] * np.conj(psi_hat(wavelet, scales[:, None] * omega))
    if convention == "standard" and not isinstance(wavelet, DOG):
        psi[:, omega <= 0] = 0
    return np.asarray(np.fft.ifft(np.fft.fft(x, length) * psi)[:, : len(x)])


def loud_elsewhere(n: int) -> dict[str, Array]:
    """Signals whose rows are faint compared with the power outside their bands."""
    rng = np.random.default_rng(n)
    t, white = np.arange(n), rng.standard_normal(n)
    return {
        "random walk": np.cumsum(white),
        "steep": np.cumsum(np.cumsum(white)),
        "blue": np.gradient(np.gradient(white)),
        "line": 1e3 * np.sin(t / 37) + white,
        "step": np.where(t > n / 2, 100.0, 0.0) + white,
    }
