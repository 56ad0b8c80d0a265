"""From a window of many channels to the coherence of their pairs: a pure function.

The block of a pair is what `pycwt_mod.streaming.compute_blocks` gives of it. Here the spectra of a
pair are smoothed by matrix products, which are faster than FFTs from a few pairs on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pycwt_mod.arrays import (
    Bools,
    Convention,
    Floats,
    Summarised,
    percentage,
    plain_array,
    span,
)
from pycwt_mod.engine.flat_stretches import flat_stretches
from pycwt_mod.engine.layout import BlockOp, OctaveLayout, VoiceGrid
from pycwt_mod.engine.pairs import (
    Pairs,
    PairSmoother,
    coherencies,
    planes,
    write_coherence,
)
from pycwt_mod.streaming.block import Block
from pycwt_mod.streaming.compute import (
    Quantity,
    Sets,
    block_mask,
    check_window,
    compute_blocks,
    filled_buffer,
    octave_kernel,
)

__all__ = ["PairsBlock", "compute_pairs", "compute_sets"]

#: From this number of pairs on, matrix products are faster than FFTs.
MANY_PAIRS = 16


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class PairsBlock(Summarised):
    """The coherence of many pairs in one octave over one tile.

    Attributes
    ----------
    pairs : tuple of (int, int)
    freqs_hz, scales_s : ndarray, shape (k,), read-only
    values : ndarray, shape (pairs, k, n)
        R².
    phase : ndarray, shape (pairs, k, n), or None
        That of the smoothed cross spectrum, by which the first channel leads, if requested.
    mask : ndarray of uint8, shape (channels, k, n)
        Of each channel, as of `pycwt_mod.Block`. A pair is masked where either channel is.
    """

    pairs: tuple[tuple[int, int], ...]
    freqs_hz: NDArray[np.float64]
    scales_s: NDArray[np.float64]
    values: Floats
    phase: Floats | None
    mask: NDArray[np.uint8]

    def _facts(self) -> dict[str, str]:
        return {
            "shape": str(self.values.shape),
            "dtype": str(self.values.dtype),
            "frequencies": span(self.freqs_hz, "Hz"),
            "masked channels": percentage(self.mask),
        }

    def block(self, place: int) -> Block:
        """Return the block of the pair at `place`; its values are views."""
        one, other = self.pairs[place]
        return Block(
            freqs_hz=self.freqs_hz, scales_s=self.scales_s,
            values=self.values[place],
            phase=None if self.phase is None else self.phase[place],
            mask=self.mask[one] | self.mask[other],
        )  # fmt: skip


def compute_pairs(
    window: NDArray[Any],
    pairs: Sequence[tuple[int, ...]],
    *,
    window_first: int,
    tile_first: int,
    grid: VoiceGrid,
    layout: OctaveLayout,
    convention: Convention,
    every: int = 1,
    with_phase: bool = True,
) -> PairsBlock:
    """Return the coherence of pairs of channels of one window.

    Transforms are computed in double precision, products and sums in that of the window.

    Parameters
    ----------
    window : ndarray, shape (samples, channels), float32 or float64
        NaN, infinite and masked values are missing.
    pairs : sequence of (int, int)
        Columns of `window`.
    window_first, tile_first, grid, layout, convention
        As for `compute_block`, of "wct".
    every : int
        Columns per output: outputs are at ``tile_first + step * every * i``.
    with_phase : bool
        Compute the phase too.

    Raises
    ------
    ValueError
        If the window has the wrong shape or type, a pair names other columns than there are, or
        the tile is not a multiple of `every` steps.
    """
    if isinstance(window, np.ma.MaskedArray):
        window = plain_array("window", window)
    check_window(window, pairs, "wct", "coherence", convention)
    if layout.tile % (layout.step * every):
        raise ValueError(f"{every=} must divide the {layout.tile // layout.step} columns of a tile")
    chosen = tuple((int(one), int(other)) for one, other in pairs)
    kind = window.dtype
    shared = octave_kernel(grid, layout, "wct", convention, "d")
    stretches = flat_stretches(window.T, shared.least_flat)
    valid: Bools = np.isfinite(window)
    whole = bool(valid.all())
    with np.errstate(over="ignore", invalid="ignore"):
        signal, missing = filled_buffer(
            window if whole else np.where(valid, window, 0), None if whole else valid,
            window_first, tile_first - layout.margin, layout, np.dtype(np.float64),
        )  # fmt: skip
        waves = shared.waves(signal)
    rows, n = shared.whole.shape[0], shared.whole.shape[1] // every
    mask = np.zeros((window.shape[1], rows, n), np.uint8)
    if missing is not None:
        _write_gaps(mask, missing, grid, layout, convention, every)
    zero = np.zeros(mask.shape, np.bool_)
    if stretches is not None:
        at = tile_first - window_first
        flat = stretches.mask(shared.radii, shared.whole.shape[1], layout.step, at)
        zero |= flat[..., ::every]
    lost = ~np.isfinite(waves).all(axis=(1, 2))  # out of the range of float64
    waves[lost] = 0
    zero[lost] = True
    mask |= zero
    smoother = _pair_smoother(grid, layout, convention, kind.char, every)
    values = np.empty((len(chosen), rows, n), kind)
    phase = np.empty_like(values) if with_phase else None
    first = shared.columns.start - smoother.reach
    around = np.arange(first, first + smoother.needed(n))
    inside = (around >= 0) & (around < waves.shape[-1])
    parts = planes(iter(waves), len(waves), kind)
    parts = np.where(inside, parts[..., np.clip(around, 0, waves.shape[-1] - 1)], kind.type(0))
    for places, coherency in coherencies(smoother, parts[0], parts[1], chosen):
        write_coherence(coherency, places, values, phase)
    _write_zeros(zero, chosen, values, phase)
    return PairsBlock(
        pairs=chosen, freqs_hz=shared.freqs_hz, scales_s=shared.scales_s,
        values=values, phase=phase, mask=mask,
    )  # fmt: skip


def compute_sets(
    window: NDArray[Any],
    sets: Sets,
    *,
    window_first: int,
    tile_first: int,
    grid: VoiceGrid,
    layout: OctaveLayout,
    op: BlockOp,
    quantity: Quantity,
    convention: Convention,
) -> tuple[Block, ...]:
    """Return what `compute_blocks` gives, by `compute_pairs` if it is faster."""
    check_window(window, sets, op, quantity, convention)
    if op != "wct" or len(sets) < MANY_PAIRS:
        return compute_blocks(
            window, sets, window_first=window_first, tile_first=tile_first, grid=grid,
            layout=layout, op=op, quantity=quantity, convention=convention,
        )  # fmt: skip
    together = compute_pairs(
        window, sets, window_first=window_first, tile_first=tile_first, grid=grid,
        layout=layout, convention=convention,
    )  # fmt: skip
    return tuple(map(together.block, range(len(sets))))


def _write_gaps(
    mask: NDArray[np.uint8],
    missing: Bools,
    grid: VoiceGrid,
    layout: OctaveLayout,
    convention: Convention,
    every: int,
) -> None:
    """Set the mask of each channel near its missing samples."""
    patterns, which = np.unique(missing, axis=0, return_inverse=True)
    masks = [block_mask(pattern, grid, layout, "wct", convention) for pattern in patterns]
    for out, k in zip(mask, which.reshape(-1), strict=True):
        out[...] = masks[k][:, ::every]


def _write_zeros(zero: Bools, pairs: Pairs, values: Floats, phase: Floats | None) -> None:
    """Set R² and phase to 0 where either channel of a pair has only rounding errors."""
    some: Bools = np.logical_or.reduce(zero, axis=(1, 2))
    for place, (one, other) in enumerate(pairs):
        if some[one] or some[other]:
            either = zero[one] | zero[other]
            values[place][either] = 0
            if phase is not None:
                phase[place][either] = 0


@lru_cache(maxsize=64)
def _pair_smoother(
    grid: VoiceGrid, layout: OctaveLayout, convention: Convention, kind: str, every: int
) -> PairSmoother:
    shared = octave_kernel(grid, layout, "wct", convention, "d")
    if shared.smoother is None or shared.smoother.matrix is None:
        raise ValueError("only coherence is smoothed")
    scales = grid.scales_s[layout.rows] * grid.fs_hz / layout.step
    return PairSmoother.build(scales, shared.smoother.matrix, every=every, dtype=np.dtype(kind))
