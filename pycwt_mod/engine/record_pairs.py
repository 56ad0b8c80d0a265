"""Coherence of all pairs of the channels of a record, each octave at the rate that it needs.

Far from the ends of the record, smoothed spectra are sums over samples every D, as in live blocks.
Near the ends, where products stop abruptly, they are sums over closer samples with the weights of
`pycwt_mod.engine.smoother.end_weights`, on the circle that `wct` smooths on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from pycwt_mod.arrays import Bools, Complexes, Floats
from pycwt_mod.engine.coherence import sampling_step
from pycwt_mod.engine.filter_bank import (
    BAND_TOL,
    FilterBank,
    TransformSpec,
    coherence_bandwidth,
    power_of_two_below,
)
from pycwt_mod.engine.pairs import (
    GAUSS_TOL,
    Pairs,
    PairSmoother,
    RingingSmoother,
    coherencies,
    planes,
    write_coherence,
)
from pycwt_mod.engine.schedule import run_tasks
from pycwt_mod.engine.smoother import OVERSAMPLING, end_weights
from pycwt_mod.smoothing import scale_window, window_matrix

#: Outputs that are computed in one go: a few matrix products.
_SEGMENT = 256
#: Part of the Gaussian beyond Nyquist that is accepted: below that of the default smallest scale.
_RINGING = 1e-8
#: Aliasing of the sampled spectra, as a part of the tolerance; less than that of rounding helps no
#: more.
_RESERVE, _LEAST_TOL = 0.01, 1e-12


@dataclass(frozen=True, eq=False)
class PairRows:
    """The tables of rows whose coherence is sampled at one step.

    Attributes
    ----------
    outputs : range
        Their places among the ascending scales.
    step : int
        D.
    n_out : int
        ⌈n/D⌉.
    bank : FilterBank
        Filters of the rows and their neighbours, divided by √s, at the step of the ends.
    inner, ends : PairSmoother
        From samples every D, and from those of `bank`, to outputs every D. For scales whose
        Gaussian rings, `ends` is of the whole circle.
    weights : ndarray
        Of the samples of `bank` on the circle.
    first_inner, stop_inner : int
        Outputs that are far from the ends.
    """

    outputs: range
    step: int
    n_out: int
    bank: FilterBank
    inner: PairSmoother
    ends: PairSmoother | RingingSmoother
    weights: Floats
    first_inner: int
    stop_inner: int

    @classmethod
    def build(cls, spec: TransformSpec, outputs: range, boxcar: Floats, step: int) -> PairRows:
        """Tabulate; `boxcar` has shape (outputs, scales)."""
        used = np.flatnonzero(boxcar.any(axis=0))
        rows = slice(int(used[0]), int(used[-1]) + 1)
        scales, boxcar = spec.scales[rows], boxcar[:, rows]
        ringing = _rings(float(scales[0]))
        width = coherence_bandwidth(spec.wavelet, spec.rtol)
        fine = min(step, sampling_step(width, float(scales[0]), spec.length))
        # A band that is cut too early hides rows of little power, as single precision does.
        exact = replace(spec, dtype=np.dtype(np.float64), rtol=min(spec.rtol, BAND_TOL))
        bank = FilterBank.for_band(exact, scales, spec.length, fine)
        n_out = -(-spec.n // step)
        tol = min(GAUSS_TOL, spec.rtol)
        inner = PairSmoother.build(scales / step, boxcar, dtype=spec.dtype, tol=tol, most=n_out)
        ends: PairSmoother | RingingSmoother
        if ringing:
            ends = RingingSmoother.build(scales, boxcar, spec.length, spec.dtype)
        else:
            ends = PairSmoother.build(
                scales / fine, boxcar, every=step // fine, dtype=spec.dtype, tol=tol, most=n_out
            )
        sums, before = end_weights(spec.n, fine, OVERSAMPLING, spec.rtol)
        weights = np.zeros(bank.period)
        np.add.at(weights, (np.arange(len(sums)) - before) % bank.period, sums)
        first, stop = inner.reach, (spec.n - 1) // step - inner.reach + 1
        if stop <= first or ringing:
            first = stop = n_out
        return cls(
            outputs, step, n_out, bank.per_root_scale(scales), inner, ends,
            weights.astype(spec.dtype), first, stop,
        )  # fmt: skip

    def coherence(
        self,
        spectrum: Complexes,
        pairs: Pairs,
        flats: Bools,
        dtype: np.dtype[Any],
        with_phase: bool,
        workers: int,
    ) -> tuple[Floats, Floats | None]:
        """Return R² and the phase, shape (pairs, rows, n_out), or None for the phase.

        Parameters
        ----------
        spectrum : ndarray, shape (channels, bins)
            `rfft` of the channels.
        flats : ndarray of bool, shape (channels, rows, n_out)
            Where channels are constant; R² and phase are 0 there.
        """
        shape = len(pairs), len(self.outputs), self.n_out
        coherence = np.empty(shape, dtype)
        phase = np.empty(shape, dtype) if with_phase else None
        self._write(spectrum, pairs, coherence, phase, workers)
        any_flat: Bools = np.logical_or.reduce(flats, axis=(1, 2))
        for place, (one, other) in enumerate(pairs):
            if any_flat[one] or any_flat[other]:
                for plane in (coherence, phase):
                    if plane is not None:
                        plane[place][flats[one] | flats[other]] = 0
        return coherence, phase

    def _write(
        self,
        spectrum: Complexes,
        pairs: Pairs,
        coherence: Floats,
        phase: Floats | None,
        workers: int,
    ) -> None:
        bands = self.bank.band(spectrum)
        fine = planes(map(self.bank.samples, bands), len(bands), coherence.dtype)
        out = _Planes(pairs, coherence, phase)
        if isinstance(self.ends, RingingSmoother):
            out.write(self.ends, fine, self.weights, slice(0, self.n_out))
            return
        ratio = self.step // self.bank.step
        coarse = np.ascontiguousarray(fine[..., ::ratio])
        tasks = [
            partial(self._write_inner, coarse, columns, out)
            for columns in _cut(self.first_inner, self.stop_inner)
        ]
        tasks += [
            partial(self._write_end, self.ends, fine, columns, out)
            for ends in ((0, self.first_inner), (self.stop_inner, self.n_out))
            for columns in _cut(*ends)
        ]
        run_tasks(tasks, workers)

    def _write_inner(self, waves: Floats, columns: slice, out: _Planes) -> None:
        reach = self.inner.reach
        around = slice(columns.start - reach, columns.stop + reach)
        out.write(self.inner, waves[..., around], None, columns)

    def _write_end(
        self, smoother: PairSmoother, waves: Floats, columns: slice, out: _Planes
    ) -> None:
        first = columns.start * (self.step // self.bank.step) - smoother.reach
        count = smoother.needed(columns.stop - columns.start)
        around = np.arange(first, first + count) % self.bank.period
        out.write(smoother, waves[..., around], self.weights[around], columns)


@dataclass(frozen=True, eq=False)
class _Planes:
    """R² and phase of some rows of all pairs, shape (pairs, rows, outputs)."""

    pairs: Pairs
    coherence: Floats
    phase: Floats | None

    def write(
        self,
        smoother: PairSmoother | RingingSmoother,
        waves: Floats,
        weights: Floats | None,
        columns: slice,
    ) -> None:
        """Fill the `columns` from the `planes` of the channels' rows around them."""
        count = columns.stop - columns.start
        phase = None if self.phase is None else self.phase[..., columns]
        for places, coherency in coherencies(smoother, waves[0], waves[1], self.pairs, weights):
            kept = coherency[..., :count]
            write_coherence(kept, places, self.coherence[..., columns], phase)


