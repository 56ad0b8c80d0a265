"""Rows of a transform from the spectrum of the whole record, by circular convolution."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pycwt_mod.arrays import Complexes, complex_dtype
from pycwt_mod.engine.filter_bank import FilterBank, TransformSpec
from pycwt_mod.engine.upsampling import Upsampler

#: Rows are transformed in chunks of about this many bytes, to stay in the cache.
_CHUNK_BYTES = 2**22
#: FFT libraries compute this many rows at once in the lanes of a vector register.
_LANES = 4


@dataclass(frozen=True, eq=False)
class CircularConvolution:
    """Rows that are computed from one FFT of the padded record, by one inverse FFT each.

    Attributes
    ----------
    index : ndarray of int
        Their places among the scales of the analysis.
    bank : FilterBank
        Filters, multiplied by the correction of `upsampler`.
    upsampler : Upsampler or None
        Computes all samples from every D-th one. If None, the same filters compute the samples in
        between, from the spectrum of the signal shifted by less than D: FFTs of length P fit
        into the cache where those of length M would not.
    """

    index: NDArray[np.intp]
    bank: FilterBank
    upsampler: Upsampler | None

    @classmethod
    def build(
        cls,
        spec: TransformSpec,
        index: NDArray[np.intp],
        length: int,
        step: int,
        *,
        upsample: bool,
    ) -> CircularConvolution:
        """Tabulate the filters of the rows `index`."""
        bank = FilterBank.for_band(spec, spec.scales[index], length, step)
        kernel = None
        if upsample:
            count = bank.table.shape[1]
            omega = (bank.first_bin + np.arange(count)) * (2 * math.pi / length)
            used = count * step / length
            centre = (omega[0] + omega[-1]) / 2
            kernel = Upsampler.build(step, 1 / used, spec.rtol, dtype=spec.dtype, centre=centre)
            bank.table[...] *= kernel.correction(omega).astype(spec.dtype)
        return cls(index, bank, kernel)

    @property
    def length(self) -> int:
        """M, the circle that the record is padded to."""
        return self.bank.length

    @property
    def step(self) -> int:
        """D, the step of the samples of a row."""
        return self.bank.step

    def chunks(self) -> list[slice]:
        """Return the rows in portions that stay in the cache."""
        row_bytes = self.bank.period * complex_dtype(self.bank.table.real.dtype).itemsize
        per_chunk = max(_LANES, _CHUNK_BYTES // row_bytes)
        return [slice(k, k + per_chunk) for k in range(0, len(self.index), per_chunk)]

    def samples(self, spectrum: Complexes, rows: slice, offset: int = 0) -> Complexes:
        """Return every D-th sample of the circular rows from `offset` on; shape (..., rows, P).

        Parameters
        ----------
        spectrum : ndarray, shape (..., M // 2 + 1)
            `rfft` of length M of the signal.
        """
        band = self.bank.band(spectrum)
        if offset:
            bins = self.bank.first_bin + np.arange(band.shape[-1])
            band = band * np.exp((2j * math.pi * offset / self.length) * bins).astype(band.dtype)
        return self.bank.samples(band, rows)

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
