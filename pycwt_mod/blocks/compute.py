"""From a window of samples to one block of results: a pure function.

The window is laid into a buffer of tile and margins, and missing samples are replaced by the
mean of the valid ones. Rows come from `pycwt_mod.bandfold` at the octave's step. What a
missing sample may have touched is masked; the rest equals the offline transform.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, TypeAlias

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from pycwt_mod.arrays import Bools, Complexes, Convention, Floats, check_convention
from pycwt_mod.bandfold import FoldedRows, folded_length
from pycwt_mod.blocks.grid import VoiceGrid
from pycwt_mod.blocks.layout import BlockOp, OctaveLayout, check_op, grid_boxcar, support_radius
from pycwt_mod.smoothing import coherence, gaussian_filter, smooth_in_time

Quantity: TypeAlias = Literal["complex", "power", "amplitude", "phase", "coherence"]

#: What each operation can publish.
QUANTITIES: dict[BlockOp, tuple[Quantity, ...]] = {
    "cwt": ("complex", "power", "amplitude", "phase"),
    "xwt": ("complex", "power", "amplitude", "phase"),
    "wct": ("coherence",),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Block:
    """The results of one octave over one tile.

    Attributes
    ----------
    freqs_hz, scales_s : ndarray, shape (k,)
    values : ndarray, shape (k, n)
        complex64 or float32 for a float32 window, double that for float64; always finite.
    phase : ndarray, shape (k, n), or None
        For "xwt" the argument of the cross spectrum, for "wct" of the smoothed one: the phase
        by which the first channel leads, in radians.
    mask : ndarray of uint8, shape (k, n)
        1 where a missing sample lies within the support of the row.
    """

    freqs_hz: NDArray[np.float64]
    scales_s: NDArray[np.float64]
    values: NDArray[Any]
    phase: NDArray[Any] | None
    mask: NDArray[np.uint8]


def compute_block(
    window: NDArray[Any],
    *,
    window_first: int,
    tile_first: int,
    grid: VoiceGrid,
    layout: OctaveLayout,
    op: BlockOp,
    quantity: Quantity,
    convention: Convention,
) -> Block:
    """Return the block whose outputs are at ``tile_first + step * i`` for i < tile/step.

    Parameters
    ----------
    window : ndarray, shape (samples, channels), float32 or float64
        NaN means missing, and so is everything outside the window. One channel for "cwt",
        two for the others.
    window_first : int
        Sample index of the first row of `window`.
    tile_first : int
        Sample index of the first output. For outputs that join on, a multiple of the tile.
    grid, layout
        The analysis, and one of its `octave_layouts` for the same `op` and `convention`.
    op : {"cwt", "xwt", "wct"}
    quantity : {"complex", "power", "amplitude", "phase", "coherence"}
        "power" is |W|², or |W1 W2*| for "xwt"; "amplitude" is its root. "wct" has "coherence".
    convention : {"standard", "pycwt"}
        A constant offset is removed in both; pycwt's offline `cwt` keeps it, so that with a
        large one the steps at the ends of its record are felt far beyond the mask.

    Returns
    -------
    Block
        In units of the signals (their product for "xwt"); no standard deviation is divided out.

    Raises
    ------
    ValueError
        If the window has the wrong shape or type, or `op` can't give `quantity`.
    """
    _check(window, op, quantity, convention)
    signal, missing = _buffer(window, window_first, tile_first - layout.margin, layout)
    filters, gauss = _filters(
        grid, op, layout.rows.start, layout.rows.stop, layout.step, len(signal), signal.dtype.char
    )
    spectrum = scipy.fft.rfft(signal, filters.length, axis=0)
    waves = filters.rows(np.ascontiguousarray(spectrum[filters.used_bins].T))
    first = layout.margin // layout.step
    columns = slice(first, first + layout.tile // layout.step)
    phase: NDArray[Any] | None = None
    values: NDArray[Any]
    if op == "wct":
        values, phase = _coherence(waves, gauss, columns, grid, layout, convention)
    else:
        kept = waves[..., columns]
        coefs = kept[0] if op == "cwt" else kept[0] * np.conj(kept[1])
        phase = np.angle(coefs) if op == "xwt" else None
        values = _quantity(coefs, op, quantity)
    return Block(
        freqs_hz=grid.freqs_hz[layout.voices],
        scales_s=grid.scales_s[layout.voices],
        values=values,
        phase=phase,
        mask=_mask(missing, grid, layout, op, convention),
    )


def _check(window: NDArray[Any], op: BlockOp, quantity: Quantity, convention: Convention) -> None:
    check_op(op)
    check_convention(convention)
    if quantity not in QUANTITIES[op]:
        raise ValueError(f"{quantity=} must be one of {QUANTITIES[op]} for {op=}")
    channels = 1 if op == "cwt" else 2
    if window.ndim != 2 or window.shape[1] != channels:
        raise ValueError(f"window has shape {window.shape}, but must be (samples, {channels})")
    if window.dtype not in (np.float32, np.float64):
        raise ValueError(f"window has dtype {window.dtype}, but must be float32 or float64")


def _buffer(
    window: NDArray[Any], window_first: int, buffer_first: int, layout: OctaveLayout
) -> tuple[Floats, Bools]:
    """Return tile and margins with missing samples filled, their mean removed; and the gaps."""
    size = layout.tile + 2 * layout.margin
    buffer = np.full((size, window.shape[1]), np.nan)
    low = max(window_first, buffer_first)
    high = min(window_first + len(window), buffer_first + size)
    if high > low:
        part = window[low - window_first : high - window_first]
        buffer[low - buffer_first : high - buffer_first] = part
    valid = np.isfinite(buffer)
    count = np.maximum(valid.sum(axis=0), 1)
    # The mean goes before single precision does: raw counts may sit on a large offset.
    mean = np.where(valid, buffer, 0.0).sum(axis=0) / count
    filled = np.where(valid, buffer - mean, 0.0)
    return filled.astype(window.dtype), ~valid.all(axis=1)


@lru_cache(maxsize=128)
def _filters(
    grid: VoiceGrid, op: BlockOp, first: int, last: int, step: int, size: int, kind: str
) -> tuple[FoldedRows, Floats]:
    """Return the filters of some rows, and of the time smoothing; built once per layout."""
    scales = grid.scales_s[first:last] * grid.fs_hz
    length = folded_length(size, step)
    dtype = np.dtype(kind)
    filters = FoldedRows.build(grid.wavelet, scales, length, step, dtype=dtype)
    if op != "wct":
        return filters, np.empty((0, 0))
    filters.table[...] /= np.sqrt(scales).astype(dtype)[:, None]
    gauss = gaussian_filter(scales, length // step, step)
    return filters, gauss.astype(dtype)


def _coherence(
    waves: Complexes,
    gauss: Floats,
    columns: slice,
    grid: VoiceGrid,
    layout: OctaveLayout,
    convention: Convention,
) -> tuple[Floats, Floats]:
    auto, cross = smooth_in_time(waves[0], waves[1], gauss)
    boxcar = grid_boxcar(grid, "wct", convention)
    keep = slice(layout.voices.start - layout.rows.start, layout.voices.stop - layout.rows.start)
    auto = boxcar.apply(auto[:, columns], keep)
    cross = boxcar.apply(cross[:, columns], keep)
    return coherence(auto, cross), np.angle(cross)


def _quantity(coefs: Complexes, op: BlockOp, quantity: Quantity) -> NDArray[Any]:
    if quantity == "complex":
        return coefs
    if quantity == "phase":
        return np.angle(coefs)
    size: Floats = np.abs(coefs)
    if op == "xwt":
        return size if quantity == "power" else np.sqrt(size)
    return size * size if quantity == "power" else size


def _mask(
    missing: Bools, grid: VoiceGrid, layout: OctaveLayout, op: BlockOp, convention: Convention
) -> NDArray[np.uint8]:
    """Return where a gap is within the radius of the row, or of its largest neighbour."""
    n_out = layout.tile // layout.step
    n_voices = layout.voices.stop - layout.voices.start
    if not missing.any():
        return np.zeros((n_voices, n_out), np.uint8)
    boxcar = grid_boxcar(grid, op, convention)
    largest = np.arange(layout.voices.start, layout.voices.stop) + boxcar.last
    scales = grid.scales_s[np.minimum(largest, grid.n_voices - 1)] * grid.fs_hz
    radius = np.ceil(support_radius(grid.wavelet, op, layout.rtol) * scales).astype(np.int64)
    gaps_before = np.concatenate([[0], np.cumsum(missing)])
    centre = layout.margin + np.arange(n_out) * layout.step
    low = np.maximum(centre - radius[:, None], 0)
    high = np.minimum(centre + radius[:, None] + 1, len(missing))
    near: Bools = gaps_before[high] > gaps_before[low]
    return near.astype(np.uint8)
