"""The results of one octave over one tile, and their place in a stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pycwt_mod.arrays import (
    Summarised,
    percentage,
    span,
)
from pycwt_mod.streaming.level import LevelMethod

__all__ = ["Block", "LiveBlock"]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Block(Summarised):
    """The results of one octave over one tile.

    The axes and the mask are read-only, since the blocks of an octave share them; copy them to
    change them.

    Attributes
    ----------
    freqs_hz, scales_s : ndarray, shape (k,)
    values : ndarray, shape (k, n)
        complex64 or float32 for a float32 window, double that for float64; always finite: what is
        out of the dtype's range is 0 and masked.
    phase : ndarray, shape (k, n), or None
        For "xwt" the argument of the cross spectrum, for "wct" of the smoothed one: the phase
        by which the first channel leads, in radians.
    mask : ndarray of uint8, shape (k, n)
        1 where a missing sample lies within the support of the row, or the value is out of range.
    """

    freqs_hz: NDArray[np.float64]
    scales_s: NDArray[np.float64]
    values: NDArray[Any]
    phase: NDArray[Any] | None
    mask: NDArray[np.uint8]

    def _facts(self) -> dict[str, str]:
        return {
            "shape": str(self.values.shape),
            "dtype": str(self.values.dtype),
            "frequencies": span(self.freqs_hz, "Hz"),
            "masked": percentage(self.mask),
        }


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class LiveBlock(Block):
    """A finished block, and where it belongs.

    Its arrays are those of `pycwt_mod.Block`, but all of them are its own and may be changed.

    Attributes
    ----------
    channels : tuple of int
        The channel of a "cwt", the pair of the others.
    octave : int
        0 is the highest.
    first_sample, step : int
        Column i is at sample ``first_sample + step * i``.
    signif : ndarray, shape (k,), or None
        The threshold of coherence, if requested.
    signif_method : {"table", "monte-carlo"} or None
        Origin of the threshold.
    """

    channels: tuple[int, ...]
    octave: int
    first_sample: int
    step: int
    signif: NDArray[np.float64] | None = None
    signif_method: LevelMethod | None = None

    def _facts(self) -> dict[str, str]:
        place = {
            "channels": str(self.channels),
            "octave": str(self.octave),
            "first sample": str(self.first_sample),
            "step": str(self.step),
        }
        return place | super()._facts()

    @property
    def samples(self) -> NDArray[np.int64]:
        """The sample that each column is at; shape (n,)."""
        return self.first_sample + self.step * np.arange(self.values.shape[1])
