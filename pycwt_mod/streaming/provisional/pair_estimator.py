"""From samples of many channels to provisional estimates of coherence and phase difference.

A smoothed product depends on rows after its instant, so on samples that are farther in the future
than those of a coefficient. The signals are continued in `CONTINUATIONS` ways: the innovations of
each are those of consecutive samples of the stretch, from the same place in all channels. So the
continuations are correlated as the channels are, and as heavy-tailed as they are. The quantities of
all continuations give the median and the interval.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pycwt_mod.arrays import Complexes, Convention, Floats
from pycwt_mod.engine.layout import BlockOp, OctaveLayout, VoiceGrid
from pycwt_mod.streaming.provisional.autoregression import Autoregression, fit_autoregression
from pycwt_mod.streaming.provisional.calibration import CalibrationCounter
from pycwt_mod.streaming.provisional.estimate import Provisional
from pycwt_mod.streaming.provisional.estimator import (
    COMPARED_EVERY,
    INTERVAL,
    NEGLIGIBLE,
    STRETCH,
    check_wavelet,
)
from pycwt_mod.streaming.provisional.history import SampleHistory, View
from pycwt_mod.streaming.provisional.intervals import Interval, symmetric
from pycwt_mod.streaming.provisional.kernels import row_kernels
from pycwt_mod.streaming.provisional.missing import conditional_errors
from pycwt_mod.streaming.provisional.pair_estimate import PairEstimate
from pycwt_mod.streaming.provisional.products import RowProducts, row_products
from pycwt_mod.streaming.provisional.reduction import kernel_length, reduced

__all__ = ["PairEstimator"]

#: Continuations of the signals. The standard error of the probability between the ends of an
#: interval is then 2 %, which the calibration removes on average.
CONTINUATIONS = 128
#: Part of the largest magnitude below which the deviation of a stretch is rounding.
FLAT = 1e-12

Pairs = Sequence[tuple[int, ...]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Rows:
    """Rows of one channel at the offsets of `RowProducts`; n estimates.

    Attributes
    ----------
    mean : ndarray, shape (n, rows * K)
    errors : ndarray, shape (m, rows * K)
        Deviations from the mean in each continuation.
    """

    mean: Complexes
    errors: Complexes

    def continued(self) -> Complexes:
        """Return the rows in all continuations; shape (n, m, rows * K)."""
        return self.mean[:, None] + self.errors


@dataclass(frozen=True, kw_only=True, eq=False)
class ChannelFit:
    """The model of one channel in one octave, and the weights of its rows.

    Attributes
    ----------
    model : Autoregression
    weights : ndarray, shape (rows * K, past)
        Of the newest samples about the mean, the forecast of those to come included.
    errors : ndarray, shape (m, rows * K)
    innovations : ndarray, shape (m, past + future)
    """

    model: Autoregression
    weights: Complexes
    errors: Complexes
    innovations: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class OctaveFits:
    """The fits of all channels of an octave from sample `end` on; None without a model.

    Attributes
    ----------
    delay : int
        In samples of the model.
    row_weights : ndarray, shape (rows * K, past + future)
    """

    end: int
    delay: int
    past: int
    future: int
    row_weights: Complexes
    channels: tuple[ChannelFit | None, ...]

    def rows(self, channel: int, newest: Floats) -> Rows | None:
        """Return the rows of a channel after the newest samples of the model, shape (n,)."""
        fit = self.channels[channel]
        if fit is None:
            return None
        known = newest[-self.past :]
        if len(known) == self.past and not np.isnan(known).any():
            return Rows(mean=(fit.weights @ (known - fit.model.mean))[None], errors=fit.errors)
        samples = np.full(self.past + self.future, np.nan)
        samples[self.past - len(known) : self.past] = known
        mean, errors = conditional_errors(self.row_weights, samples, fit.model, fit.innovations)
        return Rows(mean=mean[None], errors=errors)


def fit_channels(
    stretch: Floats, row_weights: Complexes, past: int, models: Sequence[Autoregression | None]
) -> tuple[ChannelFit | None, ...]:
    """Return the weights and errors of the rows of all channels.

    Parameters
    ----------
    stretch : ndarray, shape (n, channels)
        What the models were fitted to; NaN is missing.
    row_weights : ndarray, shape (rows * K, past + future)
    past : int
    models : sequence of Autoregression or None
    """
    # Imported on first use: scipy.signal takes longer to load than the rest of the library.
    from scipy.signal import lfilter

    orders = [model.order for model in models if model is not None]
    first = max(orders, default=0)
    n, count = len(stretch) - first, row_weights.shape[1]
    starts = np.arange(CONTINUATIONS) * n // CONTINUATIONS
    places = (starts[:, None] + np.arange(count)) % n
    # Products of real matrices take half the time of mixed ones.
    late = np.concatenate([row_weights.real[:, past:], row_weights.imag[:, past:]])
    fits: list[ChannelFit | None] = []
    for samples, model in zip(stretch.T, models, strict=True):
        if model is None:
            fits.append(None)
            continue
        whitening = np.concatenate([[1.0], -model.coefs])
        residuals = _filled(np.convolve(samples - model.mean, whitening)[first : len(samples)])
        innovations = residuals[places]
        future = lfilter([1.0], whitening, innovations[:, past:], axis=1)
        weights = row_weights[:, :past].copy()
        weights[:, past - model.order :] += _complex(late @ _forecast(model, late.shape[1]))
        errors = _complex(late @ future.T).T
        fits.append(
            ChannelFit(model=model, weights=weights, errors=errors, innovations=innovations)
        )
    return tuple(fits)


def _complex(parts: Floats) -> Complexes:
    """Return the numbers whose real parts are the first half of the rows."""
    half = len(parts) // 2
    return np.asarray(parts[:half] + 1j * parts[half:])


def _filled(residuals: Floats) -> NDArray[np.float64]:
    """Return the residuals with those of missing samples taken from others, in order."""
    lost = np.isnan(residuals)
    if lost.all():
        return np.zeros(len(residuals))
    if not lost.any():
        return np.asarray(residuals)
    return np.where(lost, np.resize(residuals[~lost], len(residuals)), residuals)


def _forecast(model: Autoregression, count: int) -> NDArray[np.float64]:
    """Return the weights of the last p samples in the next `count`; shape (count, p)."""
    order = model.order
    values = np.concatenate([np.eye(order), np.zeros((count, order))])
    backward = model.coefs[::-1]
    for t in range(order, order + count):
        values[t] = backward @ values[t - order : t]
    return values[order:]


class OctavePairs:
    """The fits and the calibration of all pairs in one octave."""

    def __init__(
        self,
        grid: VoiceGrid,
        layout: OctaveLayout,
        op: BlockOp,
        convention: Convention,
        pairs: Pairs,
        options: Provisional,
    ) -> None:
        self._grid, self._octave, self._options = grid, layout.octave, options
        self._pairs = pairs
        self._used = frozenset(channel for pair in pairs for channel in pair)
        lag = options.lag(grid.fs_hz)
        step = row_kernels(grid, layout.octave).step
        self.step, self.remainder, self._fixed = step, lag % step, lag // step
        self.products = row_products(grid, layout, op, convention, self.remainder)
        self.interval = INTERVAL * step
        reach = self.products.reach
        latest = reach if options.delay_s is None else self._fixed
        past = max(options.max_order, reach + latest + 1)
        #: Samples of the model on which fits in force, and their comparisons, depend.
        longest = max(STRETCH, past) + INTERVAL + reach + INTERVAL
        self.needed = (longest - 1) * step + kernel_length(step)
        names = ("coherence" if self.products.coherence else "amplitude", "phase")
        rows = len(self.products.boxcar)
        self.counters = tuple(CalibrationCounter(names, rows) for _ in pairs)
        self.in_force: deque[tuple[OctaveFits, tuple[NDArray[np.float64], ...]]] = deque()

    def advance(self, end: int, samples: Floats) -> None:
        """Fit again at `end`, a multiple of `interval`; `samples` (n, channels) end there."""
        newest = reduced(samples, self.step)
        self._compare(end, newest)
        scales = tuple(counter.scales for counter in self.counters)
        self.in_force.append((self._fit(end, newest), scales))

    def snapshot(self) -> dict[str, Any]:
        """Return the state as plain data; fits are computed again from the samples."""
        return {
            "counters": [counter.snapshot() for counter in self.counters],
            "fits": [
                {"end": fits.end, "scales": [each.tolist() for each in scales]}
                for fits, scales in self.in_force
            ],
        }

    def restore(self, snapshot: Mapping[str, Any], view: View) -> None:
        """Continue from a `snapshot`."""
        for counter, state in zip(self.counters, snapshot["counters"], strict=True):
            counter.restore(state)
        self.in_force = deque(
            (
                self._fit(int(each["end"]), self._stretch(int(each["end"]), view)),
                tuple(np.array(scales, np.float64) for scales in each["scales"]),
            )
            for each in snapshot["fits"]
        )

    def newest(self, samples: Floats) -> list[tuple[NDArray[np.float64], ...] | None] | None:
        """Return the estimates of all pairs after the last of `samples`, (n, channels).

        Returns
        -------
        list of tuple or None
            None without a fit. For each pair None, or the median, the ends of the interval, the
            phase, the half-width of its interval, and both scales; each of shape (rows,).
        """
        if not self.in_force:
            return None
        fits, scales = self.in_force[-1]
        newest = reduced(
            samples[-((fits.past - 1) * self.step + kernel_length(self.step)) :], self.step
        )
        rows = {channel: fits.rows(channel, newest[:, channel]) for channel in self._used}
        outcomes: list[tuple[NDArray[np.float64], ...] | None] = []
        for (one, other), scale in zip(self._pairs, scales, strict=True):
            first, second = rows[one], rows[other]
            if first is None or second is None:
                outcomes.append(None)
                continue
            value, phase, turn = intervals(self.products, first, second)
            ends = (value.median[0], value.low[0], value.high[0])
            outcomes.append((*ends, phase[0], turn.high[0], scale[0], scale[1]))
        return outcomes

    @property
    def delay(self) -> int:
        """Delay of the newest fit, in samples of the signal."""
        return self.in_force[-1][0].delay * self.step + self.remainder

    def _stretch(self, end: int, view: View) -> Floats:
        length = (STRETCH - 1) * self.step + kernel_length(self.step)
        return reduced(view(end - length, end), self.step)

    def _fit(self, end: int, newest: Floats) -> OctaveFits:
        stretch = newest[-STRETCH:]
        models = [
            self._model(samples) if channel in self._used else None
            for channel, samples in enumerate(stretch.T)
        ]
        delay, reach = self._delay(models), self.products.reach
        orders = [model.order for model in models if model is not None]
        past, future = max([*orders, reach + delay + 1]), max(0, reach - delay)
        weights = self.products.row_weights(delay, past, future)
        return OctaveFits(
            end=end, delay=delay, past=past, future=future, row_weights=weights,
            channels=fit_channels(stretch, weights, past, models),
        )  # fmt: skip

    def _model(self, samples: Floats) -> Autoregression | None:
        """Return the model of a channel; None if it is constant, or has too few samples."""
        valid = samples[~np.isnan(samples)]
        if len(valid) < INTERVAL // 2 or valid.std() <= FLAT * np.abs(valid).max():
            return None
        return fit_autoregression(samples, self._options.max_order)

    def _delay(self, models: Sequence[Autoregression | None]) -> int:
        """Return the smallest delay at which all rows of all channels are exact enough."""
        if self._options.max_error is None:
            return self._fixed
        kernels = row_kernels(self._grid, self._octave)
        return max(
            (
                int(kernels.forecast(model).smallest_delays(self._options.max_error).max())
                for model in models
                if model is not None
            ),
            default=0,
        )

    def _compare(self, end: int, newest: Floats) -> None:
        """Compare the estimates of the fits whose exact values are known at `end`."""
        while len(self.in_force) > 1:
            fits, scales = self.in_force[0]
            after = (end - fits.end) // self.step
            if after < INTERVAL + fits.future:
                return
            self.in_force.popleft()
            first = len(newest) - 1 - after
            if first >= fits.past - 1:  # the stream was shorter when the estimates began
                known = newest[first - fits.past + 1 : first + INTERVAL + fits.future]
                self._count(fits, scales, known)

    def _count(
        self, fits: OctaveFits, scales: tuple[NDArray[np.float64], ...], samples: Floats
    ) -> None:
        """Compare estimates of `fits` with the exact values of `samples`, (n, channels)."""
        if not fits.future:
            return
        exact: dict[int, Complexes] = {}
        rows: dict[int, Rows] = {}
        for channel in self._used:
            fit = fits.channels[channel]
            if fit is None:
                continue
            windows = np.lib.stride_tricks.sliding_window_view(
                samples[:, channel] - fit.model.mean, fits.past + fits.future
            )
            windows = np.ascontiguousarray(windows[:INTERVAL:COMPARED_EVERY])
            exact[channel] = windows @ fits.row_weights.T
            rows[channel] = Rows(mean=windows[:, : fits.past] @ fit.weights.T, errors=fit.errors)
        for counter, (one, other), stated in zip(self.counters, self._pairs, scales, strict=True):
            if one not in rows or other not in rows:
                continue
            value, phase, turn = intervals(self.products, rows[one], rows[other])
            true, cross = self.products.results(exact[one], exact[other])
            turned = np.angle(cross * np.exp(-1j * phase))
            least = np.stack([value.least_scale(true), turn.least_scale(turned)], axis=1)
            wide = (value.high - value.low > NEGLIGIBLE * value.median) & (turn.high > NEGLIGIBLE)
            counter.add(np.where(wide[:, None], least, np.nan), stated)


def intervals(
    products: RowProducts, one: Rows, other: Rows
) -> tuple[Interval, NDArray[np.float64], Interval]:
    """Return the interval of the quantity, the phase, and its interval; of shape (n, k)."""
    values, cross = products.results(one.continued(), other.continued())
    centre = cross.mean(axis=1)
    turn = np.angle(cross * np.conj(centre)[:, None])
    return (
        Interval.of_points(np.moveaxis(values, 1, -1)),
        np.angle(centre),
        symmetric(np.moveaxis(turn, 1, -1)),
    )


class PairEstimator(SampleHistory[OctavePairs]):
    """Takes the samples of a stream, and returns the newest estimates of all pairs.

    Parameters
    ----------
    grid : VoiceGrid
    layouts : sequence of OctaveLayout
    op : {"xwt", "wct"}
    convention : {"standard", "pycwt"}
    pairs : sequence of (int, int)
    channels : int
    provisional : Provisional
    """

    def __init__(
        self,
        grid: VoiceGrid,
        layouts: Sequence[OctaveLayout],
        op: BlockOp,
        convention: Convention,
        pairs: Pairs,
        channels: int,
        provisional: Provisional,
    ) -> None:
        check_wavelet(grid)
        self._grid, self._pairs = grid, pairs
        self._coherence = op == "wct"
        super().__init__(
            channels,
            [OctavePairs(grid, layout, op, convention, pairs, provisional) for layout in layouts],
        )

    def estimates(self) -> tuple[PairEstimate, ...]:
        """Return the estimates after the newest sample, one for each pair."""
        samples, newest = self.newest(), self.end - 1
        n = self._grid.n_voices
        at = np.full(n, newest)
        fields = np.full((len(self._pairs), 7, n), np.nan)
        for k, octave in enumerate(self._octaves):
            outcomes = octave.newest(samples)
            if outcomes is None:
                continue
            here = self._grid.octave_slice(k)
            at[here] = newest - octave.delay
            for place, outcome in enumerate(outcomes):
                if outcome is not None:
                    fields[place, :, here] = outcome
        return tuple(
            PairEstimate(
                channels=(int(one), int(other)),
                quantity="coherence" if self._coherence else "cross",
                newest_sample=newest, freqs_hz=self._grid.freqs_hz, samples=at, phase=phase,
                value_interval=Interval(low=low, median=median, high=high),
                phase_interval=Interval(low=-half, median=np.zeros(n), high=half),
                value_scale=value_scale, phase_scale=phase_scale, fs_hz=self._grid.fs_hz,
            )
            for (one, other), (median, low, high, phase, half, value_scale, phase_scale) in zip(
                self._pairs, fields, strict=True
            )
        )  # fmt: skip
