"""The coherence level of one octave of a live analysis, looked up."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pycwt_mod.arrays import Convention
from pycwt_mod.blocks.grid import VoiceGrid
from pycwt_mod.blocks.layout import OctaveLayout
from pycwt_mod.levels.table import LevelTable, check_noise

__all__ = ["block_level"]


def block_level(
    *,
    grid: VoiceGrid,
    layout: OctaveLayout,
    convention: Convention,
    al1: float,
    al2: float,
    level: float,
) -> NDArray[np.float64]:
    """Level of R² that unrelated red noises exceed with probability 1 - `level`; one octave.

    What `pycwt_mod.block_significance` simulates, from the table of instant levels: for
    endless white noise, from which that of other noise differs by less than 0.03 for Morlet 6
    and 0.05 for the others.

    Parameters
    ----------
    grid, layout, convention
        As for `compute_block`; the layout is one for "wct".
    al1, al2 : float
        AR(1) coefficients per sample of the signals, within what the table covers: up to 0.99
        for Morlet 6, 0.5 for the others. They have no other effect.
    level : float
        From 0.8 to 0.995.

    Returns
    -------
    ndarray, shape (k,), float64
        One level per published voice.

    Raises
    ------
    ValueError
        If an argument is out of range, or the table doesn't cover the noise or the grid.

    Examples
    --------
    >>> from pycwt_mod import Morlet, octave_layouts
    >>> grid = VoiceGrid(
    ...     fs_hz=125, fmin_hz=0.1, fmax_hz=8, voices_per_octave=12, wavelet=Morlet()
    ... )
    >>> layout = octave_layouts(grid, op="wct", hop_s=2, convention="standard")[2]
    >>> levels = block_level(
    ...     grid=grid, layout=layout, convention="standard", al1=0.5, al2=0.9, level=0.95
    ... )
    >>> len(levels), bool((abs(levels - 0.71) < 0.01).all())
    (12, True)
    """
    table = LevelTable.of(grid.wavelet, 1 / grid.voices_per_octave, convention)
    check_noise(grid.wavelet, al1, al2)
    s0 = float(grid.scales_s[0] * grid.fs_hz)
    return table.endless(s0, grid.n_voices, level)[0][layout.voices]
