"""The transform without redundancy: every octave at the rate that its band needs.

`MultirateResult.full` goes from the samples of an octave every D to all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Unpack

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike, NDArray

from pycwt_mod.arrays import (
    MEMORY_LIMIT_BYTES,
    Bools,
    Complexes,
    Floats,
    Summarised,
    check_memory,
    complex_dtype,
    percentage,
    span,
)
from pycwt_mod.engine.circular import CircularConvolution
from pycwt_mod.engine.filter_bank import Band, fold, used_bins
from pycwt_mod.engine.inputs import Parts, TransformInputs, signal_parts
from pycwt_mod.engine.overlap_save import OverlapSave
from pycwt_mod.engine.scale_axis import ScaleAxis
from pycwt_mod.engine.schedule import Schedule, octave_of, run_tasks, upsampling_step
from pycwt_mod.engine.upsampling import Upsampler

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pycwt_mod.plot.canvas import Options


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Octave(Summarised):
    """The rows that share a sampling step.

    Attributes
    ----------
    scales, freqs : ndarray, shape (rows,)
        In units of `dt` and 1/`dt`.
    step : int
        D, a power of two: `coefs` holds the samples 0, D, 2D … of every row.
    coefs : ndarray, shape (..., rows, ceil(n/D)), complex
    mask : ndarray of bool, shape (..., rows, ceil(n/D))
        True where too much of a value's energy is missing; see `cwt`.
    """

    scales: Floats
    freqs: Floats
    step: int
    coefs: Complexes
    mask: Bools
    _origin: CircularRows | NyquistRows

    def _facts(self) -> dict[str, str]:
        return {
            "shape": str(self.coefs.shape),
            "dtype": str(self.coefs.dtype),
            "step": str(self.step),
            "periods": span(1 / self.freqs),
            "masked": percentage(self.mask),
        }


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class MultirateResult(Summarised):
    """What `multirate` returns.

    Attributes
    ----------
    octaves : tuple of Octave
        About twelve rows each with the default `dj`; time and memory are linear in n.
    scales, freqs : ndarray, shape (scales,)
        Of all octaves, in the order of the arguments.
    coi : ndarray, shape (n,)
        Longest Fourier period free of edge effects.
    n : int
        Samples of the signal.
    dt : float
        Sampling interval.
    """

    octaves: tuple[Octave, ...]
    scales: Floats
    freqs: Floats
    coi: Floats
    n: int
    dt: float

    def _facts(self) -> dict[str, str]:
        return {
            "octaves": str(len(self.octaves)),
            "scales": str(len(self.scales)),
            "samples": str(self.n),
            "dtype": str(self.octaves[0].coefs.dtype),
            "steps": span(np.array([octave.step for octave in self.octaves])),
            "periods": span(1 / self.freqs),
        }

    def plot(
        self,
        times: ArrayLike | None = None,
        *,
        ax: Axes | None = None,
        **options: Unpack[Options],
    ) -> Axes:
        """Draw the power |W|² over time and period, also of records of many millions of samples.

        A column of the picture is the mean power of its samples, and is dimmed where some of them
        are masked. See `CwtResult.plot` for the arguments.
        """
        from pycwt_mod.plot.results import draw_octaves

        return draw_octaves(self, times, ax=ax, **options)

    def full(self, *, workers: int = 1, max_bytes: int = MEMORY_LIMIT_BYTES) -> Complexes:
        """Return the coefficients at every sample, as `cwt` does; shape (..., scales, n).

        Raises
        ------
        ValueError
            If the matrix would not fit `max_bytes`.
        """
        first = self.octaves[0].coefs
        shape = (*first.shape[:-2], len(self.scales), self.n)
        check_memory("the full matrix", int(np.prod(shape)) * first.dtype.itemsize, max_bytes)
        out: Complexes = np.empty(shape, first.dtype)
        flat = out.reshape(-1, *shape[-2:])
        run_tasks(
            (task for octave in self.octaves for task in octave._origin.tasks(flat)),
            workers,
        )
        return out


def octaves_of(
    schedule: Schedule,
    axis: ScaleAxis,
    signal: Floats,
    spectrum: Complexes,
    masked: Callable[[NDArray[np.intp], int], Bools],
    workers: int,
) -> tuple[Octave, ...]:
    """Return the octaves of a signal without gaps.

    `masked` returns the mask of some rows at every step-th sample.
    """
    inputs = schedule.inputs(signal, spectrum, workers)
    samples = _samples(schedule, signal, inputs, workers)
    octaves = []
    for group, rows in zip(schedule.groups, samples, strict=True):
        scales, step = axis.scales[group.index], group.step
        origin: CircularRows | NyquistRows = CircularRows(schedule, group, rows)
        if isinstance(group, OverlapSave) and group.crosses_nyquist:
            origin = NyquistRows(schedule, group, inputs.parts[group.length])
        octaves.append(
            Octave(
                scales=scales, freqs=axis.freqs[group.index], step=step,
                coefs=rows[..., : -(-schedule.spec.n // step)],
                mask=masked(group.index, step), _origin=origin,
            )
        )  # fmt: skip
    return tuple(octaves)


def _samples(
    schedule: Schedule, signal: Floats, inputs: TransformInputs, workers: int
) -> list[Complexes]:
    """Return the rows of every group, shape (..., rows, points)."""
    kind = complex_dtype(signal.dtype)
    samples = [
        np.empty((*signal.shape[:-1], len(group.index), points), kind)
        for group, points in zip(schedule.groups, schedule.points, strict=True)
    ]
    run_tasks(
        (
            task
            for group, out in zip(schedule.groups, samples, strict=True)
            for k, flat in enumerate(out.reshape(-1, *out.shape[-2:]))
            for task in _tasks(group, inputs.signal(k), flat)
        ),
        workers,
    )
    return samples


def _tasks(
    group: CircularConvolution | OverlapSave, inputs: TransformInputs, out: Complexes
) -> Iterable[Callable[[], object]]:
    if isinstance(group, OverlapSave):
        parts = inputs.parts[group.length]
        for start in group.starts(out.shape[-1] * group.step):
            yield partial(group.write, parts, start, out, slice(None))
        return

    def compute(rows: slice) -> None:
        out[rows] = group.samples(inputs.spectra[group.length], rows)

    for rows in group.chunks():
        yield partial(compute, rows)


@dataclass(frozen=True, eq=False)
class CircularRows:
    """Samples of the rows of a group on a whole circle, which determine them completely.

    Attributes
    ----------
    samples : ndarray, shape (..., rows, length/D)
    """

    schedule: Schedule
    group: CircularConvolution | OverlapSave
    samples: Complexes

    def tasks(self, out: Complexes) -> Iterable[Callable[[], object]]:
        """Yield the tasks that fill `out`, the matrices of all signals."""
        spec = self.schedule.spec
        band = Band.of(spec.wavelet, spec.rtol, spec.convention)
        similar: dict[tuple[int, int], list[int]] = {}
        for j, s in enumerate(spec.scales[self.group.index].tolist()):
            key = upsampling_step(band, s, self.group.length), octave_of(s)
            similar.setdefault(key, []).append(j)
        samples = self.samples.reshape(-1, *self.samples.shape[-2:])
        for (step, _), some in similar.items():
            unfolding = self._unfolding(band, some, step)
            for circular, matrix in zip(samples, out, strict=True):
                yield partial(self._unfold, unfolding, circular, matrix)

    def _unfolding(self, band: Band, rows: list[int], step: int) -> Unfolding:
        """Return the tables of rows with similar bands, which are the same for every signal."""
        spec, length = self.schedule.spec, self.group.length
        scales = spec.scales[self.group.index[rows]]
        ends = [used_bins(spec.wavelet, band, s, s, spec.convention, length) for s in scales]
        first, last = min(low for low, _ in ends), max(high for _, high in ends)
        bins = np.arange(first, last + 1)
        gain = np.full(len(bins), float(self.group.step))
        kernel = None
        if step:
            omega = bins * (2 * np.pi / length)
            kernel = Upsampler.build(
                step, length / (step * len(bins)), spec.rtol, dtype=self.samples.real.dtype,
                centre=(omega[0] + omega[-1]) / 2,
            )  # fmt: skip
            gain *= kernel.correction(omega) / step
        return Unfolding(rows, ends, bins, gain, length // (step or 1), kernel)

    def _unfold(self, unfolding: Unfolding, circular: Complexes, out: Complexes) -> None:
        """Write some rows of a signal: unfold each spectrum, and sample it densely."""
        bins, kernel = unfolding.bins, unfolding.kernel
        kind = circular.real.dtype
        for j, (low, high) in zip(unfolding.rows, unfolding.ends, strict=True):
            weights = np.where((bins >= low) & (bins <= high), unfolding.gain, 0).astype(kind)
            spectrum = scipy.fft.fft(circular[j])[bins % circular.shape[-1]]
            dense = scipy.fft.ifft(fold(spectrum, weights, int(bins[0]), unfolding.period))
            target = out[self.group.index[j]]
            if kernel is None:
                target[...] = dense[: out.shape[-1]]
            else:
                kernel.write(dense, target)


@dataclass(frozen=True, eq=False)
class Unfolding:
    """What the dense samples of rows with similar bands are computed with.

    Attributes
    ----------
    rows : list of int
        Their places in the group.
    ends : list of (int, int)
        First and last bin of each one's band.
    bins, gain : ndarray
        Bins of all bands, and what their spectra are multiplied by.
    period : int
        Length of the dense samples.
    kernel : Upsampler or None
        From them to every sample; None if they are that.
    """

    rows: list[int]
    ends: list[tuple[int, int]]
    bins: NDArray[np.intp]
    gain: Floats
    period: int
    kernel: Upsampler | None


@dataclass(frozen=True, eq=False)
class NyquistRows:
    """Rows that the Nyquist frequency cuts, for which every D-th sample is not enough.

    They ring, so a sample between two of the stored ones depends on samples outside of the
    record, on the whole circle. The parts of the signal that the rows are computed from determine
    them as well, and take less memory.
    """

    schedule: Schedule
    group: OverlapSave
    parts: Parts

    def tasks(self, out: Complexes) -> Iterable[Callable[[], object]]:
        """Yield the tasks that fill `out`, the matrices of all signals."""
        group = self.group
        dense = OverlapSave.build(self.schedule.spec, group.index, group.length, 1)
        for k, matrix in enumerate(out):
            parts = signal_parts(self.parts, k)
            for start in dense.starts(out.shape[-1]):
                yield partial(dense.write, parts, start, matrix, group.index)
