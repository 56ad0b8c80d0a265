"""Wavelet coherence as the papers define it, computed at every sample of every scale.

An oracle that uses only the wavelets' parameters of the library. Times are in samples.

References
----------
TC98: Torrence & Compo (1998), doi:10.1175/1520-0477(1998)079<0061:APGTWA>2.0.CO;2
TW99: Torrence & Webster (1999), doi:10.1175/1520-0442(1999)012<2679:ICITEM>2.0.CO;2, appendix
G04: Grinsted, Moore & Jevrejeva (2004), doi:10.5194/npg-11-561-2004, eq. 8-10, and the authors'
MATLAB toolbox, ``smoothwavelet.m``
pycwt: the package of that name, 0.5.0b0, ``wct`` and ``Morlet.smooth``
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.signal import convolve2d

from pycwt_mod import DOG, Convention, Morlet, Paul, Wavelet
from tests.formula import Array, direct

#: δj0, the decorrelation width in octaves: TC98 table 2.
DELTAJ0: dict[Wavelet, float] = {Morlet(): 0.60, Paul(): 1.5, DOG(2): 1.4, DOG(6): 0.97}
#: Standard deviations beyond which a Gaussian is below the resolution of double precision.
REACH = math.sqrt(-2 * math.log(np.finfo(np.float64).eps))


@dataclass(frozen=True, kw_only=True)
class Coherence:
    """R² (G04 eq. 8) and the smoothed cross spectrum S(W1 W2*/s), both (scales, n)."""

    r2: Array
    cross: Array


def fourier_factor(wavelet: Wavelet) -> float:
    """Return the Fourier period of scale 1 (TC98 table 1)."""
    if isinstance(wavelet, Morlet):
        return 4 * math.pi / (wavelet.f0 + math.sqrt(2 + wavelet.f0**2))
    if isinstance(wavelet, Paul):
        return 4 * math.pi / (2 * wavelet.m + 1)
    assert isinstance(wavelet, DOG)
    return 2 * math.pi / math.sqrt(wavelet.m + 0.5)


def default_scales(n: int, dj: float, wavelet: Wavelet) -> Array:
    """Return s0 2^(j dj) up to n samples, with the Fourier period of s0 two samples.

    TC98 eq. 9 and 10.
    """
    s0 = 2 / fourier_factor(wavelet)
    return np.asarray(s0 * 2 ** (dj * np.arange(round(math.log2(n / s0) / dj) + 1)))


def fft_length(n: int, convention: Convention) -> int:
    """Return the length to which records are padded with zeros.

    TC98's program takes 2^(int(log2 n + 0.4999) + 1); pycwt the next power of two.
    """
    if convention == "standard":
        return int(2 ** (int(math.log2(n) + 0.4999) + 1))
    return int(2 ** math.ceil(math.log2(n)))


def smooth_in_time(rows: Array, scales: Array, length: int) -> Array:
    """Convolve rows, shape (..., scales, n), with exp(-t²/(2 s²)) of total weight one.

    TW99: the filter is the absolute value of the Morlet wavelet at each scale; G04 eq. 10. The
    rows are padded with zeros to `length` samples, over which the convolution is circular.
    """
    smoothed = np.empty(rows.shape, np.complex128)
    for j, scale in enumerate(scales):
        spectrum = np.fft.fft(rows[..., j, :], length) * gaussian_spectrum(scale, length)
        smoothed[..., j, :] = np.fft.ifft(spectrum)[..., : rows.shape[-1]]
    return smoothed


def gaussian_spectrum(scale: float, length: int) -> Array:
    """Return the transform of the normalised Gaussian exp(-t²/(2 s²)) from its values in time.

    They are taken `per_sample` times a sample, so often that no alias of the Gaussian's own
    spectrum, whose standard deviation is 1/s, falls between -π and π: the nearest one is
    centred at 2π `per_sample`.
    """
    per_sample = math.ceil((REACH / (math.pi * scale) + 1) / 2)
    half = math.ceil(REACH * scale * per_sample)
    t = np.arange(-half, half + 1)
    gaussian = np.exp(-((t / per_sample) ** 2) / (2 * scale**2))
    circle = length * per_sample
    folded = np.bincount(t % circle, gaussian / gaussian.sum(), circle)
    bins = np.fft.fftfreq(length, 1 / length).astype(int)
    return np.asarray(np.fft.fft(folded)[bins].real)


def smooth_in_scale(rows: Array, deltaj0: float, dj: float, convention: Convention) -> Array:
    """Convolve columns, shape (scales, n), with a boxcar of total weight one.

    TW99 and G04 eq. 10: its width is δj0. ``smoothwavelet.m`` has the weights [f, 1 … 1, f]
    with h = δj0/(2 dj), f = h mod 1 and 2 round(h) - 1 ones; pycwt has round(2 δj0/dj) weights,
    of which the first and the last are halves. Rows beyond the ends count as zero.
    """
    if convention == "standard":
        half = deltaj0 / (2 * dj)
        ones = 2 * math.floor(half + 0.5) - 1  # MATLAB rounds halves up
        boxcar = np.array([half % 1, *[1.0] * ones, half % 1])
    else:
        boxcar = np.array([0.5, *[1.0] * (round(2 * deltaj0 / dj) - 2), 0.5])
    return np.asarray(convolve2d(rows, boxcar[:, None] / boxcar.sum(), "same"))


def coherence(x: Array, y: Array, dj: float, wavelet: Wavelet, convention: Convention) -> Coherence:
    """R² = |S(W1 W2*/s)|² / (S(|W1|²/s) S(|W2|²/s)); S smooths in time, then in scale.

    G04 eq. 8 and 9, for signals that are centred and divided by their standard deviations. The
    Gaussian of a scale below one sample is cut by the sampling's Nyquist frequency, so that
    smoothed powers may be negative: R² is limited to 0 … 1, and 0 where their product is not
    positive.
    """
    length, scales = fft_length(len(x), convention), default_scales(len(x), dj, wavelet)
    w1, w2 = (direct((v - v.mean()) / v.std(), wavelet, scales, length, convention) for v in (x, y))
    rows = np.stack([np.abs(w1) ** 2, np.abs(w2) ** 2, w1 * w2.conj()]) / scales[:, None]
    s1, s2, cross = (
        smooth_in_scale(each, DELTAJ0[wavelet], dj, convention)
        for each in smooth_in_time(rows, scales, length)
    )
    power = s1.real * s2.real
    r2 = np.divide(np.abs(cross) ** 2, power, out=np.zeros_like(power), where=power > 0)
    return Coherence(r2=np.minimum(r2, 1), cross=cross)
