"""One octave in a cascade of octaves, each with half the sampling rate of the one before."""

from __future__ import annotations

import numpy as np

from cwt_hwbridge.model.filters import Filters, Reals
from cwt_hwbridge.model.rounding import Integers, limit

__all__ = ["Rung", "halve"]


class Rung:
    """An octave: its history and its position.

    Parameters
    ----------
    channels : int
        Number of parallel series.
    memory : int
        Length of the history that the longest filter needs, samples.
    """

    def __init__(self, channels: int, memory: int) -> None:
        self._memory = memory
        self._history = np.zeros((channels, memory))
        #: Number of samples received.
        self.count = 0

    @property
    def fresh(self) -> int:
        """Number of samples received by the last `take`."""
        return self._history.shape[-1] - self._memory

    def take(self, samples: Reals | Integers) -> None:
        """Append samples of shape (channels, n); discard those that no filter needs any more."""
        recent = self._history[:, self._history.shape[-1] - self._memory :]
        self._history = np.concatenate([recent, samples], axis=-1)
        self.count += samples.shape[-1]

    def due(self, step: int) -> Integers:
        """Return the numbers, from 1, of the fresh samples that are multiples of ``2**step``."""
        before = self.count - self.fresh
        return np.arange(((before >> step) + 1) << step, self.count + 1, 1 << step)

    def back_from(self, number: int, length: int) -> Reals:
        """Return the history starting `length` - 1 samples before the fresh sample `number`."""
        newest = self._memory + number - 1 - (self.count - self.fresh)
        return self._history[:, newest - length + 1 :]


def halve(rung: Rung, decimator: Filters) -> tuple[Integers, int]:
    """Return the next octave's samples, shape (channels, n), and the count of saturated ones."""
    due = rung.due(1)
    if not len(due):
        return np.zeros((len(rung.back_from(rung.count, 1)), 0), dtype=np.int64), 0
    return limit(decimator.real(rung.back_from(due[0], decimator.length), 2)[:, :, 0], 16)
