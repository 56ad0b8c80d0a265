"""Which values of a block a missing sample may affect."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pycwt_mod.arrays import Bools, Convention
from pycwt_mod.engine.layout import BlockOp, OctaveLayout, VoiceGrid, grid_boxcar, support_radius


def block_mask(
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
