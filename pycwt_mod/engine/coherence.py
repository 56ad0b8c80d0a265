"""Smoothed spectra of two or more signals, computed at the rate that each octave needs.

The band of |W|² is twice as wide as that of W, but after smoothing only the width of the filter
remains. So squares and products are formed and filtered at samples every D; the boxcar over scales
adds the filtered spectra, which are short; and the sums are upsampled to every sample in the end.

Smoothing is circular over the convention's padding. Rows that are smoothed over less than the
padding of a shorter circle are the same on it, and are smoothed there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeAlias

import numpy as np
import scipy.fft

from pycwt_mod.arrays import (
    Complexes,
    Floats,
    complex_dtype,
)
from pycwt_mod.conditioning import pairs_of
from pycwt_mod.engine.filter_bank import (
    Band,
    TransformSpec,
    coherence_bandwidth,
    fast_length,
    power_of_two_below,
)
from pycwt_mod.engine.schedule import run_tasks
from pycwt_mod.engine.smoother import OVERSAMPLING, Smoother, kernel_correction
from pycwt_mod.smoothing import (
    ScaleWindow,
    powers,
    scale_window,
    squared_coherence,
    window_matrix,
)

#: Which spectrum the phase is of: W1 W2*, or S(W1 W2*/s), which R² is made of and is less noisy.
PhaseOf: TypeAlias = Literal["cross", "smoothed"]


#: Takes some rows, and the planes of their smoothed spectra, shape (k + 2 pairs, rows, n): power of
#: the signals, then real and imaginary parts of the cross spectra of their pairs.
WritePlanes: TypeAlias = Callable[[slice, Floats], None]


def check_phase_of(phase_of: str) -> None:
    """Raise ValueError unless `phase_of` is one of the two."""
    if phase_of not in ("cross", "smoothed"):
        raise ValueError(f"{phase_of=} must be 'cross' or 'smoothed'")


#: Between these steps interpolation is faster than a longer FFT, and its tables are small.
_LEAST_STEP, _LARGEST_STEP = 2, 64
#: Steps beyond a smoothed row that the weights of the ends and the kernel may reach.
_END_STEPS = 64
#: Ringing of a filter that Nyquist cuts, in units of the tolerance, that is accepted.
_RINGING = 10.0
#: FFTs up to this length are computed as they are.
_SHORT_FFT = 2048


@dataclass(frozen=True, eq=False)
class CoherenceSchedule:
    """The tables of all rows of the coherence of records of one length, in runs of rows."""

    parts: tuple[CoherenceRows, ...]

    @classmethod
    def build(cls, spec: TransformSpec, dj: float | None) -> CoherenceSchedule:
        """Choose lengths and steps, and tabulate; the scales of `spec` ascend, `dj` apart."""
        wavelet, scales, convention = spec.wavelet, spec.scales, spec.convention
        n, length, rtol = spec.n, spec.length, spec.rtol
        window = scale_window(scales, wavelet.deltaj0, dj, convention)
        count = len(scales)
        width = coherence_bandwidth(wavelet, rtol)
        band = Band.of(wavelet, rtol, convention)
        short = fast_length(n * 17 / 16, _LARGEST_STEP)
        radius = math.sqrt(-2 * math.log(rtol))
        calm = [
            short < length
            and radius * s + _END_STEPS * sampling_step(width, s, short) <= short - n
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
                inside = not band.crosses_nyquist(s) and band.radius * s <= short - n
                key = (
                    short if short < length and inside else length,
                    sampling_step(width, s, circle),
                )
                if not members or members[-1][0] != key:
                    members.append((key, []))
                members[-1][1].append(j)
            groups = tuple(
                Smoother.build(spec, np.array(index), circle, fft_length, step)
                for (fft_length, step), index in members
            )
            parts.append(CoherenceRows(n, circle, window, groups, outputs))
        return cls(tuple(parts))

    @property
    def lengths(self) -> set[int]:
        """The FFT lengths of the signals that `all` needs."""
        return {group.bank.length for part in self.parts for group in part.groups}

    @property
    def largest_neighbours(self) -> list[int]:
        """The largest row that each row is smoothed over."""
        count = self.parts[-1].outputs.stop
        return [
            _neighbours(part.window, row, count).stop - 1
            for part in self.parts
            for row in part.outputs
        ]

    @property
    def scale_weights(self) -> Floats:
        """Weights of the smoothing over scales, shape (scales, scales), one row per output."""
        count = self.parts[-1].outputs.stop
        parts = [window_matrix(part.window, count, part.outputs) for part in self.parts]
        return np.concatenate(parts)

    def spectra(self, spectra: dict[int, Complexes], workers: int = 1) -> tuple[Floats, Complexes]:
        """Return the smoothed power and cross spectra of k signals.

        Parameters
        ----------
        spectra : dict of ndarray, shape (k, bins)
            `rfft` of the signals by FFT length.
        workers : int
            Threads.

        Returns
        -------
        power : ndarray, shape (k, scales, n)
        cross : ndarray, shape (k (k - 1) / 2, scales, n), complex
            In the order of `pairs_of`.
        """
        some = next(iter(spectra.values()))
        count, shape = len(some), (self.parts[-1].outputs.stop, self.parts[-1].n)
        power = np.empty((count, *shape), some.real.dtype)
        cross = np.empty((len(pairs_of(count)), *shape), some.dtype)

        def write(rows: slice, planes: Floats) -> None:
            power[:, rows] = planes[:count]
            cross.real[:, rows], cross.imag[:, rows] = np.split(planes[count:], 2)

        for part in self.parts:
            part.compute(spectra, write, None, workers)
        return power, cross

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
            some = {length: spectrum[k] for length, spectrum in spectra.items()}
            write = partial(_write_coherence, r2[k], smoothed[(slice(None), *k)])
            for part in self.parts:
                part.compute(some, write, unsmoothed, workers)
        if phase_of == "smoothed":
            np.arctan2(smoothed[1], smoothed[0], out=phase)
        return r2, phase, smoothed


def _write_coherence(coherence: Floats, smoothed: Floats, rows: slice, planes: Floats) -> None:
    """Write R² and the smoothed cross spectrum of some rows from their `planes`."""
    smoothed[:, rows] = planes[2:]
    squared_coherence(planes[:2], planes[2], planes[3], out=coherence[rows])


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


def sampling_step(width: float, scale: float, length: int) -> int:
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


@dataclass(frozen=True, eq=False)
class SmoothedSpectra:
    """The spectra of a group's rows after the Gaussian in time, as far as it passes them.

    Each power has a spectrum of its own: in a complex transform that both share, the rounding of
    the larger one would hide the smaller one, and coherence would depend on the signals' units.

    Attributes
    ----------
    group : Smoother
    power : ndarray, shape (k, rows, bins)
        Of |W|², from frequency 0 on.
    positive, negative : ndarray, shape (pairs, rows, bins)
        Of W1 W2*, from frequency 0 on, and from the lowest one to that below 0.
    """

    group: Smoother
    power: Complexes
    positive: Complexes
    negative: Complexes

    @classmethod
    def empty(cls, group: Smoother, length: int, count: int) -> SmoothedSpectra:
        """Return room for rows of `count` signals, smoothed on a circle of `length` samples."""
        rows, bins = group.gauss.shape
        kind = complex_dtype(group.gauss.dtype)
        below = min(bins - 1, (length // group.bank.step - 1) // 2)
        pairs = len(pairs_of(count))
        shapes = (count, rows, bins), (pairs, rows, bins), (pairs, rows, below)
        return cls(group, *(np.zeros(shape, kind) for shape in shapes))

    def filter(self, rows: slice, power: Floats, cross: Complexes, length: int) -> None:
        """Fill `rows` from samples of |W|² of all signals and of W1 W2* of all pairs."""
        group, period = self.group, length // self.group.bank.step
        powers = scipy.fft.rfft(group.within_record(power, period), axis=-1)
        products = scipy.fft.fft(group.within_record(cross, period), axis=-1, overwrite_x=True)
        bins, below = self._passed(rows, period)
        gauss = group.gauss[rows, :bins]
        np.multiply(powers[..., :bins], gauss, out=self.power[:, rows, :bins])
        np.multiply(products[..., :bins], gauss, out=self.positive[:, rows, :bins])
        lowest = self.negative[:, rows, self.negative.shape[-1] - below :]
        np.multiply(products[..., period - below :], gauss[:, below:0:-1], out=lowest)

    def add(self, rows: slice, weights: Floats, power: Complexes, cross: Complexes) -> None:
        """Add `rows` times their `weights` to the spectra `power` and `cross` of another period."""
        period = cross.shape[-1]
        bins, below = self._passed(rows, period)
        factors = weights[:, None].astype(self.power.real.dtype)
        for part, out in (
            (self.power[:, rows, :bins], power[..., :bins]),
            (self.positive[:, rows, :bins], cross[..., :bins]),
            (
                self.negative[:, rows, self.negative.shape[-1] - below :],
                cross[..., period - below :],
            ),
        ):
            out += part if (weights == 1).all() else part * factors

    def _passed(self, rows: slice, period: int) -> tuple[int, int]:
        """Return how many bins from 0 on, and below 0, the filter passes at the smallest scale."""
        bins = min(self.group.passed[rows.start], period // 2 + 1)
        return bins, min(bins - 1, (period - 1) // 2)


@dataclass(frozen=True, eq=False)
class CoherenceRows:
    """The tables of some rows of the coherence of records of n samples.

    Attributes
    ----------
    n, length : int
        Samples, and the FFT length of the smoothing, which is circular.
    outputs : range
        The rows that are finished; `groups` have their neighbours as well.
    """

    n: int
    length: int
    window: ScaleWindow
    groups: tuple[Smoother, ...]
    outputs: range

    def compute(
        self,
        spectra: dict[int, Complexes],
        write: WritePlanes,
        phase: Floats | None,
        workers: int = 1,
    ) -> None:
        """Have the smoothed spectra of all rows written, and fill the phase of two signals.

        `spectra` holds the `rfft` of the signals, shape (k, bins), by FFT length.
        """
        count = len(next(iter(spectra.values())))
        filtered = [SmoothedSpectra.empty(group, self.length, count) for group in self.groups]
        chunks = [(each, rows) for each in filtered for rows in each.group.chunks(self.length)]
        run_tasks(
            (
                partial(self._filter, each, rows, spectra[each.group.bank.length], phase)
                for each, rows in chunks
            ),
            workers,
        )
        run_tasks(
            (
                partial(self._finish, each.group, rows, filtered, write)
                for each, portion in chunks
                if (rows := self._finished(each.group, portion)).stop > rows.start
            ),
            workers,
        )

    def _finished(self, group: Smoother, rows: slice) -> slice:
        """Return which of the rows of a group are outputs."""
        ends = np.searchsorted(group.index, [self.outputs.start, self.outputs.stop])
        first = max(rows.start, int(ends[0]))
        return slice(first, max(first, min(rows.stop, int(ends[1]))))

    def _filter(
        self, filtered: SmoothedSpectra, rows: slice, spectra: Complexes, phase: Floats | None
    ) -> None:
        """Store the filtered spectra of |W|² and W1 W2*, and the phase of the first pair."""
        group = filtered.group
        waves = group.bank.samples(group.bank.band(spectra), rows)
        power = powers(waves)
        pairs = pairs_of(len(waves))
        cross = np.empty((len(pairs), *waves.shape[1:]), waves.dtype)
        for out, (i, j) in zip(cross, pairs, strict=True):
            np.multiply(waves[i], np.conj(waves[j], out=out), out=out)
        some = self._finished(group, rows)
        if phase is not None and some.stop > some.start:
            outputs = cross[0, some.start - rows.start : some.stop - rows.start]
            group.write_phase(outputs, group.index[some], phase)
        filtered.filter(rows, power, cross, self.length)

    def _finish(
        self,
        group: Smoother,
        rows: slice,
        filtered: list[SmoothedSpectra],
        write: WritePlanes,
    ) -> None:
        """Add up neighbouring scales, go back to time, and have the result written."""
        index = group.index[rows]
        step = group.bank.step
        period = self.length // step
        kind = group.gauss.dtype
        count, pairs = len(filtered[0].power), len(filtered[0].positive)
        power = np.zeros((count, len(index), period // 2 + 1), complex_dtype(kind))
        cross = np.zeros((pairs, len(index), period), complex_dtype(kind))
        self._add_neighbours(range(int(index[0]), int(index[-1]) + 1), filtered, power, cross)
        if group.kernel is not None:
            correction = kernel_correction(group.kernel, period) / step
            power *= correction[: period // 2 + 1]
            cross *= correction
        spectra: Complexes = scipy.fft.ifft(cross, axis=-1, overwrite_x=True)
        planes = np.empty((count + 2 * pairs, len(index), period), kind)
        planes[:count] = scipy.fft.irfft(power, period, axis=-1, overwrite_x=True)
        planes[count : count + pairs], planes[count + pairs :] = spectra.real, spectra.imag
        full = planes[..., : self.n]
        if group.kernel is not None:
            full = np.empty((len(planes), len(index), self.n), kind)
            group.kernel.write(planes, full)
        write(slice(int(index[0]), int(index[-1]) + 1), full)

    def _add_neighbours(
        self, places: range, filtered: list[SmoothedSpectra], power: Complexes, cross: Complexes
    ) -> None:
        """Fill the spectra of the rows `places` with the sums over the scales around each."""
        first_offset, weights = self._weights(places)
        usual = weights.max()
        for offset, each in enumerate(weights.T / usual, first_offset):
            for part in filtered:
                first = int(part.group.index[0])
                low = max(places.start + offset, first)
                high = min(places.stop + offset, first + part.power.shape[1])
                here = slice(low - offset - places.start, high - offset - places.start)
                if low < high and each[here].any():
                    rows = slice(low - first, high - first)
                    part.add(rows, each[here], power[:, here], cross[:, here])
        power *= power.real.dtype.type(usual)
        cross *= cross.real.dtype.type(usual)

    def _weights(self, places: range) -> tuple[int, Floats]:
        """Return the first offset, and the weights (places, offsets) of the rows around each."""
        around = [self.window.around(place) for place in places]
        offsets = [first - place for place, (first, _) in zip(places, around, strict=True)]
        least = min(offsets)
        most = max(low + len(each) for low, (_, each) in zip(offsets, around, strict=True))
        weights = np.zeros((len(places), most - least))
        for row, low, (_, each) in zip(weights, offsets, around, strict=True):
            row[low - least : low - least + len(each)] = each
        return least, weights
