"""The tables that all blocks of one octave share, built once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from pycwt_mod.arrays import Complexes, Convention, Floats, read_only
from pycwt_mod.engine.filter_bank import FilterBank, fast_length
from pycwt_mod.engine.layout import BlockOp, OctaveLayout, VoiceGrid, grid_boxcar
from pycwt_mod.smoothing import CircularSmoother, gaussian_filter

__all__ = ["OctaveKernel", "octave_kernel"]


@dataclass(frozen=True, kw_only=True, eq=False)
class OctaveKernel:
    """The axes, filters and smoothing of one octave, for one precision.

    Attributes
    ----------
    freqs_hz, scales_s : ndarray, shape (k,)
    filters : FilterBank
    columns : slice
        Those of the filters' rows that lie in the tile.
    smoother : CircularSmoother or None
        For coherence, in double precision.
    whole : ndarray of uint8, shape (k, n)
        The mask of a block without gaps.
    most_energy : float
        With less than this sum of squares of the samples, no coefficient overflows, and no
        product of two.
    """

    freqs_hz: NDArray[np.float64]
    scales_s: NDArray[np.float64]
    filters: FilterBank
    columns: slice
    smoother: CircularSmoother | None
    whole: NDArray[np.uint8]
    most_energy: float

    def stays_in_range(self, samples: Floats) -> bool:
        """Return whether products of coefficients cannot overflow; False if that is not certain.

        Samples with NaN give False.
        """
        # Unlike numpy.dot, vdot does not warn of an overflow.
        return bool(np.vdot(samples, samples) < self.most_energy)

    def waves(self, channels: Floats) -> Complexes:
        """Return the rows of all channels, shape (channels, rows, columns)."""
        spectrum = scipy.fft.rfft(channels, self.filters.length, axis=-1)
        return self.filters.samples(self.filters.band(spectrum))

    def smoothed(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Return S(rows) of the published voices over the tile; shape (..., k, n)."""
        if self.smoother is None:
            raise ValueError("only coherence is smoothed")
        return self.smoother.smooth(rows, self.columns)


@lru_cache(maxsize=256)
def octave_kernel(
    grid: VoiceGrid, layout: OctaveLayout, op: BlockOp, convention: Convention, kind: str
) -> OctaveKernel:
    """Return the tables of this octave; `kind` is the samples' dtype, as one character."""
    dtype = np.dtype(kind)
    scales = grid.scales_s[layout.rows] * grid.fs_hz
    length = fast_length(layout.tile + 2 * layout.margin, layout.step)
    filters = FilterBank.one_sided(grid.wavelet, scales, length, layout.step, dtype=dtype)
    smoother = None
    if op == "wct":
        filters = filters.per_root_scale(scales)
        gauss = gaussian_filter(scales, length // layout.step, layout.step)
        start = layout.rows.start
        keep = slice(layout.voices.start - start, layout.voices.stop - start)
        boxcar = grid_boxcar(grid, op, convention)
        smoother = CircularSmoother(gauss, boxcar, keep, boxcar.matrix(len(scales), keep))
    first, n = layout.margin // layout.step, layout.tile // layout.step
    n_voices = layout.voices.stop - layout.voices.start
    return OctaveKernel(
        freqs_hz=read_only(grid.freqs_hz[layout.voices]),
        scales_s=read_only(grid.scales_s[layout.voices]),
        filters=filters, columns=slice(first, first + n), smoother=smoother,
        whole=read_only(np.zeros((n_voices, n), np.uint8)), most_energy=_most_energy(filters),
    )  # fmt: skip


def _most_energy(filters: FilterBank) -> float:
    """Return the sum of squares of the samples below which |W|² fits the filters' dtype.

    By Cauchy and Schwarz no bin of the spectrum exceeds √(M Σx²), and what is computed of it
    stays below that times the sum over a row's filter, or times 1. The factor 4 is for the sum of
    two squares, and for rounding.
    """
    gain = max(1.0, float(np.abs(filters.table).sum(axis=1, dtype=np.float64).max()))
    return float(np.finfo(filters.table.dtype).max) / (4 * filters.length * gain**2)
