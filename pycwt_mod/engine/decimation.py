"""The engine: rows of a wavelet transform, sampled every D, from a folded band.

A row W(s, n) is the inverse transform of the signal's spectrum times the wavelet's. Its
samples at n = 0, D, 2D … are *exactly* an inverse FFT of length P = M/D of that product folded
modulo P, divided by D: no filter is designed and nothing is interpolated. D only decides
whether the samples describe the row in full: they do if 2π/D is at least the width of the
band at scale s. Every octave so has the same number of rows and half as many samples as the
one below.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from pycwt_mod.arrays import Complexes, Floats, complex_dtype
from pycwt_mod.wavelets import Wavelet

#: Where the band of a row is cut, as a part of the wavelet's maximum.
BAND_TOL = 1e-9


def power_of_two_below(x: float) -> int:
    """Return the largest power of two <= x, at least 1."""
    return max(1, 2 ** math.floor(math.log2(x))) if x >= 1 else 1


def fast_length(n: float, step: int) -> int:
    """Return a length >= n that is `step` times a number with small prime factors."""
    return step * int(scipy.fft.next_fast_len(math.ceil(n / step)))


@dataclass(frozen=True, eq=False)
class DecimatedFilterBank:
    """The filters of some rows at one step, built once and used for many signals.

    Attributes
    ----------
    length, step : int
        M and D; M is a multiple of D.
    first_bin : int
        Spectrum bin of the first column of `table`, a multiple of P = M/D.
    table : ndarray, shape (rows, folds * P), real or complex
        √(2πs) ψ̂0*(sω)/D per row and bin; real wavelets carry the factor 2 of their other half.
    real : bool
        Whether the rows are the real part of what the table gives (real wavelets).
    """

    length: int
    step: int
    first_bin: int
    table: NDArray[Any]
    real: bool

    @classmethod
    def build(
        cls,
        wavelet: Wavelet,
        scales: Floats,
        length: int,
        step: int,
        *,
        dtype: np.dtype[Any],
        tol: float = BAND_TOL,
    ) -> DecimatedFilterBank:
        """Tabulate the filters for `scales` in samples; `dtype` is the signal's."""
        period = length // step
        low, high = wavelet.frequency_band(tol)
        to_bin = length / (2 * np.pi)
        first = int(low / scales.max() * to_bin) // period * period
        last = min(length // 2, math.ceil(high / scales.min() * to_bin))
        width = math.ceil((last + 1 - first) / period) * period
        bins = np.arange(first, first + width)
        omega = 2 * np.pi * bins / length
        table = np.conj(wavelet.psi_ft(scales[:, None] * omega))
        table *= np.sqrt(2 * np.pi * scales)[:, None] / step
        table[:, (bins > length // 2) | (bins == 0)] = 0
        if not wavelet.analytic:
            table = table * np.where(2 * bins == length, 1, 2)
        kind = dtype if not np.iscomplexobj(table) else complex_dtype(dtype)
        return cls(length, step, first, table.astype(kind), not wavelet.analytic)

    @property
    def used_bins(self) -> slice:
        """The spectrum bins that the table meets."""
        last = min(self.first_bin + self.table.shape[1], self.length // 2 + 1)
        return slice(self.first_bin, last)

    def rows(self, band: Complexes, workers: int = 1) -> Complexes:
        """Return W(s, iD) for i < P; shape (..., rows, P).

        Parameters
        ----------
        band : ndarray, shape (..., bins)
            The `used_bins` of the signal's `rfft` of length M.
        """
        period = self.length // self.step
        n_rows = self.table.shape[0]
        folded = np.zeros((*band.shape[:-1], n_rows, period), dtype=complex_dtype(band.dtype))
        for start in range(0, band.shape[-1], period):
            piece = band[..., None, start : start + period]
            width = piece.shape[-1]
            folded[..., :width] += piece * self.table[:, start : start + width]
        rows: Complexes = scipy.fft.ifft(folded, axis=-1, overwrite_x=True, workers=workers)
        if self.real:
            rows.imag = 0
        return rows
