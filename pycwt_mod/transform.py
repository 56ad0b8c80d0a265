"""The continuous wavelet transform, its inverse, and the cross transform of two signals."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from pycwt_mod.arrays import (
    MASK_THRESHOLD,
    MEMORY_LIMIT_BYTES,
    Convention,
    Floats,
    GapFill,
    GapPolicy,
    check_convention,
    check_pair,
    check_positive,
    check_samples,
    coefficient_array,
    octave_weights,
    positive_axis,
    renamed,
    time_last,
    within_band,
)
from pycwt_mod.engine.octaves import MultirateResult
from pycwt_mod.joint import joint_transforms
from pycwt_mod.planning import plan_for
from pycwt_mod.results import CwtResult, XwtResult
from pycwt_mod.wavelets import WaveletLike, as_wavelet

__all__ = ["cwt", "icwt", "multirate", "xwt"]


def cwt(
    signal: ArrayLike | Sequence[float],
    dt: float,
    dj: float = 1 / 12,
    s0: float = -1,
    J: float = -1,
    wavelet: WaveletLike = "morlet",
    freqs: ArrayLike | None = None,
    *,
    convention: Convention = "standard",
    axis: int | None = None,
    gap_fill: GapFill = None,
    max_gap: float | None = None,
    mask_threshold: float | None = MASK_THRESHOLD,
    pad_to: int | None = None,
    workers: int = 1,
    max_bytes: int = MEMORY_LIMIT_BYTES,
    rtol: float | None = None,
) -> CwtResult:
    """Continuous wavelet transform, W(s, n) = Σ_k x̂_k √(2πs/δt) ψ̂0*(s ω_k) exp(i ω_k n δt)/N.

    Parameters
    ----------
    signal : array_like, shape (n,) or a batch along `axis`
        Evenly sampled. NaN, None, pandas.NA and masked values are missing. float32 is computed
        in single precision, every other type (float16 included) in double precision.
    dt : float
        Sampling interval; its unit is that of all scales and periods. `dt`, `dj`, `s0` and `J`
        may be any real numbers, or arrays with one element.
    dj : float
        Spacing of the scales in octaves.
    s0 : float
        Smallest scale; -1 means 2 `dt` as a Fourier period.
    J : float
        Number of scales less one; -1 means up to the length of the record. It need not be whole:
        the scales are s0 2^(j dj) for j in ``arange(0, J + 1)``, as in pycwt.
    wavelet : Wavelet or str
        A wavelet, its class, or the name of one: morlet, paul, dog, mexicanhat.
    freqs : array_like, optional
        Fourier frequencies to use instead of `dj`, `s0` and `J`.
    convention : {"standard", "pycwt"}
        "standard" removes the mean and pads as Torrence & Compo; "pycwt" keeps the mean and
        pads to the next power of two.
    axis : int, optional
        Time axis of `signal`; it comes last in the result. By default it is the last axis of an
        array, the rows of a data frame (each column is a record of the batch), and the
        dimension named "time" of an xarray.DataArray.
    gap_fill : {None, "linear"}
        What missing samples are replaced with: the mean of the series, or a straight line
        between the neighbours of a gap. Both are estimates, which `mask` counts as missing.
    max_gap : float, optional
        Longest gap that gets a straight line, in the unit of `dt`; a gap of k samples lasts
        k `dt`. Longer ones, and those at the ends, are filled with the mean.
    mask_threshold : float or None
        Part of a coefficient's energy, which is Σ |ψ|² over its samples, that may be missing
        where the result is not masked, from 0.001 to less than 1. For white noise the RMS error
        of a coefficient is at most √`mask_threshold` of the row's RMS. None masks the cone of
        influence of every missing sample.
    pad_to : int, optional
        FFT length, at least n, instead of the convention's.
    workers : int
        Threads; the numbers don't depend on it.
    max_bytes : int
        Largest coefficient matrix that is computed.
    rtol : float, optional
        Fraction of a wavelet's maximum below which its spectrum is treated as zero: for Morlet
        the band of a row is [ω0 - r, ω0 + r]/s with r = √(-2 ln rtol). It is also the error of a
        row, as a fraction of its maximum, as long as the signal's spectrum is not much larger
        outside the band than in it. 1e-12 in double and 1e-6 in single precision by default.

    Returns
    -------
    CwtResult
        ``(coefs, scales, freqs, coi, fft, fftfreqs)``; `coefs` is complex64 for a float32
        signal, complex128 otherwise, in units of the signal. Its `mask` is true where missing
        samples weigh too much, and where the signal is constant within a value's support.

    Raises
    ------
    ValueError
        If an argument is out of its range, or the result would not fit `max_bytes`.
    TypeError
        If a number is given as something else: None, a string, a timedelta.

    Warns
    -----
    NyquistWarning
        If some of `freqs`, or the frequencies of scales below `dt`, exceed the Nyquist frequency.
    SamplingWarning
        If the index of a pandas or xarray object does not ascend in about equal steps.

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
    values = time_last("signal", signal, axis)
    check_samples("signal", values)
    analysis = plan_for(
        values, dt, dj, s0, J, wavelet, freqs, convention=convention, pad_to=pad_to, rtol=rtol
    )
    return analysis.cwt(
        values, gap_fill=gap_fill, max_gap=max_gap, mask_threshold=mask_threshold,
        workers=workers, max_bytes=max_bytes,
    )  # fmt: skip


