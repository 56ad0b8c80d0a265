"""The wavelets' spectra, tabulated: from the spectrum of a signal to rows sampled every D.

A row W(s, n) is the inverse transform of the signal's spectrum times the wavelet's, which is zero
outside of a `Band`. Its samples at n = 0, D, 2D … are *exactly* an inverse FFT of length P = M/D of
that band folded modulo P, divided by D: no filter is designed and nothing is interpolated. D only
decides whether the samples describe the row in full: they do if 2π/D is at least the width of the
band at scale s.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from pycwt_mod.arrays import Complexes, Convention, Floats, check_level, complex_dtype
from pycwt_mod.wavelets import Wavelet


@dataclass(frozen=True, kw_only=True, eq=False)
class TransformSpec:
    """What the rows of a transform depend on: the analysis and the length of the record.

    Attributes
    ----------
    scales : ndarray, shape (scales,)
        In samples.
    n, length : int
        Samples of a record, and what it is padded to.
    """

    wavelet: Wavelet
    scales: Floats
    n: int
    length: int
    convention: Convention
    dtype: np.dtype[Any]
    rtol: float


#: Default part of the row's maximum that may be lost, per precision of the signal.
DEFAULT_RTOL = {"f": 1e-6, "d": 1e-12}
_GRID_POINTS = 20_001
#: Radians per sample of a band that lies beyond the Nyquist frequency altogether.
_NARROWEST = 1e-6


@dataclass(frozen=True)
class Band:
    """The s·ω between which a wavelet exceeds `tol` of its maximum, and its reach in time.

    For Morlet it is [ω0 - r, ω0 + r] with r = √(-2 ln tol), cut at zero if `two_sided` is False.
    """

    low: float
    high: float
    radius: float

    @classmethod
    def of(cls, wavelet: Wavelet, tol: float, convention: Convention) -> Band:
        """Return the band as `convention` has it: with pycwt, negative frequencies count."""
        return _band(wavelet, tol, is_two_sided(wavelet, convention))

    def crosses_nyquist(self, scale: float) -> bool:
        """Whether the Nyquist frequency cuts the band, so that the row rings far in time."""
        return max(self.high, -self.low) > math.pi * scale

    def octave_width(self, scale: float) -> float:
        """Return the width in radians per sample of all bands from `scale` to twice as much."""
        low = self.low / (2 if self.low > 0 else 1)
        nyquist = math.pi * scale
        width = (min(self.high, nyquist) - max(low, -nyquist)) / scale
        return max(width, _NARROWEST)

    def bins(self, smallest: float, largest: float, length: int) -> tuple[int, int]:
        """Return the first and last bin of an FFT that scales in this range need."""
        per_radian = length / (2 * math.pi)
        low = self.low / (largest if self.low > 0 else smallest)
        return math.floor(low * per_radian), math.ceil(self.high / smallest * per_radian)


@lru_cache(maxsize=64)
def _band(wavelet: Wavelet, tol: float, two_sided: bool) -> Band:
    low, high = wavelet.frequency_band(tol)
    if two_sided:
        x = np.linspace(-high, high, _GRID_POINTS)
        size = np.abs(wavelet.psi_ft(x))
        above = np.flatnonzero(size > tol * size.max())
        low = min(low, float(x[max(above[0] - 1, 0)]))
    return Band(low, high, wavelet.time_radius(tol))


def is_two_sided(wavelet: Wavelet, convention: Convention) -> bool:
    """Return whether negative frequencies count: always with pycwt, else for real wavelets."""
    return convention == "pycwt" or not wavelet.analytic


def allowed_bins(wavelet: Wavelet, convention: Convention, length: int) -> tuple[int, int]:
    """Return the first and last bin that count; the Nyquist bin is where `convention` has it.

    Torrence & Compo count it among the positive frequencies, pycwt among the negative ones.
    """
    if convention == "pycwt":
        return -(length // 2), (length - 1) // 2
    return (-((length - 1) // 2) if not wavelet.analytic else 1), length // 2


def used_bins(
    wavelet: Wavelet,
    band: Band,
    smallest: float,
    largest: float,
    convention: Convention,
    length: int,
) -> tuple[int, int]:
    """Return the first and last bin that count and that scales in this range need."""
    first, last = allowed_bins(wavelet, convention, length)
    low, high = band.bins(smallest, largest, length)
    first = min(max(first, low), last)
    return first, max(first, min(last, high))


def resolve_rtol(rtol: float | None, dtype: np.dtype[Any]) -> float:
    """Return the caller's `rtol`, or the default of the precision."""
    return DEFAULT_RTOL[dtype.char] if rtol is None else check_level("rtol", rtol)


