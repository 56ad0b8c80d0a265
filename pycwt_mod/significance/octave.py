"""Threshold of coherence for one octave of a live analysis, simulated or looked up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pycwt_mod.arrays import Convention, check_convention, check_count, check_lag1, check_level
from pycwt_mod.conditioning import Statistic
from pycwt_mod.engine.layout import OctaveLayout, VoiceGrid, grid_boxcar
from pycwt_mod.rednoise import Seed
from pycwt_mod.significance.coherence import entropy_of
from pycwt_mod.significance.simulation import quantile, surrogate_octave
from pycwt_mod.significance.surrogates import SurrogateTask, run_task
from pycwt_mod.significance.table.level_table import LevelTable


def block_significance(
    *,
    grid: VoiceGrid,
    layout: OctaveLayout,
    convention: Convention,
    al1: float,
    al2: float,
    level: float,
    mc_count: int,
    seed: Seed,
    others: Sequence[float] = (),
    statistic: Statistic = "coherence",
) -> NDArray[np.float64]:
    """Threshold of R² that unrelated red noises exceed with probability 1 - `level`; one octave.

    A row depends only on the noise within its band, so its coherence under the null hypothesis
    depends only on the shape of the AR(1) spectrum there, not on the sampling rate or on other
    octaves. The spectrum of the noise is therefore drawn only for the bins of the octave's band,
    AR(1) at the signal's own rate, and folded to the octave's own step, where it is circular:
    endless, without a cone of influence, as in a stream whose edges are masked.

    Parameters
    ----------
    grid, layout, convention
        As for `compute_block`; the layout is one for "wct".
    al1, al2 : float
        AR(1) coefficients per sample of the signals.
    level : float
        Significance level, between 0 and 1.
    mc_count : int
        Surrogate pairs, each 64 of the octave's largest scales long.
    seed : int, SeedSequence, Generator or None
        The same seed gives the same thresholds, bit for bit.
    others, statistic
        As for `wct_significance`.

    Returns
    -------
    ndarray, shape (k,), float64
        One threshold per published voice.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    check_convention(convention)
    scales = grid.scales_s[layout.rows] * grid.fs_hz
    start = layout.rows.start
    rows = surrogate_octave(
        grid.wavelet,
        tuple(float(s) for s in scales),
        (layout.voices.start - start, layout.voices.stop - start),
        grid_boxcar(grid, "wct", convention),
        check_lag1("al1", al1),
        check_lag1("al2", al2),
        *(check_lag1(f"others[{k}]", lag) for k, lag in enumerate(others)),
    )
    rows = replace(rows, statistic=statistic)
    pairs = check_count("mc_count", mc_count)
    check_level("level", level)
    task = SurrogateTask(
        rows=rows, pairs=pairs, entropy=entropy_of(seed), spawn_key=(layout.octave,)
    )
    return np.array([quantile(histogram, level) for histogram in run_task(task)])


def block_level(
    *,
    grid: VoiceGrid,
    layout: OctaveLayout,
    convention: Convention,
    al1: float,
    al2: float,
    level: float,
) -> NDArray[np.float64]:
    """Threshold of R² that unrelated red noises exceed with probability 1 - `level`; one octave.

    The result of `pycwt_mod.block_significance`, looked up in a tenth of a millisecond once the
    table is read. Rows near both ends of the grid have their own thresholds, since they lack
    neighbours to be averaged with, and so have rows near Nyquist.

    The error in R² at level 0.95 is below 0.015 for Morlet 6, 0.025 for Paul 4 and 0.03 for DOG 2
    and DOG 6, compared with simulations of 600 pairs, whose own error is part of it; see
    docs/decisions/0011-instant-levels.md.

    Parameters
    ----------
    grid, layout, convention
        As for `compute_block`; the layout is one for "wct". The grid must be so long that no row
        feels both its ends, about an octave for Morlet.
    al1, al2 : float
        AR(1) coefficients per sample of the signals, from -0.1 to less than 1.
    level : float
        Significance level, from 0.8 to 0.995.

    Returns
    -------
    ndarray, shape (k,), float64
        One threshold per published voice.

    Raises
    ------
    NotTabulated
        If the table does not cover the wavelet, the number of voices, the grid, the noise or the
        level; use `block_significance` then. It is a ValueError.
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> from pycwt_mod import Morlet, VoiceGrid, octave_layouts
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
    s0 = float(grid.scales_s[0] * grid.fs_hz)
    return table.endless(s0, grid.n_voices, level, (al1, al2))[0][layout.voices]
