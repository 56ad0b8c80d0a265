"""Plan the transform of one signal with the filter bank of a device."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cwt_runtime.analysis import wavelet_of
from cwt_runtime.devices.plans.filters import FULL, TAP_TOL, TableBuilder, row_taps
from cwt_schemas.errors import Unprocessable
from cwt_schemas.hwlink import MAX_STEP, MAX_TAPS
from cwt_schemas.hwops import HwCwtRequest
from cwt_schemas.hwplan import BankPlan
from pycwt_mod.wavelets import Wavelet

__all__ = ["BankJob", "OctaveRows", "bank_job"]

#: Largest sample: half the range of 16 bits, so that overshoot of half-band filters is not clipped.
SAMPLE_PEAK = 1 << 14
#: Taps on each side of the half-band filter's centre, and the parameter of its Kaiser window for
#: 80 dB. It is flat up to `PASSBAND` radians per sample; its stop band begins at π - `PASSBAND`.
HALF_BAND_REACH = 31
HALF_BAND_BETA = 7.857
PASSBAND = 1.31
DECIMATOR = 127


@dataclass(frozen=True, kw_only=True, eq=False)
class OctaveRows:
    """The rows of one octave, and the times of their columns."""

    #: Scales, seconds.
    scales: npt.NDArray[np.float64]
    freqs: npt.NDArray[np.float64]
    #: Factor that converts the integers of a row to coefficients.
    scale: npt.NDArray[np.float64]
    first_sample: float
    step: int


@dataclass(frozen=True, kw_only=True, eq=False)
class BankJob:
    """Input of the device, and the interpretation of its outputs.

    Attributes
    ----------
    plan : BankPlan
    samples : ndarray of int16, shape (n + padding,)
        The signal, followed by zeros until the last row is complete.
    """

    plan: BankPlan
    samples: npt.NDArray[np.int16]
    octaves: tuple[OctaveRows, ...]

    def split(self, outputs: npt.NDArray[np.int16]) -> tuple[npt.NDArray[np.int16], ...]:
        """Return the outputs of the device by octave, each of shape (rows, 2 columns)."""
        octave, row = _order(len(self.samples), self.plan)
        return tuple(
            np.stack(
                [outputs[(octave == k) & (row == r)].reshape(-1) for r in range(self.plan.rows)]
            )
            for k in range(self.plan.octaves)
        )


def bank_job(request: HwCwtRequest) -> BankJob:
    """Return the plan of a filter bank for a request.

    Raises
    ------
    Unprocessable
        The scales are too small, or so large that the filters have too many taps.
    """
    wavelet = wavelet_of(request.mother, request.param)
    smallest = request.s0 / request.dt
    _check(wavelet, smallest, request)
    voices = request.voices
    scales = smallest * 2.0 ** (np.arange(voices) / voices)
    reach = math.ceil(wavelet.time_radius(TAP_TOL) * scales[-1])
    if 2 * reach + 1 > MAX_TAPS:
        problem = f"the scales, from {smallest:g} samples, need more than {MAX_TAPS} taps"
        raise Unprocessable.of({"s0": problem})
    step = _step(wavelet, smallest)
    builder = TableBuilder()
    gains = []
    for row, scale in enumerate(scales):
        taps = row_taps(wavelet, float(scale), reach)
        # With this gain no signal within SAMPLE_PEAK exceeds 16 bits.
        gain = 0.99 * FULL / (SAMPLE_PEAK * max(np.abs(taps.real).sum(), np.abs(taps.imag).sum()))
        gains.append(builder.add(row, taps, gain, step=step))
    # Imported on first use: only a plan for a device needs scipy.signal.
    from scipy.signal import firwin

    half_band = firwin(2 * HALF_BAND_REACH + 1, 0.5, window=("kaiser", HALF_BAND_BETA))
    builder.add(DECIMATOR, half_band.astype(np.complex128), 1.0)
    plan = BankPlan(
        table=builder.table(), octaves=request.octaves, rows=voices, decimator=DECIMATOR
    )
    data = request.data.astype(np.float64)
    if request.convention == "standard":
        data -= data.mean()
    peak = float(np.max(np.abs(data)))
    per_unit = SAMPLE_PEAK / peak if peak else 1.0
    offsets = [_offset(octave) for octave in range(request.octaves)]
    octaves = tuple(
        OctaveRows(
            scales=scales * 2**octave * request.dt,
            freqs=1 / (wavelet.fourier_factor * scales * 2**octave * request.dt),
            scale=math.sqrt(2**octave) / (np.array(gains) * per_unit),
            first_sample=float(offset + 2**octave * (2**step - 1 - reach)),
            step=2 ** (octave + step),
        )
        for octave, offset in enumerate(offsets)
    )
    last = request.octaves - 1
    padding = math.ceil(2**last * (2**step + reach) - offsets[last])
    signal = np.concatenate([data * per_unit, np.zeros(padding)])
    return BankJob(plan=plan, samples=signal.round().astype(np.int16), octaves=octaves)


def _check(wavelet: Wavelet, smallest: float, request: HwCwtRequest) -> None:
    top = wavelet.frequency_band(TAP_TOL)[1]
    # With one octave there is no half-band filter, and the Nyquist frequency is the limit.
    least = top / (2 * PASSBAND) if request.octaves > 1 else top / np.pi
    if smallest < least:
        problem = f"must be at least {least:.3g} samples with this wavelet, not {smallest:g}"
        raise Unprocessable.of({"s0": problem})
    if not np.isfinite(request.data).all():
        raise Unprocessable.of({"data": "devices do not support missing samples"})


def _step(wavelet: Wavelet, smallest: float) -> int:
    """Return log2 of the largest column spacing that represents every row without aliasing."""
    low, high = wavelet.frequency_band(TAP_TOL)
    width = high - low if wavelet.analytic else 2 * high
    return min(MAX_STEP, max(0, math.floor(math.log2(2 * np.pi * smallest / width))))


def _offset(octave: int) -> float:
    """Return the position of sample 0 of an octave, in samples of the signal."""
    return float(sum(2**k * (1 - HALF_BAND_REACH) for k in range(octave)))


def _order(samples: int, plan: BankPlan) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return octave and row of each output, in the order in which a device produces them."""
    steps = {place: entry.step for place, entry in plan.table.filters}
    keys = []
    for octave in range(plan.octaves):
        for row in range(plan.rows):
            count = (samples >> octave) >> steps[row]
            # The input sample that triggers the output, counted from 1.
            trigger = (np.arange(1, count + 1) << steps[row]) << octave
            keys.append(np.stack([trigger, np.full(count, octave), np.full(count, row)]))
    trigger, octaves, rows = np.concatenate(keys, axis=1)
    order = np.lexsort((rows, octaves, trigger))
    return octaves[order], rows[order]
