"""What all blocks of one octave share, built once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from pycwt_mod.arrays import Complexes, Convention, Floats, read_only
from pycwt_mod.engine.decimation import fast_length
from pycwt_mod.engine.filter_bank import FilterBank
from pycwt_mod.engine.grid import VoiceGrid
from pycwt_mod.engine.layout import BlockOp, OctaveLayout, grid_boxcar
from pycwt_mod.smoothing import gaussian_filter

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
    gauss : ndarray of float64, shape (rows, columns), or None
        Smoothing in time of coherence, per bin.
    boxcar : ndarray of float64, shape (k, rows), or None
        Its smoothing over scales, as a matrix.
    whole : ndarray of uint8, shape (k, n)
        The mask of a block without gaps.
    """

    freqs_hz: NDArray[np.float64]
    scales_s: NDArray[np.float64]
    filters: FilterBank
    columns: slice
    gauss: Floats | None
    boxcar: Floats | None
    whole: NDArray[np.uint8]

    def waves(self, channels: Floats) -> Complexes:
        """Return the rows of all channels, shape (channels, rows, columns)."""
        spectrum = scipy.fft.rfft(channels, self.filters.length, axis=-1)
        return self.filters.samples(self.filters.band(spectrum))

    def smoothed_in_time(self, rows: Complexes) -> Complexes:
        """Return complex128 `rows` convolved with the Gaussians, the tile alone.

        Overwrites `rows`.
        """
        if self.gauss is None:
            raise ValueError("only coherence is smoothed")
        spectrum = scipy.fft.fft(rows, axis=-1, overwrite_x=True)
        spectrum *= self.gauss
        full: Complexes = scipy.fft.ifft(spectrum, axis=-1, overwrite_x=True)
        return full[..., self.columns]

    def smoothed_over_scales(self, rows: NDArray[Any], weight: Floats) -> NDArray[Any]:
        """Return the boxcar over float64 or complex128 `rows` times `weight`; shape (..., k, n).

        Parameters
        ----------
        rows : ndarray, shape (..., rows, n)
        weight : ndarray, shape (..., rows)
        """
        if self.boxcar is None:
            raise ValueError("only coherence is smoothed")
        # Complex numbers as pairs: the weights are real.
        reals = np.ascontiguousarray(rows).view(self.boxcar.dtype)
        out: NDArray[Any] = (self.boxcar * weight[..., None, :] @ reals).view(rows.dtype)
        return out


@lru_cache(maxsize=256)
def octave_kernel(
    grid: VoiceGrid, layout: OctaveLayout, op: BlockOp, convention: Convention, kind: str
) -> OctaveKernel:
    """Return what blocks of this octave share; `kind` is the samples' dtype, as one character."""
    dtype = np.dtype(kind)
    scales = grid.scales_s[layout.rows] * grid.fs_hz
    length = fast_length(layout.tile + 2 * layout.margin, layout.step)
    filters = FilterBank.one_sided(grid.wavelet, scales, length, layout.step, dtype=dtype)
    gauss = boxcar = None
    if op == "wct":
        filters = filters.per_root_scale(scales)
        gauss = gaussian_filter(scales, length // layout.step, layout.step)
        boxcar = _boxcar(grid, layout, convention)
    first, n = layout.margin // layout.step, layout.tile // layout.step
    n_voices = layout.voices.stop - layout.voices.start
    return OctaveKernel(
        freqs_hz=read_only(grid.freqs_hz[layout.voices]),
        scales_s=read_only(grid.scales_s[layout.voices]),
        filters=filters, columns=slice(first, first + n), gauss=gauss, boxcar=boxcar,
        whole=read_only(np.zeros((n_voices, n), np.uint8)),
    )  # fmt: skip


def _boxcar(grid: VoiceGrid, layout: OctaveLayout, convention: Convention) -> NDArray[Any]:
    start = layout.rows.start
    keep = slice(layout.voices.start - start, layout.voices.stop - start)
    each = np.eye(layout.rows.stop - start, dtype=np.complex128)
    return np.ascontiguousarray(grid_boxcar(grid, "wct", convention).apply(each, keep).real)
