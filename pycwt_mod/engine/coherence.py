"""Which rows of a coherence are smoothed together, on which circle and at which step.

Smoothing is circular over the convention's padding. Rows that reach less far than the padding of
a shorter circle don't see the difference, so they are smoothed on that one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from pycwt_mod.arrays import Complexes, Convention, Floats
from pycwt_mod.engine.bands import Band
from pycwt_mod.engine.coherence_rows import CoherenceRows
from pycwt_mod.engine.decimation import folded_length, power_of_two_below
from pycwt_mod.engine.scale_window import ScaleWindow, scale_window
from pycwt_mod.engine.smoothed_rows import OVERSAMPLING, SmoothedGroup
from pycwt_mod.results import PhaseOf
from pycwt_mod.smoothing import coherence_bandwidth
from pycwt_mod.wavelets import Wavelet

#: Between these steps interpolation is faster than a longer FFT, and its tables are small.
_LEAST_STEP, _LARGEST_STEP = 2, 64
#: Steps beyond a smoothed row that the weights of the ends and the kernel may reach.
_END_STEPS = 64
#: In units of the tolerance, what the filter may leave to ring where Nyquist cuts it.
_RINGING = 10.0
#: FFTs up to this length are computed as they are.
_SHORT_FFT = 2048


@dataclass(frozen=True, eq=False)
class CoherenceTables:
    """The tables of all rows of the coherence of records of one length, in runs of rows."""

    parts: tuple[CoherenceRows, ...]

    @classmethod
    def build(
        cls,
        wavelet: Wavelet,
        scales: Floats,
        n: int,
        length: int,
        *,
        dj: float | None,
        convention: Convention,
        dtype: np.dtype[Any],
        rtol: float,
    ) -> CoherenceTables:
        """Choose lengths and steps, and tabulate; `scales` in samples, ascending.

        Rows that are smoothed over less than the padding of a shorter circle don't see the
        difference, so their smoothing isn't as long as the convention's padding.
        """
        window = scale_window(scales, wavelet.deltaj0, dj, convention)
        count = len(scales)
        width = coherence_bandwidth(wavelet, rtol)
        band = Band.of(wavelet, rtol, convention)
        short = folded_length(n * 17 / 16, _LARGEST_STEP)
        radius = math.sqrt(-2 * math.log(rtol))
        calm = [
            short < length
            and radius * s + _END_STEPS * _step(width, s, short) <= short - n
            and math.exp(-((math.pi * s) ** 2) / 2) < _RINGING * rtol * math.pi * (short - n)
            for s in scales.tolist()
        ]
        parts: list[CoherenceRows] = []
        for circle, outputs in _circles(calm, window, short, length):
            around = [_neighbours(window, row, count) for row in outputs]
            needed = range(min(r.start for r in around), max(r.stop for r in around))
            members: list[tuple[tuple[int, int], list[int]]] = []
            for j in needed:
                s = float(scales[j])
                near = short < length and not band.rings(s) and band.radius * s <= short - n
                key = short if near else length, _step(width, s, circle)
                if not members or members[-1][0] != key:
                    members.append((key, []))
                members[-1][1].append(j)
            groups = tuple(
                SmoothedGroup.build(
                    wavelet, scales[index], np.array(index), n, circle, fft_length, step,
                    convention=convention, dtype=dtype, rtol=rtol,
                )
                for (fft_length, step), index in members
            )  # fmt: skip
            parts.append(CoherenceRows(n, circle, window, groups, outputs))
        return cls(tuple(parts))

    @property
    def lengths(self) -> set[int]:
        """The FFT lengths of the signals that `all` asks for."""
        return {group.rows.length for part in self.parts for group in part.groups}

    @property
    def scale_weights(self) -> Floats:
        """Weights of the smoothing over scales, shape (scales, scales), one row per output."""
        count = self.parts[-1].outputs.stop
        weights = np.zeros((count, count))
        for part in self.parts:
            for row in part.outputs:
                first, around = part.window.around(row)
                inside = slice(max(first, 0), min(first + len(around), count))
                weights[row, inside] = around[inside.start - first : inside.stop - first]
        return weights

    def all(
        self,
        spectra: dict[int, Complexes],
        shape: tuple[int, ...],
        phase_of: PhaseOf,
        workers: int = 1,
    ) -> tuple[Floats, Floats, Floats]:
        """Return R², phase and the smoothed cross spectrum, (2, ...), of a batch.

        `shape` is (..., scales, n); the spectra are those of pairs, shape (..., 2, bins).
        """
        kind = next(iter(spectra.values())).real.dtype
        r2, phase = np.empty(shape, kind), np.empty(shape, kind)
        smoothed = np.empty((2, *shape), kind)
        for k in np.ndindex(shape[:-2]):
            unsmoothed = phase[k] if phase_of == "cross" else None
            some = {length: found[k] for length, found in spectra.items()}
            for part in self.parts:
                part.compute(some, r2[k], smoothed[(slice(None), *k)], unsmoothed, workers)
        if phase_of == "smoothed":
            np.arctan2(smoothed[1], smoothed[0], out=phase)
        return r2, phase, smoothed


def _circles(
    calm: list[bool], window: ScaleWindow, short: int, length: int
) -> list[tuple[int, range]]:
    """Return runs of rows and the circle they are smoothed on: short if all neighbours are calm."""
    count = len(calm)
    runs: list[tuple[int, range]] = []
    for j in range(count):
        circle = short if all(calm[k] for k in _neighbours(window, j, count)) else length
        if runs and runs[-1][0] == circle:
            runs[-1] = circle, range(runs[-1][1].start, j + 1)
        else:
            runs.append((circle, range(j, j + 1)))
    return runs


def _step(width: float, scale: float, length: int) -> int:
    """Return the step at which a row is squared and smoothed."""
    if length <= _SHORT_FFT:
        return 1
    step = power_of_two_below(math.pi * scale / (OVERSAMPLING * width))
    step = min(step, _LARGEST_STEP, length & -length)
    return step if step >= _LEAST_STEP else 1


def _neighbours(window: ScaleWindow, row: int, count: int) -> range:
    """Return the rows of `count` that `row` is summed over."""
    first, weights = window.around(row)
    return range(max(0, first), min(count, first + len(weights)))
