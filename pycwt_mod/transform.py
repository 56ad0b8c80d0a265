"""The continuous wavelet transform and its inverse."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike, NDArray

from pycwt_mod.arrays import (
    MEMORY_LIMIT_BYTES,
    Bools,
    Complexes,
    Convention,
    Floats,
    as_signal,
    check_convention,
    check_memory,
    check_positive,
    complex_dtype,
    fill_missing,
)
from pycwt_mod.scale_axis import ScaleAxis, cone_of_influence, gap_mask
from pycwt_mod.wavelets import Wavelet, as_wavelet

#: Rows are transformed in blocks of about this many bytes, to stay in the cache.
_BLOCK_BYTES = 2**22
#: Part of a wavelet's maximum that is nothing beside it in double precision.
_NOTHING = 1e-16


class _CwtFields(NamedTuple):
    coefs: Complexes
    scales: Floats
    freqs: Floats
    coi: Floats
    fft: Complexes
    fftfreqs: Floats


class CwtResult(_CwtFields):
    """What `cwt` returns; it unpacks as pycwt's six values.

    Attributes
    ----------
    coefs : ndarray, shape (..., scales, time), complex
        Always finite; see `mask`.
    scales, freqs : ndarray, shape (scales,)
        In units of `dt` and 1/`dt`.
    coi : ndarray, shape (time,)
        Longest Fourier period free of edge effects.
    fft, fftfreqs : ndarray
        Spectrum of the padded signal, without mean and Nyquist, over √N; its frequencies.
    mask : ndarray of bool, shape (..., scales, time)
        True within the cone of influence of a missing (NaN) sample. The ends of the record
        are not part of it: `coi` tells those.
    """

    mask: Bools

    def __new__(cls, *fields: NDArray[Any], mask: Bools | None = None) -> CwtResult:  # noqa: D102
        self = super().__new__(cls, *fields)
        self.mask = np.zeros(self.coefs.shape, np.bool_) if mask is None else mask
        return self


def padded_length(n: int, convention: Convention) -> int:
    """Return the FFT length: TC98's, at least 1.4 n, or pycwt's next power of two."""
    if convention == "pycwt":
        return int(2 ** math.ceil(math.log2(n)))
    return int(2 ** (int(math.log2(n) + 0.4999) + 1))


def filter_rows(
    spectrum: Complexes,
    scales: Floats,
    wavelet: Wavelet,
    n: int,
    convention: Convention,
    workers: int,
) -> Complexes:
    """Return the first `n` samples of every row; `scales` in samples, `spectrum` a full FFT."""
    length = spectrum.shape[-1]
    omega = 2 * np.pi * scipy.fft.fftfreq(length)
    if convention == "standard" and length % 2 == 0:
        omega[length // 2] = np.pi  # TC98 count the Nyquist bin among the positive ones
    kind = spectrum.dtype
    top = wavelet.frequency_band(_NOTHING)[1]
    both_sides = convention == "pycwt" or not wavelet.analytic
    out = np.empty((*spectrum.shape[:-1], len(scales), n), kind)
    per_block = max(1, _BLOCK_BYTES // (spectrum.size * kind.itemsize))
    for start in range(0, len(scales), per_block):
        some = scales[start : start + per_block]
        product = np.zeros((*spectrum.shape[:-1], len(some), length), kind)
        for row, s in enumerate(some):
            used = min(length // 2, math.ceil(top / s * length / (2 * np.pi)))
            sides = [slice(0 if both_sides else 1, used + 1)]
            if both_sides:
                sides.append(slice(max(length - used, length // 2 + 1), length))
            for bins in sides:
                psi = math.sqrt(2 * np.pi * s) * np.conj(wavelet.psi_ft(s * omega[bins]))
                precise = kind if np.iscomplexobj(psi) else spectrum.real.dtype
                product[..., row, bins] = spectrum[..., bins] * psi.astype(precise)
        rows = scipy.fft.ifft(product, axis=-1, overwrite_x=True, workers=workers)
        out[..., start : start + per_block, :] = rows[..., :n]
    return out


def cwt(
    signal: ArrayLike | Sequence[float],
    dt: float,
    dj: float = 1 / 12,
    s0: float = -1,
    J: float = -1,
    wavelet: Wavelet | str = "morlet",
    freqs: ArrayLike | None = None,
    *,
    convention: Convention = "standard",
    axis: int = -1,
    pad_to: int | None = None,
    workers: int = 1,
    max_bytes: int = MEMORY_LIMIT_BYTES,
) -> CwtResult:
    """Continuous wavelet transform, W(s, n) = Σ_k x̂_k √(2πs/δt) ψ̂0*(s ω_k) exp(i ω_k n δt)/N.

    Parameters
    ----------
    signal : array_like, shape (n,) or a batch along `axis`
        Evenly sampled; NaN means missing. float32 is computed in single precision.
    dt : float
        Sampling interval; its unit is that of all scales and periods.
    dj : float
        Spacing of the scales in octaves.
    s0 : float
        Smallest scale; -1 means 2 `dt` as a Fourier period.
    J : int
        Number of scales less one; -1 means up to the length of the record.
    wavelet : Wavelet or str
        A wavelet, or the name of one: morlet, paul, dog, mexicanhat.
    freqs : array_like, optional
        Fourier frequencies to use instead of `dj`, `s0` and `J`.
    convention : {"standard", "pycwt"}
        "standard" removes the mean and pads as Torrence & Compo; "pycwt" keeps the mean and
        pads to the next power of two.
    axis : int
        Time axis of `signal`; it comes last in the result.
    pad_to : int, optional
        FFT length, at least n, instead of the convention's.
    workers : int
        FFT threads.
    max_bytes : int
        Largest coefficient matrix that is computed.

    Returns
    -------
    CwtResult
        ``(coefs, scales, freqs, coi, fft, fftfreqs)``; `coefs` is complex64 for a float32
        signal, complex128 otherwise, in units of the signal.

    Raises
    ------
    ValueError
        If an argument is out of its range, or the result would not fit `max_bytes`.

    References
    ----------
    Torrence & Compo (1998), eq. 4 and 6, doi:10.1175/1520-0477(1998)079<0061:APGTWA>2.0.CO;2

    Examples
    --------
    >>> import numpy as np
    >>> t = np.arange(512) * 0.25
    >>> result = cwt(np.sin(2 * np.pi * t / 8), 0.25)
    >>> power = np.abs(result.coefs[:, 256]) ** 2
    >>> bool(abs(1 / result.freqs[power.argmax()] - 8) < 0.5)
    True
    """
    check_convention(convention)
    mother = as_wavelet(wavelet)
    values = as_signal("signal", np.moveaxis(np.asarray(signal), axis, -1))
    n = values.shape[-1]
    grid = ScaleAxis.make(n, dt, dj, s0, J, mother, freqs)
    if pad_to is not None and pad_to < n:
        raise ValueError(f"{pad_to=} must be at least the number of samples, {n}")
    kind = complex_dtype(values.dtype)
    check_memory("the transform", values.size * len(grid.scales) * kind.itemsize, max_bytes)
    filled, missing = fill_missing(values)
    if convention == "standard":
        mean = filled.mean(axis=-1, keepdims=True, dtype=np.float64)
        filled = (filled - mean).astype(values.dtype)
    length = pad_to or padded_length(n, convention)
    spectrum: Complexes = scipy.fft.fft(filled, length, axis=-1, workers=workers)
    coefs = filter_rows(spectrum, grid.scales / dt, mother, n, convention, workers)
    return CwtResult(
        coefs,
        grid.scales,
        grid.freqs,
        cone_of_influence(n, dt, mother),
        spectrum[..., 1 : length // 2] / math.sqrt(length),
        scipy.fft.fftfreq(length, dt)[1 : length // 2],
        mask=gap_mask(missing, grid.scales, dt, mother),
    )


def icwt(
    W: ArrayLike,
    sj: ArrayLike,
    dt: float,
    dj: float = 1 / 12,
    wavelet: Wavelet | str = "morlet",
) -> Floats:
    """Inverse transform, x_n = δj √δt / (C_δ ψ0(0)) Σ_j Re W(s_j, n)/√s_j.

    Parameters
    ----------
    W : array_like, shape (scales, time)
        Coefficients from `cwt`; shape (time, scales) is accepted as pycwt does.
    sj : array_like, shape (scales,)
        Scales from `cwt`.
    dt, dj, wavelet
        As given to `cwt`.

    Returns
    -------
    ndarray, shape (time,), real
        The signal without what lies outside the scales: its mean, and with the default
        smallest scale part of its fastest changes. Start at a quarter of that scale to keep
        more than 99.5 %.

    Raises
    ------
    ValueError
        If the shapes don't match, or the wavelet vanishes at 0 (odd DOG).

    References
    ----------
    Torrence & Compo (1998), eq. 11.
    """
    mother = as_wavelet(wavelet)
    check_positive("dt", dt)
    check_positive("dj", dj)
    coefs = np.asarray(W)
    scales = np.asarray(sj, dtype=np.float64)
    if coefs.ndim != 2 or scales.ndim != 1 or scales.size not in coefs.shape:
        raise ValueError(f"W has shape {coefs.shape}, but must be ({scales.size}, time) as sj")
    real: Floats = np.real(coefs if coefs.shape[0] == scales.size else coefs.T)
    factor = dj * math.sqrt(dt) / (mother.cdelta * mother.psi0) if mother.psi0 else math.nan
    if math.isnan(factor):
        raise ValueError(f"wavelet={mother!r} vanishes at t = 0: eq. 11 has no inverse for it")
    weights = (factor / np.sqrt(scales)).astype(real.dtype)
    return np.asarray(np.einsum("j,jn->n", weights, real))
