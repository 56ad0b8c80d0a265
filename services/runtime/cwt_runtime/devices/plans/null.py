"""Plan the simulation of the null distribution of coherence in one octave on a device.

The device generates one long record of two AR(1) noises, and bins R² at instants. The noise is
generated at the rate that the octave needs: every d-th sample of AR(1) noise is AR(1) noise with
coefficient al^d. So each octave has scales of the same few samples, and the same cost.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cwt_runtime.analysis import wavelet_of
from cwt_runtime.devices.plans.filters import (
    TAP_TOL,
    TableBuilder,
    Taps,
    gaussian_taps,
    row_taps,
)
from cwt_schemas.errors import Unprocessable
from cwt_schemas.hwlink import (
    MAX_STEP,
    MC_MAX_NOISE_SHIFT,
    MC_MAX_ROWS,
    MC_MAX_SMOOTHING_TAPS,
    MC_MAX_TAPS,
    SMOOTHING_BASE,
)
from cwt_schemas.hwlink_layouts import McStart
from cwt_schemas.hwops import HwMcRequest
from cwt_schemas.hwplan import McPlan
from pycwt_mod.engine.filter_bank import coherence_bandwidth
from pycwt_mod.rednoise import ar1_spectrum
from pycwt_mod.smoothing import ScaleBoxcar
from pycwt_mod.wavelets import Wavelet

__all__ = ["NullJob", "null_job"]

#: Smallest scale, relative to the scale whose band ends at the Nyquist frequency. With this margin
#: aliasing of AR(1) noise is small.
ROOM = 1.4
#: Length of one pair, relative to the largest scale; as for endless noise in the library.
ENDLESS_SCALES = 64
#: Tolerance for aliasing of the smoothing, as in the library.
ALIAS_TOL = 1e-3
#: Standard deviation of the noise, with a range of ±32767, and of the largest row.
NOISE_RMS = 6000
ROW_RMS = 2500
#: Standard deviation of the sum of eight u16 from which the noise is generated.
DRAW_RMS = 53_510
#: Ratio to its mean that |W|² of noise exceeds with probability 10^-9.
PEAK_TO_MEAN = 21
PRODUCT_LIMIT = (1 << 17) - 1
BOXCAR = 63
#: Settling time of AR(1) noise that starts at zero, in time constants: e^-7 remains.
SETTLING = 7
LONGEST_SETTLING = 20_000
Q15 = 1 << 15


@dataclass(frozen=True, kw_only=True, eq=False)
class NullJob:
    """Plan for the device, and the scales that it bins, in samples of the request."""

    plan: McPlan
    scales: npt.NDArray[np.float64]


def null_job(request: HwMcRequest) -> NullJob:
    """Return the plan of one octave.

    Raises
    ------
    Unprocessable
        The rows or filters exceed the memory of a device.
    """
    wavelet = wavelet_of(request.mother, request.param)
    boxcar = ScaleBoxcar.of(wavelet.deltaj0, request.dj, request.convention)
    half = max(-boxcar.first, boxcar.last)
    total = request.rows + 2 * half
    if total > MC_MAX_ROWS:
        problem = (
            f"{request.rows} rows and {2 * half} neighbours, the maximum is {MC_MAX_ROWS} in total"
        )
        raise Unprocessable.of({"rows": problem})
    index = np.arange(total) - half
    scales: npt.NDArray[np.float64] = request.s0 * np.exp2(index * request.dj)
    exists = (index >= -_neighbours(request.below, half)) & (
        index < request.rows + _neighbours(request.above, half)
    )
    thin = _thinning(wavelet, scales[exists][0], request)
    lags = tuple(_lag(al, thin) for al in (request.al1, request.al2))
    thinned = scales / thin
    step = _step(wavelet, float(thinned[exists][0]))
    rows, smoothing = _in_step(
        [_row(wavelet, float(scale), request) for scale in thinned],
        [_smoothing(float(scale) / 2**step) for scale in thinned],
        2**step,
    )
    shift = _noise_shift(lags)
    loudest = max(
        _power(taps, lag) * (DRAW_RMS / 2**shift) ** 2
        for taps, there in zip(rows, exists, strict=True)
        if there
        for lag in lags
    )
    gain = ROW_RMS / math.sqrt(loudest)
    builder = TableBuilder()
    for place, (taps, there) in enumerate(zip(rows, exists, strict=True)):
        builder.add(place, taps if there else np.zeros(1, np.complex128), gain)
        builder.add(SMOOTHING_BASE + place, smoothing[place], 1.0)
    builder.add(BOXCAR, _weights(boxcar, half), 1.0)
    largest = float(thinned[exists][-1])
    longest = max(map(len, rows))
    settling = min(LONGEST_SETTLING, SETTLING / (1 - max(abs(lag) for lag in lags)))
    start = McStart(
        seed=_seed(request.seed),
        warmup=math.ceil((longest + settling) / 2**step) + max(map(len, smoothing)),
        instants=math.ceil(request.pairs * ENDLESS_SCALES * largest / 2**step),
        a1=_q15(lags[0]),
        a2=_q15(lags[1]),
        noise_shift=shift,
        decimations=0,
        step=step,
        rows=total,
        first=half,
        count=request.rows,
        product_shift=_product_shift(),
        decimator=0,
        boxcar=BOXCAR,
    )
    plan = McPlan(table=builder.table(), start=start)
    return NullJob(plan=plan, scales=scales[half : half + request.rows])


def _neighbours(rows: int | None, half: int) -> int:
    return half if rows is None else min(rows, half)


def _thinning(wavelet: Wavelet, smallest: float, request: HwMcRequest) -> float:
    """Return the decimation of the noise; at least 1, not always an integer."""
    least = ROOM * wavelet.frequency_band(TAP_TOL)[1] / math.pi
    thin = max(1.0, smallest / least)
    # Only a nonnegative coefficient has real powers with fractional exponents.
    return thin if min(request.al1, request.al2) >= 0 else float(math.floor(thin))


def _lag(al: float, thin: float) -> float:
    return al**thin if al else 0.0


def _step(wavelet: Wavelet, smallest: float) -> int:
    widest = 2 * math.pi * smallest / coherence_bandwidth(wavelet, ALIAS_TOL)
    return min(MAX_STEP, max(0, math.floor(math.log2(widest))))


def _row(wavelet: Wavelet, scale: float, request: HwMcRequest) -> Taps:
    """Return the filter for W/√s, because the smoothed product is W1 W2*/s."""
    reach = min(math.ceil(wavelet.time_radius(TAP_TOL) * scale), (MC_MAX_TAPS - 1) // 2)
    if wavelet.time_radius(10 * TAP_TOL) * scale > reach:
        problem = f"at a spacing of {request.dj:g} octaves, filters exceed {MC_MAX_TAPS} taps"
        raise Unprocessable.of({"rows": problem})
    return row_taps(wavelet, scale, reach) / math.sqrt(scale)


def _smoothing(scale: float) -> Taps:
    """Return the filter for smoothing in time, for a scale in instants."""
    reach = math.ceil(math.sqrt(-2 * math.log(TAP_TOL)) * scale)
    return gaussian_taps(scale, min(reach, (MC_MAX_SMOOTHING_TAPS - 1) // 2))


def _in_step(rows: list[Taps], smoothing: list[Taps], step: int) -> tuple[list[Taps], list[Taps]]:
    """Pad filters so that all rows have the same delay, which smoothing over scales requires.

    A row is delayed by half of its taps and by half of its smoothing taps, which are `step` samples
    apart. Zeros before the taps increase the delay; before the smoothing taps they cost less.
    """
    late = [
        len(row) // 2 + step * (len(each) // 2) for row, each in zip(rows, smoothing, strict=True)
    ]
    padded: tuple[list[Taps], list[Taps]] = [], []
    for row, each, own in zip(rows, smoothing, late, strict=True):
        room = MC_MAX_SMOOTHING_TAPS - len(each)
        instants, samples = divmod(max(late) - own, step)
        moved = min(instants, room)
        samples += (instants - moved) * step
        padded[0].append(np.concatenate([np.zeros(samples), row]))
        padded[1].append(np.concatenate([np.zeros(moved), each]))
    if max(map(len, padded[0])) > MC_MAX_TAPS:
        problem = f"the delays of their filters differ by more than {MC_MAX_TAPS} taps"
        raise Unprocessable.of({"rows": problem})
    return padded


def _weights(boxcar: ScaleBoxcar, half: int) -> Taps:
    """Return the weights of the boxcar over rows, centred."""
    weights = np.zeros(2 * half + 1, np.complex128)
    weights[half + boxcar.first : half + boxcar.last + 1] = boxcar.weights
    return weights


def _power(taps: Taps, lag: float) -> float:
    """Return the mean of |W|² for innovations of variance 1."""
    points = 4096
    response = np.abs(np.fft.fft(taps, points)) ** 2
    freqs = np.fft.fftfreq(points)
    spectrum = ar1_spectrum(freqs, lag)
    # The library's spectrum has unit variance; the noise has innovations of unit variance.
    return float(np.mean(response * spectrum)) / (1 - lag**2)


def _noise_shift(lags: tuple[float, ...]) -> int:
    loudest = DRAW_RMS / math.sqrt(1 - max(abs(lag) for lag in lags) ** 2)
    return min(MC_MAX_NOISE_SHIFT, max(0, math.ceil(math.log2(loudest / NOISE_RMS))))


def _product_shift() -> int:
    return math.ceil(math.log2(PEAK_TO_MEAN * ROW_RMS**2 / PRODUCT_LIMIT))


def _q15(lag: float) -> int:
    return min(Q15 - 1, round(lag * Q15))


def _seed(seed: int) -> bytes:
    """Return 16 bytes that are not all zero, by hashing the seed."""
    return hashlib.sha256(b"cwt-mc" + seed.to_bytes(8, "little")).digest()[:16]