@dataclass(frozen=True, eq=False)
class PairSchedule:
    """The tables of all rows of the coherence of pairs of channels of one length."""

    parts: tuple[PairRows, ...]

    @classmethod
    def build(cls, spec: TransformSpec, dj: float | None) -> PairSchedule:
        """Choose steps, and tabulate; the scales of `spec` ascend, `dj` apart."""
        window = scale_window(spec.scales, spec.wavelet.deltaj0, dj, spec.convention)
        count = len(spec.scales)
        boxcar = window_matrix(window, count)
        width = coherence_bandwidth(spec.wavelet, max(_LEAST_TOL, spec.rtol * _RESERVE))
        most = spec.length & -spec.length
        least = spec.scales[boxcar.astype(bool).argmax(axis=1)]
        steps = [min(most, power_of_two_below(2 * math.pi * s / width)) for s in least.tolist()]
        keys = [(step, _rings(s)) for step, s in zip(steps, least.tolist(), strict=True)]
        starts = [j for j in range(count) if j == 0 or keys[j] != keys[j - 1]]
        runs = zip(starts, [*starts[1:], count], strict=True)
        return cls(
            tuple(
                PairRows.build(spec, range(low, high), boxcar[low:high], steps[low])
                for low, high in runs
            )
        )


def _rings(scale: float) -> bool:
    """Return whether Nyquist cuts the Gaussian of a scale in samples, so that it rings."""
    return math.exp(-((math.pi * scale) ** 2) / 2) > _RINGING


def _cut(start: int, stop: int) -> Sequence[slice]:
    """Return the outputs from `start` to `stop` in segments."""
    return [slice(k, min(k + _SEGMENT, stop)) for k in range(start, stop, _SEGMENT)]


def pair_mask(
    pairs: Pairs, flats: Bools, missing: Bools, touched: Callable[[Bools], Bools]
) -> Bools:
    """Return the mask of pairs, shape (pairs, rows, outputs).

    Parameters
    ----------
    flats : ndarray of bool, shape (channels, rows, outputs)
        Where channels are constant.
    missing : ndarray of bool, shape (channels, n)
    touched : callable
        From samples that are missing in either channel to the values that are masked.
    """
    shape = len(pairs), *flats.shape[1:]
    if not (flats.any() or missing.any()):
        return np.broadcast_to(np.False_, shape)
    mask = np.zeros(shape, np.bool_)
    patterns, which = np.unique(missing, axis=0, return_inverse=True)
    which = which.reshape(-1)
    known: dict[tuple[int, int], Bools] = {}
    for out, (one, other) in zip(mask, pairs, strict=True):
        low, high = sorted((int(which[one]), int(which[other])))
        if (low, high) not in known:
            known[low, high] = touched(patterns[low] | patterns[high])
        np.logical_or(flats[one], flats[other], out=out)
        out |= known[low, high]
    return mask