@lru_cache(maxsize=64)
def smoothed_radius(wavelet: Wavelet, tol: float) -> float:
    """Return the reach of a sample in smoothed spectra, at scale 1: beyond, it weighs below `tol`.

    A sample at distance d enters through W(u) for every u: its weight is
    |ψ(u - d)| exp(-u²/2), largest over u. For Morlet this is exp(-d²/4), so the radius is
    √2 times the wavelet's own, not the sum of the wavelet's and the filter's.
    """
    u = np.linspace(0, 1.2 * math.sqrt(-2 * math.log(tol)), 301)
    peak = float(np.abs(wavelet.psi(np.linspace(0, 10, 2001))).max())
    gauss = np.exp(-(u**2) / 2)
    low, high = 0.0, wavelet.time_radius(tol) + float(u[-1])
    beyond = np.linspace(0, 2, 41)
    while high - low > 0.01:
        d = (low + high) / 2
        weight = np.abs(wavelet.psi(d + beyond[:, None] - u)) * gauss
        low, high = (d, high) if weight.max() > tol * peak else (low, d)
    return high


@lru_cache(maxsize=64)
def coherence_bandwidth(wavelet: Wavelet, tol: float) -> float:
    """Return the sampling frequency 2π/D, at scale 1, that smoothed spectra need.

    |W|² is twice as wide as W, but the time filter passes |ω| < r alone. So aliases from
    ω + 2π/D matter only as the product of the autocorrelation C of the band and the filter:
    the answer is the smallest A with C(A - ω) exp(-ω²/2) < `tol` C(0) for all ω. For Morlet
    C(ω) = exp(-ω²/4), which gives A = √3 r with r = √(-2 ln tol).
    """
    low, high = wavelet.frequency_band(1e-12)
    low = low if wavelet.analytic else -high
    spacing = 0.02
    band = np.abs(wavelet.psi_ft(np.arange(low, high, spacing)))
    auto = np.convolve(band, band[::-1])[len(band) - 1 :]
    auto /= auto[0]
    filter_ = np.exp(-0.5 * (np.arange(len(auto)) * spacing) ** 2)
    # Worst over ω of C(A - ω) exp(-ω²/2), in logs a max-plus convolution, on a coarser grid.
    coarse = 5
    c, g = auto[::coarse], filter_[::coarse]
    worst = [float((c[k::-1] * g[: k + 1]).max()) for k in range(len(c))]
    above = np.flatnonzero(np.array(worst) > tol)
    return float((above[-1] + 2) * spacing * coarse)


#: Where the band of a row is cut, as a part of the wavelet's maximum.
BAND_TOL = 1e-9