def multirate(
    signal: ArrayLike | Sequence[float],
    dt: float,
    dj: float = 1 / 12,
    s0: float = -1,
    J: float = -1,
    wavelet: WaveletLike = "morlet",
    freqs: ArrayLike | None = None,
    *,
    convention: Convention = "standard",
    axis: int | None = None,
    gap_fill: GapFill = None,
    max_gap: float | None = None,
    mask_threshold: float | None = MASK_THRESHOLD,
    pad_to: int | None = None,
    workers: int = 1,
    max_bytes: int = MEMORY_LIMIT_BYTES,
    rtol: float | None = None,
) -> MultirateResult:
    """Continuous wavelet transform with every octave at the rate that its band needs.

    A row at scale s (in samples) has a band of width 2r/s, so every D-th sample describes it in
    full, with D the largest power of two for which 2π/D >= 2r/s. These samples are those of
    `cwt`, not averages; all octaves together take about four times the first one, in time and
    memory linear in n.

    Parameters
    ----------
    signal, dt, dj, s0, J, wavelet, freqs, convention, axis, gap_fill, max_gap, mask_threshold
        As in `cwt`.
    pad_to, workers, rtol
        As in `cwt`. A larger `rtol` makes the band narrower, and so the steps longer.
    max_bytes : int
        Largest result that is computed.

    Returns
    -------
    MultirateResult
        Its `full()` is the matrix of `cwt`.

    Raises
    ------
    ValueError
        If an argument is out of its range, or the result would not fit `max_bytes`.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.sin(np.arange(1024) / 9)
    >>> result = multirate(x, 1.0)
    >>> [octave.step for octave in result.octaves][-1] > 100
    True
    >>> bool(np.allclose(result.full(), cwt(x, 1.0).coefs))
    True
    """
    values = time_last("signal", signal, axis)
    check_samples("signal", values)
    analysis = plan_for(
        values, dt, dj, s0, J, wavelet, freqs, convention=convention, pad_to=pad_to, rtol=rtol
    )
    return analysis.multirate(
        values, gap_fill=gap_fill, max_gap=max_gap, mask_threshold=mask_threshold,
        workers=workers, max_bytes=max_bytes,
    )  # fmt: skip


@renamed(between="scale_range")
def icwt(
    W: ArrayLike,
    sj: ArrayLike,
    dt: float,
    dj: float | None = None,
    wavelet: WaveletLike = "morlet",
    *,
    scale_range: tuple[float, float] | None = None,
) -> Floats:
    """Inverse transform, x_n = √δt / (C_δ ψ0(0)) Σ_j δj Re W(s_j, n)/√s_j.

    Parameters
    ----------
    W : array_like, shape (..., scales, time)
        Coefficients from `cwt`; shape (time, scales) is accepted as pycwt does. Where one is
        masked, the result is NaN.
    sj : array_like, shape (scales,)
        Scales from `cwt`, in any order.
    dt, wavelet
        As given to `cwt`.
    dj : float, optional
        Spacing of the scales in octaves; by default that of `sj`. For scales that are not a
        geometric series, such as those of evenly spaced `freqs`, δj is the part of the log2 s
        axis that is nearest to each scale.
    scale_range : (float, float), optional
        Smallest and largest scale of the sum, both included, for the part of the signal in a
        band: a filter whose response is the sum of those of the scales.

    Returns
    -------
    ndarray, shape (..., time), real
        The signal without what lies outside the scales: its mean, and with the default
        smallest scale part of its fastest changes. Start at a quarter of that scale to keep
        more than 99.5 %; the warning that `cwt` gives of such scales can be ignored then.

    Raises
    ------
    ValueError
        If the shapes don't match, no scale lies in the band, `dj` is not the spacing of `sj`, or
        the wavelet vanishes at 0 (odd DOG).

    References
    ----------
    Torrence & Compo (1998), eq. 11, and eq. 29 for bands.

    Examples
    --------
    >>> import numpy as np
    >>> t = np.arange(2048)
    >>> slow, fast = np.sin(2 * np.pi * t / 256), np.sin(2 * np.pi * t / 16)
    >>> result = cwt(slow + fast, 1.0)
    >>> band = icwt(result.coefs, result.scales, 1.0, scale_range=(64, 1024))
    >>> bool(np.abs(band - slow)[512:1536].max() < 0.03)
    True
    """
    mother = as_wavelet(wavelet)
    dt = check_positive("dt", dt)
    coefs = coefficient_array("W", W)
    scales = positive_axis("sj", sj)
    if coefs.ndim == 2 and coefs.shape[0] != scales.size:
        coefs = coefs.T
    if coefs.ndim < 2 or coefs.shape[-2] != scales.size:
        raise ValueError(f"W has shape {np.shape(W)}, but must be ({scales.size}, time) as sj")
    octaves = octave_weights("sj", scales, dj)
    factor = math.sqrt(dt) / (mother.cdelta * mother.psi0) if mother.psi0 else math.nan
    if math.isnan(factor):
        raise ValueError(f"wavelet={mother!r} vanishes at t = 0: eq. 11 has no inverse for it")
    real: Floats = np.real(coefs)
    weights = (factor * octaves / np.sqrt(scales)).astype(real.dtype)
    if scale_range is not None:
        rows = np.flatnonzero(within_band("scale_range", scale_range, scales))
        adjacent = rows[-1] - rows[0] + 1 == rows.size  # a slice needs no copy
        chosen = slice(rows[0], rows[-1] + 1) if adjacent else rows
        weights, real = weights[chosen], real[..., chosen, :]
    return np.asarray(np.einsum("j,...jn->...n", weights, real))


