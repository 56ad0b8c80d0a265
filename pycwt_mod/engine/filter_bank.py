"""The wavelets' spectra, tabulated: from the spectrum of a signal to rows sampled every D.

A row W(s, n) is the inverse transform of the signal's spectrum times the wavelet's, which is zero
outside of a band. Its samples at n = 0, D, 2D … are *exactly* an inverse FFT of length P = M/D of
that band folded modulo P, divided by D: no filter is designed and nothing is interpolated. D only
decides whether the samples describe the row in full: they do if 2π/D is at least the width of the
band at scale s.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from pycwt_mod.arrays import Complexes, Floats, complex_dtype
from pycwt_mod.engine.bands import Band, used_bins
from pycwt_mod.engine.spec import TransformSpec
from pycwt_mod.wavelets import Wavelet

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
