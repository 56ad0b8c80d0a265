"""Means of the coherence of pairs over bands of scales."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pycwt_mod.arrays import Floats, read_only
from pycwt_mod.streaming.pairs import PairsBlock

__all__ = ["band_means", "band_rows"]

#: Tolerance for the rounding of frequencies at the ends of a band.
_ROUNDING = 1e-9


def band_rows(freqs_hz: Floats, bands: Sequence[Sequence[float]]) -> tuple[slice, ...]:
    """Return the rows in each band; an empty slice if there are none.

    Parameters
    ----------
    freqs_hz : ndarray, shape (k,)
        Descending.
    bands : sequence of (float, float)
        Lowest and highest frequency, both included.
    """
    ascending = -np.asarray(freqs_hz)
    rows = []
    for low, high in bands:
        first = np.searchsorted(ascending, -high * (1 + _ROUNDING))
        stop = np.searchsorted(ascending, -low * (1 - _ROUNDING), "right")
        rows.append(slice(int(first), int(stop)))
    return tuple(rows)


def band_means(block: PairsBlock, rows: Sequence[slice]) -> PairsBlock:
    """Return a block with a row for each band: the mean of R² over its scales.

    The phase is that of the mean coherency S₁₂/√(S₁₁S₂₂), the frequency the geometric mean. A value
    is masked where that of any of its scales is.

    Parameters
    ----------
    block : PairsBlock
    rows : sequence of slice
        Rows of each band, none of them empty.
    """
    return PairsBlock(
        pairs=block.pairs,
        freqs_hz=_geometric_means(block.freqs_hz, rows),
        scales_s=_geometric_means(block.scales_s, rows),
        values=np.stack([block.values[:, band].mean(axis=1) for band in rows], axis=1),
        phase=None
        if block.phase is None
        else np.stack([_mean_phase(block.values[:, b], block.phase[:, b]) for b in rows], axis=1),
        mask=np.stack([block.mask[:, band].max(axis=1) for band in rows], axis=1),
    )


def _mean_phase(r2: Floats, phase: Floats) -> Floats:
    """Return the argument of the mean over axis 1 of √R² exp(iφ)."""
    size = np.sqrt(r2)
    real, imag = ((size * part).sum(axis=1) for part in (np.cos(phase), np.sin(phase)))
    mean: Floats = np.arctan2(imag, real)
    return mean


def _geometric_means(values: NDArray[np.float64], rows: Sequence[slice]) -> NDArray[np.float64]:
    return read_only(np.array([np.exp(np.log(values[band]).mean()) for band in rows]))
