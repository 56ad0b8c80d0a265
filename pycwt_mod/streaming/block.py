"""What a streaming transform hands out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pycwt_mod.streaming.compute import Block
from pycwt_mod.streaming.level import LevelMethod

__all__ = ["LiveBlock"]


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
        The level of coherence, if asked for.
    signif_method : {"table", "monte-carlo"} or None
        Where the level comes from.
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