@dataclass(frozen=True, eq=False)
class FilterBank:
    """The filters of some rows at one step, built once and used for many signals.

    Attributes
    ----------
    length, step : int
        M and D; M is a multiple of D.
    first_bin : int
        FFT bin of the first column of `table`; negative for negative frequencies.
    table : ndarray, shape (rows, bins), real or complex
        √(2πs) ψ̂0*(sω)/D per row and bin.
    real : bool
        Whether the rows are the real part of what the table gives.
    """

    length: int
    step: int
    first_bin: int
    table: NDArray[Any]
    real: bool = False

    @classmethod
    def tabulate(
        cls,
        wavelet: Wavelet,
        scales: Floats,
        first: int,
        last: int,
        length: int,
        step: int,
        *,
        dtype: np.dtype[Any],
        evaluated: np.dtype[Any] | None = None,
    ) -> FilterBank:
        """Return the filters for `scales`, in samples, at the bins from `first` to `last`.

        `dtype` is the signal's, `evaluated` the precision of the formula if it is another.
        """
        precision = dtype if evaluated is None else evaluated
        omega = 2 * np.pi * np.arange(first, last + 1) / length
        table = np.conj(wavelet.psi_ft((scales[:, None] * omega).astype(precision)))
        table = table * (np.sqrt(2 * np.pi * scales) / step)[:, None].astype(precision)
        kind = dtype if not np.iscomplexobj(table) else complex_dtype(dtype)
        return cls(length, step, first, table.astype(kind, copy=False))

    @classmethod
    def for_band(cls, spec: TransformSpec, scales: Floats, length: int, step: int) -> FilterBank:
        """Return the filters for `scales`, in samples, at the bins of their bands that count."""
        band = Band.of(spec.wavelet, spec.rtol, spec.convention)
        ends = float(scales.min()), float(scales.max())
        first, last = used_bins(spec.wavelet, band, *ends, spec.convention, length)
        return cls.tabulate(spec.wavelet, scales, first, last, length, step, dtype=spec.dtype)

    @classmethod
    def one_sided(
        cls,
        wavelet: Wavelet,
        scales: Floats,
        length: int,
        step: int,
        *,
        dtype: np.dtype[Any],
        tol: float = BAND_TOL,
    ) -> FilterBank:
        """Return filters of positive frequencies alone, for real signals without a mean.

        Those of real wavelets carry the factor 2 of their other half, and the rows are the real
        part. The first bin is a multiple of P, and so is the number of bins but for Nyquist.
        """
        period = length // step
        low, high = wavelet.frequency_band(tol)
        to_bin = length / (2 * np.pi)
        first = int(low / scales.max() * to_bin) // period * period
        last = min(length // 2, math.ceil(high / scales.min() * to_bin))
        width = math.ceil((last + 1 - first) / period) * period
        last = min(first + width - 1, length // 2)
        bank = cls.tabulate(
            wavelet, scales, first, last, length, step, dtype=dtype, evaluated=np.dtype(np.float64)
        )
        bins = np.arange(first, last + 1)
        bank.table[:, bins == 0] = 0
        if not wavelet.analytic:
            bank.table[:, 2 * bins != length] *= 2
        return replace(bank, real=not wavelet.analytic)

    @property
    def period(self) -> int:
        """P, the samples of a row."""
        return self.length // self.step

    @property
    def used_bins(self) -> slice:
        """The bins of the spectrum that the table meets, if none is negative."""
        return slice(self.first_bin, self.first_bin + self.table.shape[1])

    def per_root_scale(self, scales: Floats) -> FilterBank:
        """Return the filters divided by √s, as coherence needs them: S acts on W1 W2*/s."""
        roots = np.sqrt(scales)[:, None].astype(self.table.real.dtype)
        return replace(self, table=self.table / roots)

    def band(self, spectrum: Complexes) -> Complexes:
        """Return the bins of the filters of an `rfft` of length M."""
        return signed_bins(spectrum, self.first_bin, self.table.shape[1])

    def folded(self, band: Complexes, rows: slice = slice(None)) -> Complexes:
        """Return the spectra of some rows every D; shape (..., rows, P)."""
        return fold(band[..., None, :], self.table[rows], self.first_bin, self.period)

    def samples(self, band: Complexes, rows: slice = slice(None)) -> Complexes:
        """Return W(s, iD) of some rows for i < P; shape (..., rows, P).

        Parameters
        ----------
        band : ndarray, shape (..., bins)
            The bins of the filters of the signal's FFT of length M.
        """
        samples: Complexes = scipy.fft.ifft(self.folded(band, rows), axis=-1, overwrite_x=True)
        if self.real:
            samples.imag = 0
        return samples


def signed_bins(spectrum: Complexes, first: int, count: int) -> Complexes:
    """Return `count` bins from `first` on of a real signal's spectrum, negative ones included."""
    if first >= 0:
        return spectrum[..., first : first + count]
    negative = np.conj(spectrum[..., max(1, -first - count + 1) : -first + 1])[..., ::-1]
    positive = spectrum[..., : max(0, first + count)]
    return np.concatenate([negative, positive], axis=-1)


def fold(band: Complexes, table: NDArray[Any], first: int, period: int) -> Complexes:
    """Return `band` times `table`, bins from `first` on, summed modulo `period`."""
    shape = np.broadcast_shapes(band.shape, table.shape)
    folded = np.zeros((*shape[:-1], period), np.result_type(band, table))
    start, stop = first, first + shape[-1]
    while start < stop:
        end = min(stop, (start // period + 1) * period)
        part = slice(start - first, end - first)
        place = slice(start % period, start % period + end - start)
        if start - first < period and end - first <= period:
            np.multiply(band[..., part], table[..., part], out=folded[..., place])
        else:
            folded[..., place] += band[..., part] * table[..., part]
        start = end
    return folded


def power_of_two_below(x: float) -> int:
    """Return the largest power of two <= x, at least 1."""
    return max(1, 2 ** math.floor(math.log2(x))) if x >= 1 else 1


def fast_length(n: float, step: int) -> int:
    """Return a length >= n that is `step` times a number with small prime factors."""
    return step * int(scipy.fft.next_fast_len(math.ceil(n / step)))
