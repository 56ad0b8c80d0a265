"""What `wct_pairs` returns: coherence of pairs of channels by octave, and matrices of channels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pycwt_mod.arrays import Bools, Floats, Summarised, mean, percentage, span
from pycwt_mod.rednoise import Lag1


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class PairOctave(Summarised):
    """The rows of all pairs that share a sampling step.

    Attributes
    ----------
    scales, freqs : ndarray, shape (rows,)
        In units of `dt` and 1/`dt`; scales ascend.
    step : int
        D, a power of two: values are at the samples 0, D, 2D …
    coherence : ndarray, shape (pairs, rows, ceil(n/D))
        R².
    phase : ndarray, shape (pairs, rows, ceil(n/D)), or None
        Argument of the smoothed cross spectrum: by how much the first channel leads, in radians.
    mask : ndarray of bool, shape (pairs, rows, ceil(n/D))
        As of `wct`; R² and phase are 0 where a channel is constant. Read-only if it is false
        throughout.
    """

    scales: Floats
    freqs: Floats
    step: int
    coherence: Floats
    phase: Floats | None
    mask: Bools

    def _facts(self) -> dict[str, str]:
        return {
            "shape": str(self.coherence.shape),
            "dtype": str(self.coherence.dtype),
            "step": str(self.step),
            "periods": span(1 / self.freqs),
            "masked": percentage(self.mask),
        }


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class WctPairsResult(Summarised):
    """What `wct_pairs` returns.

    Attributes
    ----------
    pairs : ndarray of int, shape (pairs, 2)
        The channels of each pair; ``pairs.T`` indexes a matrix of channels.
    octaves : tuple of PairOctave
        In order of scale, each at its own rate.
    scales, freqs : ndarray, shape (scales,)
        Of all octaves, in their order.
    coi : ndarray, shape (n,)
        Longest Fourier period free of edge effects.
    channels : int
    n : int
        Samples of a channel.
    dt : float
        Sampling interval.
    signif : ndarray, shape (pairs, scales), or None
        Threshold of R² of each pair.
    lag1 : Lag1 or None
        Coefficients of the channels that `signif` was computed with.
    """

    pairs: NDArray[np.intp]
    octaves: tuple[PairOctave, ...]
    scales: Floats
    freqs: Floats
    coi: Floats
    channels: int
    n: int
    dt: float
    signif: Floats | None = None
    lag1: Lag1 | None = None

    def _facts(self) -> dict[str, str]:
        return {
            "pairs": str(len(self.pairs)),
            "octaves": str(len(self.octaves)),
            "scales": str(len(self.scales)),
            "samples": str(self.n),
            "steps": span(np.array([octave.step for octave in self.octaves])),
            "periods": span(1 / self.freqs),
            "mean R²": mean(np.array([octave.coherence.mean() for octave in self.octaves])),
        }

    def place(self, first: int, second: int) -> int:
        """Return the place of a pair on the axis of pairs.

        Raises
        ------
        KeyError
            If there is no such pair; the channels of a pair are in the order of `pairs`.
        """
        (places,) = np.nonzero((self.pairs == (first, second)).all(axis=1))
        if not places.size:
            raise KeyError(f"cannot find the pair {(first, second)}: see pairs")
        return int(places[0])

    def band_mean(self, low: float, high: float) -> Floats:
        """Return the mean R² of each pair over frequencies and time, shape (pairs,).

        The mean is over the values outside of the cone of influence and the mask, with the weight
        of the time that each stands for; NaN for a pair without any.

        Parameters
        ----------
        low, high : float
            Ends of the band, in units of 1/`dt`; both included.

        Raises
        ------
        ValueError
            If no row lies in the band.
        """
        total, weight = np.zeros((2, len(self.pairs)))
        any_row = False
        for octave in self.octaves:
            rows = (octave.freqs >= low) & (octave.freqs <= high)
            if not rows.any():
                continue
            any_row = True
            inside = 1 / octave.freqs[rows, None] <= self.coi[:: octave.step]
            valid = inside & ~octave.mask[:, rows]
            total += octave.step * np.where(valid, octave.coherence[:, rows], 0).sum(axis=(1, 2))
            weight += octave.step * np.count_nonzero(valid, axis=(1, 2))
        if not any_row:
            held = span(self.freqs)
            raise ValueError(f"no row lies from {low=} to {high=}: the frequencies are {held}")
        return np.divide(total, weight, out=np.full_like(total, np.nan), where=weight > 0)

    def matrix(self, values: Floats) -> Floats:
        """Return values of pairs, shape (pairs, ...), as a symmetric matrix of the channels.

        The result has shape (channels, channels, ...), with 1 on the diagonal, the coherence of a
        channel with itself, and NaN for pairs that were not computed.
        """
        square = np.full((self.channels, self.channels, *values.shape[1:]), np.nan, values.dtype)
        one, other = self.pairs.T
        square[one, other] = square[other, one] = values
        square[(np.arange(self.channels),) * 2] = 1
        return square
