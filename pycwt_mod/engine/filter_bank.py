"""Rows of a transform that share a sampling step: from a spectrum to their samples.

A row is the inverse transform of the signal's spectrum times the wavelet's, which is zero but
in a band. Its samples every D are *exactly* the inverse FFT of length P = M/D of that band
folded modulo P.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from pycwt_mod.arrays import Complexes, Convention, Floats, complex_dtype
from pycwt_mod.engine.bands import Band, used_bins
from pycwt_mod.engine.upsampling import Upsampler
from pycwt_mod.wavelets import Wavelet

#: Rows are transformed in chunks of about this many bytes, to stay in the cache.
_CHUNK_BYTES = 2**22
#: FFT libraries compute this many rows at once in the lanes of a vector register.
_LANES = 4


@dataclass(frozen=True, eq=False)
class FilterBank:
    """The filters of some rows at one step, built once and used for many signals.

    Attributes
    ----------
    index : ndarray of int
        Their places among the scales of the analysis.
    length, step : int
        M and D; M is a multiple of D.
    first_bin : int
        FFT bin of the first column of `table`; negative for negative frequencies.
    table : ndarray, shape (rows, bins)
        √(2πs) ψ̂0*(sω)/D, times what `upsampler` asks for.
    upsampler : Upsampler or None
        How to get from every D-th sample to all. If None, the same filters give the samples in
        between, from the spectrum of the signal shifted by less than D: FFTs of length P stay
        in the cache where those of length M wouldn't.
    """

    index: NDArray[np.intp]
    length: int
    step: int
    first_bin: int
    table: NDArray[Any]
    upsampler: Upsampler | None

    @classmethod
    def build(
        cls,
        wavelet: Wavelet,
        scales: Floats,
        index: NDArray[np.intp],
        length: int,
        step: int,
        *,
        convention: Convention,
        dtype: np.dtype[Any],
        rtol: float,
        upsample: bool,
    ) -> FilterBank:
        """Tabulate the filters for `scales`, in samples."""
        band = Band.of(wavelet, rtol, convention)
        ends = float(scales.min()), float(scales.max())
        first, last = used_bins(wavelet, band, *ends, convention, length)
        omega = np.arange(first, last + 1) * (2 * math.pi / length)
        table = np.conj(wavelet.psi_ft((scales[:, None] * omega).astype(dtype)))
        gain = np.sqrt(2 * np.pi * scales) / step
        kind = dtype if not np.iscomplexobj(table) else complex_dtype(dtype)
        table = (table * gain[:, None].astype(dtype)).astype(kind, copy=False)
        kernel = None
        if upsample:
            used = max(last - first + 1, 1) * step / length
            centre = (omega[0] + omega[-1]) / 2
            kernel = Upsampler.build(step, 1 / used, rtol, dtype=dtype, centre=centre)
            table *= kernel.correction(omega).astype(dtype)
        return cls(index, length, step, first, table, kernel)

    def chunks(self) -> list[slice]:
        """Return the rows in portions that stay in the cache."""
        row_bytes = self.length // self.step * complex_dtype(self.table.real.dtype).itemsize
        per_chunk = max(_LANES, _CHUNK_BYTES // row_bytes)
        return [slice(k, k + per_chunk) for k in range(0, len(self.index), per_chunk)]

    def samples(self, spectrum: Complexes, rows: slice, offset: int = 0) -> Complexes:
        """Return every D-th sample of the circular rows from `offset` on; shape (..., rows, P).

        Parameters
        ----------
        spectrum : ndarray, shape (..., M // 2 + 1)
            `rfft` of length M of the signal.
        """
        table = self.table[rows]
        band = signed_bins(spectrum, self.first_bin, table.shape[1])
        if offset:
            bins = self.first_bin + np.arange(table.shape[1])
            band = band * np.exp((2j * math.pi * offset / self.length) * bins).astype(band.dtype)
        folded = fold(band[..., None, :], table, self.first_bin, self.length // self.step)
        found: Complexes = scipy.fft.ifft(folded, axis=-1, overwrite_x=True)
        return found

    def write(self, spectrum: Complexes, rows: slice, out: Complexes) -> None:
        """Compute some rows of one signal at every sample; `out` has shape (scales, n)."""
        targets = self.index[rows]
        if self.upsampler is not None:
            for row, target in zip(self.samples(spectrum, rows), targets, strict=True):
                self.upsampler.write(row, out[target])
            return
        for offset in range(self.step):
            places = out[:, offset :: self.step]
            for row, target in zip(self.samples(spectrum, rows, offset), targets, strict=True):
                places[target] = row[: places.shape[-1]]


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
