"""How each row of an analysis is computed: FFT length, sampling step, whole or in segments.

`group_scales` decides, `Schedule` has the filters and computes all rows of a record.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from pycwt_mod.arrays import Complexes, Floats, complex_dtype
from pycwt_mod.engine.circular import CircularConvolution
from pycwt_mod.engine.filter_bank import (
    Band,
    TransformSpec,
    allowed_bins,
    fast_length,
    power_of_two_below,
    used_bins,
)
from pycwt_mod.engine.inputs import (
    PaddedSignal,
    Part,
    Parts,
    TransformInputs,
    analytic_parts,
    spectra_by_length,
)
from pycwt_mod.engine.overlap_save import OverlapSave, prefers_overlap_save

#: σ of the samples that rows are interpolated from: fewer would need longer kernels.
OVERSAMPLING = 2.0
#: Between these steps interpolation is faster than a longer FFT, and its tables are small.
_LEAST_STEP, _LARGEST_STEP = 4, 64
#: FFTs of more bytes are split into interleaved ones, to stay in the cache.
_CACHED_BYTES = 2**20
#: FFTs up to this length are computed as they are.
_SHORT_FFT = 2048
#: Padding, as a part of the record, of rows whose filters are shorter than that.
_SHORT_PAD = 1 / 16


@dataclass(frozen=True)
class RowStrategy:
    """How a row is computed; rows with equal strategies are computed together.

    Attributes
    ----------
    length, step : int
        M, the circle that the record is padded to, and D.
    upsampled : bool
        Whether the samples in between are interpolated; then rows are of one `octave`.
    segmented : bool
        Whether they are computed in overlapping segments.
    crosses_nyquist : bool
        Whether the Nyquist frequency cuts their bands.
    """

    length: int
    step: int
    upsampled: bool
    octave: int
    segmented: bool
    crosses_nyquist: bool

    def points(self, n: int) -> int:
        """Return how many samples of a row every D are kept for a record of `n`."""
        ends = n if self.segmented and self.crosses_nyquist else self.length
        return -(-ends // self.step)


def group_scales(spec: TransformSpec, *, full_rate: bool) -> dict[RowStrategy, NDArray[np.intp]]:
    """Return the places of the rows by how they are computed.

    Rows whose filters are shorter than the padding of a shorter FFT are the same with it; those
    that the Nyquist frequency cuts ring too far for that and keep the convention's length.
    """
    wavelet, n, length = spec.wavelet, spec.n, spec.length
    convention, rtol = spec.convention, spec.rtol
    band = Band.of(wavelet, rtol, convention)
    unit = power_of_two_below(max(n / 256, _LARGEST_STEP))
    short = fast_length(n * (1 + _SHORT_PAD), unit)
    itemsize = complex_dtype(spec.dtype).itemsize
    members: dict[RowStrategy, list[int]] = {}
    for j, s in enumerate(spec.scales.tolist()):
        crosses_nyquist = band.crosses_nyquist(s)
        near = short < length and not crosses_nyquist and band.radius * s <= short - n
        m = short if near else length
        first, last = used_bins(wavelet, band, s, s, convention, m)
        critical = _critical_step(last - first + 1, m)
        upsampling = upsampling_step(band, s, m) if full_rate else 0
        step = upsampling or (1 if full_rate else critical)
        segmented = not upsampling and prefers_overlap_save(wavelet, s, m, step, convention, rtol)
        if full_rate and not upsampling and not segmented and m * itemsize > _CACHED_BYTES:
            step = min(critical, 2)
        octave = octave_of(s) if upsampling else 0
        strategy = RowStrategy(
            m, step, upsampling > 0, octave, segmented, segmented and crosses_nyquist
        )
        members.setdefault(strategy, []).append(j)
    return {strategy: np.array(index) for strategy, index in members.items()}


def upsampling_step(band: Band, scale: float, length: int) -> int:
    """Return the step from which a row is interpolated; 0 where plain FFTs are faster."""
    if length <= _SHORT_FFT:
        return 0
    step = power_of_two_below(2 * math.pi / (OVERSAMPLING * band.octave_width(scale)))
    step = min(step, _LARGEST_STEP, _power_of_two_in(length))
    return step if step >= _LEAST_STEP else 0


def octave_of(scale: float) -> int:
    """Return the octave of a scale; the bands of rows of one octave hardly differ."""
    return math.floor(math.log2(scale))


def _critical_step(bins: int, length: int) -> int:
    """Return the largest decimation step at which a row of that many FFT bins does not alias."""
    return min(power_of_two_below(length / bins), _power_of_two_in(length))


def _power_of_two_in(length: int) -> int:
    """Return the largest power of two that divides `length`."""
    return length & -length


@dataclass(frozen=True, eq=False)
class Schedule:
    """The filters of all scales for records of one length.

    Attributes
    ----------
    spec : TransformSpec
    full_rate : bool
        Whether the rows are computed at every sample of the record, or every D on a circle.
    groups : tuple of CircularConvolution or OverlapSave
    points : tuple of int
        Samples of a row of each group, every D.
    """

    spec: TransformSpec
    full_rate: bool
    groups: tuple[CircularConvolution | OverlapSave, ...]
    points: tuple[int, ...]

    @classmethod
    def build(cls, spec: TransformSpec, *, full_rate: bool) -> Schedule:
        """Choose lengths and steps, and tabulate."""
        groups: list[CircularConvolution | OverlapSave] = []
        groups_of_rows = group_scales(spec, full_rate=full_rate)
        for strategy, index in groups_of_rows.items():
            common = spec, index, strategy.length, strategy.step
            if strategy.segmented:
                groups.append(OverlapSave.build(*common))
            else:
                groups.append(CircularConvolution.build(*common, upsample=strategy.upsampled))
        points = tuple(strategy.points(spec.n) for strategy in groups_of_rows)
        return cls(spec, full_rate, tuple(groups), points)

    def full(self, signal: Floats, spectrum: Complexes, workers: int = 1) -> Complexes:
        """Return the rows at every sample, shape (..., scales, n).

        `spectrum` is the signal's `rfft` at the length it is padded to.
        """
        shape = (*signal.shape[:-1], len(self.spec.scales), self.spec.n)
        out: Complexes = np.empty(shape, complex_dtype(signal.dtype))
        flat = out.reshape(-1, len(self.spec.scales), self.spec.n)
        inputs = self.inputs(signal, spectrum, workers)
        run_tasks(
            (
                task
                for k in range(len(flat))
                for group in self.groups
                for task in self._full_tasks(group, inputs.signal(k), flat[k])
            ),
            workers,
        )
        return out

    def _full_tasks(
        self, group: CircularConvolution | OverlapSave, inputs: TransformInputs, out: Complexes
    ) -> Iterable[Callable[[], object]]:
        if isinstance(group, OverlapSave):
            parts = inputs.parts[group.length]
            for start in group.starts(self.spec.n):
                yield partial(group.write, parts, start, out, group.index)
        else:
            for rows in group.chunks():
                yield partial(group.write, inputs.spectra[group.length], rows, out)

    def inputs(self, signal: Floats, spectrum: Complexes, workers: int = 1) -> TransformInputs:
        """Return the inputs of the groups; `spectrum` is that of the padded signal."""
        needed: dict[int, set[Part]] = {}
        count: dict[int, int] = {}
        reach: dict[int, int] = {}
        for group in self.groups:
            if isinstance(group, OverlapSave):
                m = group.length
                needed.setdefault(m, set()).update(group.parts)
                ends = self.spec.n if self.full_rate or group.crosses_nyquist else m
                count[m] = max(count.get(m, 0), ends)
                reach[m] = max(reach.get(m, 0), group.margin)
        lengths = {group.length for group in self.groups if isinstance(group, CircularConvolution)}
        lengths |= {m for m, parts in needed.items() if parts != {"all"}}
        spectra = spectra_by_length(signal, spectrum, self.spec.length, lengths, workers)
        padded: dict[int, Parts] = {}
        for m, parts in needed.items():
            counts = allowed_bins(self.spec.wavelet, self.spec.convention, m)[1] == m // 2
            arrays = analytic_parts(
                signal, spectra.get(m, spectrum), m, parts, nyquist_counts=counts, workers=workers
            )
            padded[m] = {
                part: PaddedSignal.periodic(arrays[part], m, reach[m], count[m]) for part in parts
            }
        return TransformInputs(spectra, padded)


def run_tasks(tasks: Iterable[Callable[[], object]], workers: int) -> None:
    """Run all tasks in up to `workers` threads, and raise what they raise."""
    if workers == 1:
        for task in tasks:
            task()
        return
    with ThreadPoolExecutor(workers) as pool:
        for future in [pool.submit(task) for task in tasks]:
            future.result()
