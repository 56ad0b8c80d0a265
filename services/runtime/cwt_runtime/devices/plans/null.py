"""The null distribution of coherence in one octave, as a device simulates it.

The device makes one long record of two AR(1) noises, and bins R² at instants. The noise is made at
the rate that the octave needs: AR(1) noise sampled every d is AR(1) noise with coefficient al^d,
so every octave has scales of the same few samples and costs the same.
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

#: The smallest scale in units of the one whose band ends at half of the sampling rate: there the
#: part of AR(1) noise that sampling folds back is small.
ROOM = 1.4
#: Length of one pair in units of the largest scale, as of endless noise in the library.
ENDLESS_SCALES = 64
#: Tolerance of the smoothing against aliases, as in the library.
ALIAS_TOL = 1e-3
#: Standard deviation of the noise, of a limit of 32767, and of the loudest row.
NOISE_RMS = 6000
ROW_RMS = 2500
#: Standard deviation of the sum of eight u16 that the noise is made of.
DRAW_RMS = 53_510
#: |W|² of noise exceeds so many times its mean once in 10^9.
PEAK_TO_MEAN = 21
PRODUCT_LIMIT = (1 << 17) - 1
BOXCAR = 63
#: Memory of AR(1) noise that starts at zero: e^-7 of it is left.
SETTLING = 7
LONGEST_SETTLING = 20_000
Q15 = 1 << 15


@dataclass(frozen=True, kw_only=True, eq=False)
class NullJob:
    """What the device gets, and which scales (in samples of the request) it bins."""

    plan: McPlan
    scales: npt.NDArray[np.float64]


def null_job(request: HwMcRequest) -> NullJob:
    """Return the plan of one octave.

    Raises
    ------
    Unprocessable
        More rows, or larger filters, than a device has room for.
    """
    wavelet = wavelet_of(request.mother, request.param)
    boxcar = ScaleBoxcar.of(wavelet.deltaj0, request.dj, request.convention)
    half = max(-boxcar.first, boxcar.last)
    total = request.rows + 2 * half
    if total > MC_MAX_ROWS:
        problem = f"{request.rows} and {2 * half} neighbours, {MC_MAX_ROWS} are possible"
        raise Unprocessable.of({"rows": problem})
    index = np.arange(total) - half
    scales: npt.NDArray[np.float64] = request.s0 * np.exp2(index * request.dj)
    exists = (index >= -_given(request.below, half)) & (
        index < request.rows + _given(request.above, half)
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


def _given(rows: int | None, half: int) -> int:
    return half if rows is None else min(rows, half)


def _thinning(wavelet: Wavelet, smallest: float, request: HwMcRequest) -> float:
    """Return every how many-th sample of the noise is made; at least 1, not always whole."""
    least = ROOM * wavelet.frequency_band(TAP_TOL)[1] / math.pi
    thin = max(1.0, smallest / least)
    # Only a positive coefficient has powers that are not whole.
    return thin if min(request.al1, request.al2) >= 0 else float(math.floor(thin))


def _lag(al: float, thin: float) -> float:
    return al**thin if al else 0.0


def _step(wavelet: Wavelet, smallest: float) -> int:
    widest = 2 * math.pi * smallest / coherence_bandwidth(wavelet, ALIAS_TOL)
    return min(MAX_STEP, max(0, math.floor(math.log2(widest))))


def _row(wavelet: Wavelet, scale: float, request: HwMcRequest) -> Taps:
    """Return W/√s: what is multiplied and smoothed is W1 W2*/s."""
    reach = min(math.ceil(wavelet.time_radius(TAP_TOL) * scale), (MC_MAX_TAPS - 1) // 2)
    if wavelet.time_radius(10 * TAP_TOL) * scale > reach:
        problem = f"at {request.dj:g} octaves they need more than {MC_MAX_TAPS} taps"
        raise Unprocessable.of({"rows": problem})
    return row_taps(wavelet, scale, reach) / math.sqrt(scale)


def _smoothing(scale: float) -> Taps:
    """Return the smoothing in time, for a scale in instants."""
    reach = math.ceil(math.sqrt(-2 * math.log(TAP_TOL)) * scale)
    return gaussian_taps(scale, min(reach, (MC_MAX_SMOOTHING_TAPS - 1) // 2))


def _in_step(rows: list[Taps], smoothing: list[Taps], step: int) -> tuple[list[Taps], list[Taps]]:
    """Delay rows until all are equally late: the smoothing over scales adds them up.

    A row is late by half of its own taps and by half of its smoothing's, which are `step` samples
    apart. Zeros before the taps delay it further; before those of the smoothing they cost less.
    """
    late = [
        len(row) // 2 + step * (len(each) // 2) for row, each in zip(rows, smoothing, strict=True)
    ]
    found: tuple[list[Taps], list[Taps]] = [], []
    for row, each, own in zip(rows, smoothing, late, strict=True):
        room = MC_MAX_SMOOTHING_TAPS - len(each)
        instants, samples = divmod(max(late) - own, step)
        moved = min(instants, room)
        samples += (instants - moved) * step
        found[0].append(np.concatenate([np.zeros(samples), row]))
        found[1].append(np.concatenate([np.zeros(moved), each]))
    if max(map(len, found[0])) > MC_MAX_TAPS:
        problem = f"their filters differ by more than {MC_MAX_TAPS} taps can make up for"
        raise Unprocessable.of({"rows": problem})
    return found


def _weights(boxcar: ScaleBoxcar, half: int) -> Taps:
    """Return the boxcar over rows with its middle in the middle."""
    weights = np.zeros(2 * half + 1, np.complex128)
    weights[half + boxcar.first : half + boxcar.last + 1] = boxcar.weights
    return weights


def _power(taps: Taps, lag: float) -> float:
    """Return the mean of |W|² for innovations of variance 1."""
    points = 4096
    response = np.abs(np.fft.fft(taps, points)) ** 2
    freqs = np.fft.fftfreq(points)
    spectrum = ar1_spectrum(freqs, lag)
    # The library's spectrum is of unit variance; the noise's is that of its innovations.
    return float(np.mean(response * spectrum)) / (1 - lag**2)


def _noise_shift(lags: tuple[float, ...]) -> int:
    loudest = DRAW_RMS / math.sqrt(1 - max(abs(lag) for lag in lags) ** 2)
    return min(MC_MAX_NOISE_SHIFT, max(0, math.ceil(math.log2(loudest / NOISE_RMS))))


def _product_shift() -> int:
    return math.ceil(math.log2(PEAK_TO_MEAN * ROW_RMS**2 / PRODUCT_LIMIT))


def _q15(lag: float) -> int:
    return min(Q15 - 1, round(lag * Q15))


def _seed(seed: int) -> bytes:
    """Return 16 bytes that are not all zero, and differ in every bit from seed to seed."""
    return hashlib.sha256(b"cwt-mc" + seed.to_bytes(8, "little")).digest()[:16]
