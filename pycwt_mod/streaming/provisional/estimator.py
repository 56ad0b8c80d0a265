"""From samples to provisional estimates: fits the models, and compares estimates with the truth.

The model of an octave is fitted whenever the number of samples reaches a multiple of `INTERVAL`
samples of the model, to the `STRETCH` before. So an estimate depends on the samples and not on
how they were divided into chunks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pycwt_mod.arrays import Complexes, Floats
from pycwt_mod.engine.layout import VoiceGrid
from pycwt_mod.streaming.provisional.autoregression import Autoregression, fit_autoregression
from pycwt_mod.streaming.provisional.calibration import CalibrationCounter
from pycwt_mod.streaming.provisional.estimate import Estimate, Provisional
from pycwt_mod.streaming.provisional.history import SampleHistory, View
from pycwt_mod.streaming.provisional.intervals import amplitude_interval, phase_interval
from pycwt_mod.streaming.provisional.kernels import RowKernels, model_step, row_kernels, span
from pycwt_mod.streaming.provisional.missing import conditional_rows
from pycwt_mod.streaming.provisional.reduction import kernel_length, reduced

__all__ = [
    "EstimatedRows",
    "Estimator",
    "OctaveFit",
    "estimate_rows",
    "fit_octave",
    "octave_fit",
]

#: Samples of the model that it is fitted to: 64 to 128 periods of an octave's highest frequency.
STRETCH = 2048
#: Samples of the model after which it is fitted again.
INTERVAL = 128


@dataclass(frozen=True, kw_only=True, eq=False)
class OctaveFit:
    """What the estimates of one channel in one octave are computed with.

    Attributes
    ----------
    kernels : RowKernels
    model : Autoregression
    delays : ndarray of int, shape (rows,)
        In samples of the model.
    remainder : int
        Further delay in samples of the signal, which the kernels contain.
    weights : ndarray, shape (rows, P)
        Of the newest samples of the model about its mean, in order of time.
    variance, pseudo_variance, rms : ndarray, shape (rows,)
    """

    kernels: RowKernels
    model: Autoregression
    delays: NDArray[np.intp]
    remainder: int
    weights: Complexes
    variance: NDArray[np.float64]
    pseudo_variance: Complexes
    rms: NDArray[np.float64]

    @property
    def needed(self) -> int:
        """Samples of the signal that an estimate depends on."""
        past: int = self.weights.shape[1]
        return (past - 1) * self.kernels.step + kernel_length(self.kernels.step)


@dataclass(frozen=True, kw_only=True, eq=False)
class EstimatedRows:
    """Estimates of one channel in one octave, each of shape (rows,)."""

    values: Complexes
    variance: NDArray[np.float64]
    pseudo_variance: Complexes


def fit_octave(
    samples: Floats, grid: VoiceGrid, octave: int, provisional: Provisional
) -> OctaveFit | None:
    """Fit the model of an octave to a stretch of one channel.

    Parameters
    ----------
    samples : ndarray, shape (n,)
        The newest samples of the signal; NaN is missing.

    Returns
    -------
    OctaveFit or None
        None if no sample of the model is valid.
    """
    stretch = reduced(samples, model_step(grid, octave))
    if np.isnan(stretch).all():
        return None
    model = fit_autoregression(stretch, provisional.max_order)
    return octave_fit(grid, octave, model, provisional)


def octave_fit(
    grid: VoiceGrid, octave: int, model: Autoregression, provisional: Provisional
) -> OctaveFit:
    """Return the weights and errors of the rows of an octave under a model."""
    step, lag = model_step(grid, octave), provisional.lag(grid.fs_hz)
    kernels = row_kernels(grid, octave, lag % step)
    forecast = kernels.forecast(model)
    if provisional.max_error is None:
        delays = np.full(len(kernels.kappa), lag // step)
    else:
        delays = forecast.smallest_delays(provisional.max_error)
    variance, pseudo = forecast.variances
    rows, known = np.arange(len(delays)), np.minimum(delays, kernels.reach)
    return OctaveFit(
        kernels=kernels, model=model, delays=delays, remainder=lag % step,
        weights=forecast.weights(delays), variance=variance[rows, known],
        pseudo_variance=pseudo[rows, known], rms=forecast.rms,
    )  # fmt: skip


@lru_cache(maxsize=1024)
def _restored_fit(
    grid: VoiceGrid, octave: int, model: tuple[float, ...], provisional: Provisional
) -> OctaveFit:
    """Return `octave_fit` of a model as plain data, cached for callers that restore it often."""
    return octave_fit(grid, octave, Autoregression.of_plain(model), provisional)


def estimate_rows(fit: OctaveFit, samples: Floats) -> EstimatedRows:
    """Return the estimates after the last of `samples`, shape (n,); NaN is missing.

    Samples before the first one count as missing.
    """
    kernels, past = fit.kernels, fit.weights.shape[1]
    newest = reduced(samples[-fit.needed :], kernels.step)
    if len(newest) == past and not np.isnan(newest).any():
        return EstimatedRows(
            values=fit.weights @ (newest - fit.model.mean),
            variance=fit.variance, pseudo_variance=fit.pseudo_variance,
        )  # fmt: skip
    future = max(0, kernels.reach - int(fit.delays.min()))
    unknown = np.full(past + future, np.nan)
    unknown[past - len(newest) : past] = newest
    weights = kernels.shifted(fit.delays, 1 - past, past + future)
    values, variance, pseudo = conditional_rows(weights, unknown, fit.model)
    return EstimatedRows(values=values, variance=variance, pseudo_variance=pseudo)


def least_scales(fit: OctaveFit, newest: Floats, first: int, count: int) -> Floats:
    """Return the scales with which intervals of past estimates just contain the exact values.

    Parameters
    ----------
    newest : ndarray, shape (n,)
        Samples of the model, NaN where missing.
    first, count : int
        Position in `newest` of the newest sample of the first estimate, and the samples from there
        on, of which every `COMPARED_EVERY`-th is compared.

    Returns
    -------
    ndarray, shape (compared, 2, rows)
        Of amplitude and phase. NaN where a sample is missing, or nothing was unknown.
    """
    kernels, past = fit.kernels, fit.weights.shape[1]
    future = max(1, kernels.reach - int(fit.delays.min()))
    known = newest[first - past + 1 : first + count + future] - fit.model.mean
    windows = np.lib.stride_tricks.sliding_window_view(known, past + future)
    windows = np.ascontiguousarray(windows[:count:COMPARED_EVERY])
    exact = windows @ kernels.shifted(fit.delays, 1 - past, past + future).T
    values = windows[:, :past] @ fit.weights.T
    error = fit.variance, fit.pseudo_variance
    scales = [
        amplitude_interval(values, *error).least_scale(np.abs(exact)),
        phase_interval(values, *error).least_scale(np.angle(exact * np.conj(values))),
    ]
    negligible = fit.variance <= (NEGLIGIBLE * fit.rms) ** 2
    return np.where(negligible, np.nan, np.stack(scales, axis=1))


#: Quantities with intervals.
QUANTITIES = ("amplitude", "phase")
#: Samples of the model between compared estimates: one to four in a period, as errors of closer
#: ones differ little.
COMPARED_EVERY = 16
#: Standard error, as a part of the row's RMS, below which estimates are exact but for rounding and
#: aliases, and say nothing about the model.
NEGLIGIBLE = 1e-3


@dataclass(frozen=True, kw_only=True, eq=False)
class _InForce:
    """The fits of all channels of an octave from sample `end` on."""

    end: int
    fits: tuple[OctaveFit | None, ...]
    scales: tuple[NDArray[np.float64], ...]


class OctaveEstimator:
    """The fits and the calibration of one octave."""

    def __init__(self, grid: VoiceGrid, octave: int, channels: int, options: Provisional) -> None:
        self._grid, self._octave, self._options = grid, octave, options
        self._step = model_step(grid, octave)
        self.interval = INTERVAL * self._step
        lag = options.lag(grid.fs_hz)
        kernels = row_kernels(grid, octave, lag % self._step)
        latest = kernels.reach if options.delay_s is None else lag // self._step
        past = span(kernels, np.array([latest]), options.max_order)
        #: Samples of the model from the first that an estimate knows to the last it depends on.
        self._compared = past + INTERVAL + kernels.reach + INTERVAL
        longest = max(STRETCH, self._compared)
        self.needed = (longest - 1) * self._step + kernel_length(self._step)
        rows = len(kernels.kappa)
        self.counters = tuple(CalibrationCounter(QUANTITIES, rows) for _ in range(channels))
        self.in_force: deque[_InForce] = deque()

    def advance(self, end: int, samples: Floats) -> None:
        """Fit again at `end`, a multiple of `interval`; `samples` (n, channels) end there."""
        stretch = (STRETCH - 1) * self._step + kernel_length(self._step)
        self._compare(end, samples)
        fits = tuple(
            fit_octave(channel[-stretch:], self._grid, self._octave, self._options)
            for channel in samples.T
        )
        scales = tuple(counter.scales for counter in self.counters)
        self.in_force.append(_InForce(end=end, fits=fits, scales=scales))

    def newest(
        self, channel: int, samples: Floats
    ) -> tuple[OctaveFit, NDArray[np.float64], EstimatedRows] | None:
        """Return the fit in force, the scales, and the estimates after the last of `samples`."""
        if not self.in_force:
            return None
        current = self.in_force[-1]
        fit = current.fits[channel]
        if fit is None:
            return None
        return fit, current.scales[channel], estimate_rows(fit, samples[-fit.needed :, channel])

    def snapshot(self) -> dict[str, Any]:
        """Return the state as plain data."""
        return {
            "counters": [counter.snapshot() for counter in self.counters],
            "fits": [
                {
                    "end": each.end,
                    "scales": [scales.tolist() for scales in each.scales],
                    "models": [None if fit is None else fit.model.plain() for fit in each.fits],
                }
                for each in self.in_force
            ],
        }

    def restore(self, snapshot: Mapping[str, Any], view: View) -> None:  # noqa: ARG002
        """Continue from a `snapshot`."""
        for counter, state in zip(self.counters, snapshot["counters"], strict=True):
            counter.restore(state)
        self.in_force = deque(
            _InForce(
                end=int(each["end"]),
                scales=tuple(np.array(scales, np.float64) for scales in each["scales"]),
                fits=tuple(
                    None if model is None else self._fit(Autoregression.of_plain(model))
                    for model in each["models"]
                ),
            )
            for each in snapshot["fits"]
        )

    def _fit(self, model: Autoregression) -> OctaveFit:
        return _restored_fit(self._grid, self._octave, tuple(model.plain()), self._options)

    def _compare(self, end: int, samples: Floats) -> None:
        """Compare the estimates of the fits whose exact values are known at `end`."""
        while len(self.in_force) > 1:
            oldest = self.in_force[0]
            fits = [fit for fit in oldest.fits if fit is not None]
            reach = max((fit.kernels.reach - int(fit.delays.min()) for fit in fits), default=0)
            after = (
                end - oldest.end
            ) // self._step  # samples of the model after the first estimate
            if after < INTERVAL + reach:
                return
            self.in_force.popleft()
            for channel, fit in enumerate(oldest.fits):
                if fit is not None:
                    self._count(channel, fit, oldest.scales[channel], after, samples[:, channel])

    def _count(
        self, channel: int, fit: OctaveFit, stated: Floats, after: int, samples: Floats
    ) -> None:
        newest = reduced(samples, self._step)
        first = len(newest) - 1 - after
        past = fit.weights.shape[1]
        if first < past - 1:  # the stream was shorter when the estimates began
            return
        self.counters[channel].add(least_scales(fit, newest, first, INTERVAL), stated)


def check_wavelet(grid: VoiceGrid) -> None:
    """Raise ValueError if the wavelet is real."""
    if not grid.wavelet.analytic:
        raise ValueError(
            f"wavelet={grid.wavelet!r} is real; provisional estimates need a complex wavelet"
        )


class Estimator(SampleHistory[OctaveEstimator]):
    """Takes the samples of a stream, and returns the newest estimates of all channels.

    Parameters
    ----------
    grid : VoiceGrid
    channels : int
    provisional : Provisional
    """

    def __init__(self, grid: VoiceGrid, channels: int, provisional: Provisional) -> None:
        check_wavelet(grid)
        self._grid = grid
        octaves = range(grid.n_octaves)
        super().__init__(
            channels, [OctaveEstimator(grid, each, channels, provisional) for each in octaves]
        )

    def estimates(self) -> tuple[Estimate, ...]:
        """Return the estimates after the newest sample, one for each channel."""
        samples, newest = self.newest(), self.end - 1
        return tuple(self._estimate(channel, newest, samples) for channel in range(self._channels))

    def _estimate(self, channel: int, newest: int, samples: Floats) -> Estimate:
        grid, n = self._grid, self._grid.n_voices
        at = np.full(n, newest)
        values, pseudo = np.full(n, np.nan, np.complex128), np.full(n, np.nan, np.complex128)
        variance, rms = np.full(n, np.nan), np.full(n, np.nan)
        scales = np.full((len(QUANTITIES), n), np.nan)
        order = np.zeros(n, np.int64)
        for k, octave in enumerate(self._octaves):
            outcome = octave.newest(channel, samples)
            if outcome is None:
                continue
            fit, stated, rows = outcome
            here = grid.octave_slice(k)
            at[here] = newest - fit.delays * fit.kernels.step - fit.remainder
            values[here], order[here] = rows.values, fit.model.order
            rms[here], scales[:, here] = fit.rms, stated
            variance[here], pseudo[here] = rows.variance, rows.pseudo_variance
        return Estimate(
            channel=channel, newest_sample=newest, freqs_hz=grid.freqs_hz, samples=at,
            values=values, variance=variance, pseudo_variance=pseudo, rms=rms, order=order,
            amplitude_scale=scales[0], phase_scale=scales[1], fs_hz=grid.fs_hz,
        )  # fmt: skip
