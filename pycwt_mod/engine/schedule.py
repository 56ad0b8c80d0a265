"""How the rows of an analysis are shared out: which length, which step, whole or in segments.

`portions` decides, `RowPlan` has the filters and computes all rows of a record.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pycwt_mod.arrays import Complexes, Convention, Floats, complex_dtype
from pycwt_mod.engine.bands import Band, allowed_bins, used_bins
from pycwt_mod.engine.decimation import folded_length, power_of_two_below
from pycwt_mod.engine.filter_bank import RowGroup
from pycwt_mod.engine.inputs import Carrier, Part, Parts, Sources, halves, spectra_by_length
from pycwt_mod.engine.overlap_save import Segments, suits
from pycwt_mod.engine.threads import run
from pycwt_mod.wavelets import Wavelet

#: σ of the samples that rows are interpolated from: fewer would need longer kernels.
OVERSAMPLING = 2.0
#: Between these steps interpolation is faster than a longer FFT, and its tables are small.
_LEAST_STEP, _LARGEST_STEP = 4, 64
#: FFTs of more bytes are split into interleaved ones, to stay in the cache.
_CACHED_BYTES = 2**20
#: FFTs up to this length are computed as they are.
_SHORT_FFT = 2048
#: Part of the record by which rows that don't reach farther are padded.
_SHORT_PAD = 1 / 16


@dataclass(frozen=True)
class Kind:
    """What rows have to share to be computed together.

    Attributes
    ----------
    length, step : int
        M, the circle that the record is padded to, and D.
    interpolated : bool
        Whether the samples in between are interpolated; then rows are of one `octave`.
    segmented : bool
        Whether they are computed in overlapping segments.
    rings : bool
        Whether the Nyquist frequency cuts their bands.
    """

    length: int
    step: int
    interpolated: bool
    octave: int
    segmented: bool
    rings: bool

    def points(self, n: int) -> int:
        """Return how many samples of a row every D are kept for a record of `n`."""
        ends = n if self.segmented and self.rings else self.length
        return -(-ends // self.step)


@dataclass(frozen=True, kw_only=True, eq=False)
class Question:
    """What rows are asked for.

    Attributes
    ----------
    scales : ndarray, shape (scales,)
        In samples.
    n, length : int
        Samples of a record, and what it is padded to.
    """

    wavelet: Wavelet
    scales: Floats
    n: int
    length: int
    convention: Convention
    dtype: np.dtype[Any]
    rtol: float


def portions(question: Question, *, full_rate: bool) -> dict[Kind, NDArray[np.intp]]:
    """Return the places of the rows by kind.

    Rows that reach less than the padding of a shorter FFT don't see the difference; those
    that the Nyquist frequency cuts ring so far that they keep the convention's length.
    """
    wavelet, n, length = question.wavelet, question.n, question.length
    convention, rtol = question.convention, question.rtol
    band = Band.of(wavelet, rtol, convention)
    unit = power_of_two_below(max(n / 256, _LARGEST_STEP))
    short = folded_length(n * (1 + _SHORT_PAD), unit)
    itemsize = complex_dtype(question.dtype).itemsize
    members: dict[Kind, list[int]] = {}
    for j, s in enumerate(question.scales.tolist()):
        rings = band.rings(s)
        near = short < length and not rings and band.radius * s <= short - n
        m = short if near else length
        first, last = used_bins(wavelet, band, s, s, convention, m)
        step = _critical_step(last - first + 1, m)
        between = interpolation_step(band, s, m) if full_rate else 0
        wanted = between or (1 if full_rate else step)
        cut = not between and suits(wavelet, s, m, wanted, convention, rtol)
        if full_rate and not between and not cut and m * itemsize > _CACHED_BYTES:
            wanted = min(step, 2)
        octave = octave_of(s) if between else 0
        kind = Kind(m, wanted, between > 0, octave, cut, cut and rings)
        members.setdefault(kind, []).append(j)
    return {kind: np.array(index) for kind, index in members.items()}


def interpolation_step(band: Band, scale: float, length: int) -> int:
    """Return the step from which a row is interpolated; 0 where plain FFTs are faster."""
    if length <= _SHORT_FFT:
        return 0
    step = power_of_two_below(2 * math.pi / (OVERSAMPLING * band.octave_width(scale)))
    step = min(step, _LARGEST_STEP, _power_of_two_in(length))
    return step if step >= _LEAST_STEP else 0


def octave_of(scale: float) -> int:
    """Return which octave a scale belongs to: rows of one have bands that hardly differ."""
    return math.floor(math.log2(scale))


def _critical_step(bins: int, length: int) -> int:
    """Return the largest step that describes a row of so many FFT bins in full."""
    return min(power_of_two_below(length / bins), _power_of_two_in(length))


def _power_of_two_in(length: int) -> int:
    """Return the largest power of two that divides `length`."""
    return length & -length


@dataclass(frozen=True, eq=False)
class RowPlan:
    """The filters of all scales for records of one length.

    Attributes
    ----------
    asked : Question
    full_rate : bool
        Whether the rows are wanted at every sample of the record, or every D on a circle.
    groups : tuple of RowGroup or Segments
    points : tuple of int
        Samples of a row of each group, every D.
    """

    asked: Question
    full_rate: bool
    groups: tuple[RowGroup | Segments, ...]
    points: tuple[int, ...]

    @classmethod
    def build(cls, asked: Question, *, full_rate: bool) -> RowPlan:
        """Choose lengths and steps, and tabulate."""
        groups: list[RowGroup | Segments] = []
        shared = portions(asked, full_rate=full_rate)
        for kind, index in shared.items():
            common = asked.wavelet, asked.scales[index], index, kind.length, kind.step
            if kind.segmented:
                some: RowGroup | Segments = Segments.build(
                    *common, convention=asked.convention, dtype=asked.dtype, rtol=asked.rtol
                )
            else:
                some = RowGroup.build(
                    *common, convention=asked.convention, dtype=asked.dtype, rtol=asked.rtol,
                    interpolate=kind.interpolated,
                )  # fmt: skip
            groups.append(some)
        points = tuple(kind.points(asked.n) for kind in shared)
        return cls(asked, full_rate, tuple(groups), points)

    def full(self, signal: Floats, spectrum: Complexes, workers: int = 1) -> Complexes:
        """Return the rows at every sample, shape (..., scales, n).

        `spectrum` is the signal's `rfft` at the length it is padded to.
        """
        shape = (*signal.shape[:-1], len(self.asked.scales), self.asked.n)
        out: Complexes = np.empty(shape, complex_dtype(signal.dtype))
        flat = out.reshape(-1, len(self.asked.scales), self.asked.n)
        sources = self.sources(signal, spectrum, workers)
        run(
            (
                task
                for k in range(len(flat))
                for group in self.groups
                for task in self._full_tasks(group, sources.one(k), flat[k])
            ),
            workers,
        )
        return out

    def _full_tasks(
        self, group: RowGroup | Segments, sources: Sources, out: Complexes
    ) -> Iterable[Callable[[], object]]:
        if isinstance(group, Segments):
            parts = sources.carriers[group.length]
            for start in group.starts(self.asked.n):
                yield partial(group.write, parts, start, out, group.index)
        else:
            for rows in group.chunks():
                yield partial(group.write, sources.spectra[group.length], rows, out)

    def sources(self, signal: Floats, spectrum: Complexes, workers: int = 1) -> Sources:
        """Return what the groups need; `spectrum` is that of the signal's padding."""
        asked: dict[int, set[Part]] = {}
        count: dict[int, int] = {}
        reach: dict[int, int] = {}
        for group in self.groups:
            if isinstance(group, Segments):
                m = group.length
                asked.setdefault(m, set()).update(group.parts)
                ends = self.asked.n if self.full_rate or group.rings else m
                count[m] = max(count.get(m, 0), ends)
                reach[m] = max(reach.get(m, 0), group.margin)
        lengths = {group.length for group in self.groups if isinstance(group, RowGroup)}
        lengths |= {m for m, parts in asked.items() if parts != {"all"}}
        spectra = spectra_by_length(signal, spectrum, self.asked.length, lengths, workers)
        carriers: dict[int, Parts] = {}
        for m, parts in asked.items():
            counts = allowed_bins(self.asked.wavelet, self.asked.convention, m)[1] == m // 2
            found = halves(
                signal, spectra.get(m, spectrum), m, parts, nyquist_counts=counts, workers=workers
            )
            carriers[m] = {
                part: Carrier.around(found[part], m, reach[m], count[m]) for part in parts
            }
        return Sources(spectra, carriers)
