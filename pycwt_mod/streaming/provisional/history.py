"""The newest samples of a stream, and the instants at which models are fitted to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from pycwt_mod.arrays import Floats
from pycwt_mod.streaming.provisional.calibration import Calibration, CalibrationCounter
from pycwt_mod.streaming.windower import SampleBuffer

__all__ = ["FittedOctave", "SampleHistory", "View"]

#: From the indices of the first sample and after the last one to the samples, shape (n, channels).
#: Those before the stream are left out.
View: TypeAlias = Callable[[int, int], Floats]


class FittedOctave(Protocol):
    """An octave with a model that is fitted again after every `interval` samples."""

    @property
    def counters(self) -> Sequence[CalibrationCounter]:
        """The calibration of every channel, or of every pair."""

    @property
    def interval(self) -> int:
        """Samples of the signal between fits."""

    @property
    def needed(self) -> int:
        """Samples of the signal that a fit, and the comparisons at that time, depend on."""

    def advance(self, end: int, samples: Floats) -> None:
        """Fit again at `end`, a multiple of `interval`; `samples` (n, channels) end there."""

    def snapshot(self) -> dict[str, Any]:
        """Return the state as plain data."""

    def restore(self, snapshot: Mapping[str, Any], view: View) -> None:
        """Continue from a `snapshot`."""


OctaveT = TypeVar("OctaveT", bound=FittedOctave)


class SampleHistory(Generic[OctaveT]):
    """Takes the samples of a stream, and has all octaves fitted at their instants.

    Parameters
    ----------
    channels : int
    octaves : sequence of FittedOctave
    """

    def __init__(self, channels: int, octaves: Sequence[OctaveT]) -> None:
        self._channels, self._octaves = channels, octaves
        self._history = max(octave.needed + octave.interval for octave in octaves)
        self._buffer = SampleBuffer(channels)

    @property
    def end(self) -> int:
        """Index after the newest sample."""
        return self._buffer.end

    @property
    def calibration(self) -> tuple[tuple[Calibration, ...], ...]:
        """The calibration of every octave, and within it of every channel or pair."""
        return tuple(
            tuple(counter.state for counter in octave.counters) for octave in self._octaves
        )

    def push(self, samples: NDArray[np.generic]) -> None:
        """Take the next samples, shape (n, channels); NaN is missing."""
        start = self.end
        self._buffer.append(start, samples)
        for octave in self._octaves:
            for end in _multiples(octave.interval, start, self.end):
                octave.advance(end, self._view(end - octave.needed, end))
        self._buffer.forget(self.end - self._history)

    def newest(self) -> Floats:
        """Return all samples that are kept; shape (n, channels)."""
        return self._view(self.end - self._history, self.end)

    def snapshot(self) -> dict[str, Any]:
        """Return the state as plain data: samples that fits to come need, and the octaves."""
        first, held = self._buffer.view(self._buffer.first, self._buffer.end)
        return {
            "first_sample": first,
            "samples": held.astype("<f8").tobytes(),
            "octaves": [octave.snapshot() for octave in self._octaves],
        }

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Continue from a `snapshot` of an object with the same arguments."""
        held = np.frombuffer(snapshot["samples"], "<f8").reshape(-1, self._channels)
        self._buffer = SampleBuffer(self._channels, int(snapshot["first_sample"]))
        self._buffer.append(self._buffer.first, held)
        for octave, state in zip(self._octaves, snapshot["octaves"], strict=True):
            octave.restore(state, self._view)

    def _view(self, first: int, end: int) -> NDArray[np.floating]:
        return self._buffer.view(first, end)[1]


def _multiples(interval: int, start: int, end: int) -> Iterator[int]:
    """Yield the multiples of `interval` after `start`, up to and including `end`."""
    first = (start // interval + 1) * interval
    yield from range(first, end + 1, interval)