def xwt(
    y1: ArrayLike | Sequence[float] | CwtResult,
    y2: ArrayLike | Sequence[float] | CwtResult,
    dt: float | None = None,
    dj: float = 1 / 12,
    s0: float = -1,
    J: float = -1,
    significance_level: float = 0.95,
    wavelet: WaveletLike = "morlet",
    normalize: bool = True,
    *,
    freqs: ArrayLike | None = None,
    convention: Convention = "standard",
    al1: float | None = None,
    al2: float | None = None,
    axis: int | None = None,
    gap_fill: GapFill = None,
    max_gap: float | None = None,
    mask_threshold: float | None = MASK_THRESHOLD,
    workers: int = 1,
    max_bytes: int = MEMORY_LIMIT_BYTES,
    rtol: float | None = None,
) -> XwtResult:
    """Cross wavelet transform W1(s, n) W2*(s, n).

    Parameters
    ----------
    y1, y2 : array_like, shape (n,) or batches along `axis`, or two CwtResult
        Signals sampled together. Missing samples and data frames as in `cwt`; two pandas
        objects must have the same index. Transforms from `cwt` are multiplied as they are; they
        must have the same axis, and come with their own `dt`, scales, wavelet and convention.
    dt, dj, s0, J, wavelet, freqs, axis, gap_fill, max_gap, workers, max_bytes, rtol
        As in `cwt`. Signals need `dt`.
    significance_level : float
        p, between 0 and 1.
    normalize : bool
        Divide by the standard deviations; if not, the result is in the product of the units.
    convention : {"standard", "pycwt"}
        Also decides the threshold: Z_ν(p)/ν of the product of two χ² (eq. 31), or pycwt's χ²_ν/ν,
        which is 1.5 times too high.
    mask_threshold : float or None
        As in `cwt`; a sample is missing if it is missing in either signal.
    al1, al2 : float, optional
        AR(1) coefficients; estimated if not given.

    Returns
    -------
    XwtResult
        ``(cross, coi, freqs, signif)``; for batches all but `coi` and `freqs` have their axes.

    Raises
    ------
    ValueError
        If an argument is out of range, the lengths differ, a signal is constant, or transforms
        differ in their axis.

    References
    ----------
    Torrence & Compo (1998), eq. 30-31. Grinsted et al. (2004), doi:10.5194/npg-11-561-2004
    """
    check_convention(convention)
    settings = {
        "dt": dt, "dj": dj, "s0": s0, "J": J, "wavelet": wavelet, "freqs": freqs,
        "convention": convention, "axis": axis, "gap_fill": gap_fill, "max_gap": max_gap,
        "rtol": rtol,
    }  # fmt: skip
    joint = joint_transforms({"y1": y1, "y2": y2}, settings)
    if joint is not None:
        return joint.xwt(
            significance_level, normalize=normalize, al1=al1, al2=al2,
            gaps=GapPolicy(mask_threshold=mask_threshold), max_bytes=max_bytes,
        )  # fmt: skip
    first, second = check_pair(y1, y2, axis)
    analysis = plan_for(first, dt, dj, s0, J, wavelet, freqs, convention=convention, rtol=rtol)
    return analysis.xwt(
        first, second, significance_level, normalize=normalize, al1=al1, al2=al2,
        gap_fill=gap_fill, max_gap=max_gap, mask_threshold=mask_threshold,
        workers=workers, max_bytes=max_bytes,
    )  # fmt: skip
