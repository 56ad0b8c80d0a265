"""Missing samples: how they are filled, and which values rest on too much of what was filled in.

A row at scale s weighs the sample at distance d with |ψ(d/s)|², so the part of its energy that
is missing at time n is E(s, n) = Σ_k m_k |ψ((k - n)/s)|² / Σ_k |ψ((k - n)/s)|², with m_k = 1
where a sample is missing. For white noise and gaps filled with the mean, √E is the RMS error of
a coefficient in units of the row's RMS. A smoothed spectrum rests on E smoothed alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from pycwt_mod.arrays import Bools, Floats, check_positive, fill_missing, read_only
from pycwt_mod.bandfold import power_of_two_below
from pycwt_mod.scalars import as_number
from pycwt_mod.scale_axis import gap_mask
from pycwt_mod.wavelets import Wavelet

#: What replaces the samples of a short gap; None is the mean of the series.
GapFill: TypeAlias = Literal["linear"] | None

#: Scales in samples, and their weights, that a row is an average of.
Row: TypeAlias = tuple[tuple[float, float], ...]

#: Default of the part of a row's energy that may be missing; docs/benchmarks-gaps.md compares.
MASK_THRESHOLD = 0.05
#: Smaller thresholds are near the rounding of the computation, which is in single precision.
LEAST_THRESHOLD = 1e-3
#: Part of |ψ|² that the kernels leave out at both ends together.
_TAIL = 1e-5
#: Points of a kernel per unit of time at scale 1.
_DENSITY = 64
#: The missing samples are averaged over this part of a scale before they are convolved.
_CELLS_PER_SCALE = 8
#: Numbers in one batch of rows.
_BATCH_POINTS = 2**18


@dataclass(frozen=True, kw_only=True)
class GapPolicy:
    """How gaps are filled and masked.

    Attributes
    ----------
    fill : {None, "linear"}
        What gaps of up to `max_gap` are filled with; all others are filled with the mean.
    max_gap : float or None
        Longest gap that is filled, in the unit of `dt`: a gap of k samples lasts k `dt`. None
        sets no limit.
    mask_threshold : float or None
        Part of the energy of a row that may be missing where it is not masked. None masks the
        cone of influence of every missing sample.
    """

    fill: GapFill = None
    max_gap: float | None = None
    mask_threshold: float | None = MASK_THRESHOLD

    def __post_init__(self) -> None:
        if self.fill not in (None, "linear"):
            raise ValueError(f"gap_fill={self.fill!r} must be None or 'linear'")
        if self.max_gap is not None:
            check_positive("max_gap", self.max_gap)
            if self.fill is None:
                raise ValueError(f"max_gap={self.max_gap!r} needs gap_fill='linear'")
        threshold = self.mask_threshold
        if threshold is None:
            return
        if not LEAST_THRESHOLD <= as_number("mask_threshold", threshold) < 1:
            raise ValueError(
                f"mask_threshold={threshold!r} must be from {LEAST_THRESHOLD} to less than 1, or "
                "None for the cone of influence of every missing sample"
            )

    def filled(self, signal: Floats, dt: float) -> tuple[Floats, Bools]:
        """Return `signal`, shape (..., n), without gaps, and where they were."""
        missing = np.isnan(signal)
        if self.fill == "linear" and missing.any():
            longest = math.inf if self.max_gap is None else self.max_gap / dt * (1 + 1e-9)
            signal = interpolated(signal, missing, longest)
        return fill_missing(signal)[0], missing

    def mask(
        self, missing: Bools, scales: Floats, dt: float, wavelet: Wavelet, step: int = 1
    ) -> Bools:
        """Return where rows are masked, every `step` samples; shape (..., scales, time)."""
        if self.mask_threshold is None:
            return gap_mask(missing, scales, dt, wavelet, step)
        rows: list[Row] = [((scale, 1.0),) for scale in (scales / dt).tolist()]
        kernel = Kernel.of(wavelet)
        return energy_mask(missing, rows, kernel, self.mask_threshold, step)

    def smoothed_mask(
        self, missing: Bools, scales: Floats, dt: float, wavelet: Wavelet, weights: Floats
    ) -> Bools:
        """Return where rows of coherence are masked; shape (..., scales, time).

        `weights`, shape (scales, scales), are those of the boxcar over scales: one row of them
        per row of the result.
        """
        if self.mask_threshold is None:
            return gap_mask(missing, scales, dt, wavelet)
        in_samples = scales / dt
        rows = [
            tuple(zip(in_samples[used].tolist(), row[used].tolist(), strict=True))
            for row in weights
            for used in [np.flatnonzero(row)]
        ]
        kernel = Kernel.of(wavelet, smoothed=True)
        return energy_mask(missing, rows, kernel, self.mask_threshold)


def interpolated(signal: Floats, missing: Bools, longest: float) -> Floats:
    """Return `signal` with straight lines across gaps of up to `longest` samples.

    Longer gaps and those at the ends of the record, which have one neighbour only, stay NaN.
    """
    n = signal.shape[-1]
    index = np.arange(n)
    before = np.maximum.accumulate(np.where(missing, -1, index), axis=-1)
    after = np.minimum.accumulate(np.where(missing, n, index)[..., ::-1], axis=-1)[..., ::-1]
    inside = missing & (before >= 0) & (after < n) & (after - before - 1 <= longest)
    left = np.take_along_axis(signal, np.maximum(before, 0), -1).astype(np.float64)
    right = np.take_along_axis(signal, np.minimum(after, n - 1), -1).astype(np.float64)
    part = (index - before) / np.maximum(after - before, 1)
    return np.where(inside, left + part * (right - left), signal).astype(signal.dtype)


@dataclass(frozen=True, eq=False)
class Kernel:
    """The weight of a sample at distance u scales, for u from -`radius` to `radius`."""

    radius: float
    weights: NDArray[np.float64]

    @classmethod
    def of(cls, wavelet: Wavelet, *, smoothed: bool = False) -> Kernel:
        """Return |ψ|², or convolved with exp(-u²/2), which spectra are smoothed with."""
        return _kernel(wavelet, smoothed)

    def taps(self, row: Row, step: int) -> NDArray[np.float64]:
        """Return the weights of the cells every `step` samples around a value; their sum is 1."""
        reach = math.ceil(self.radius * max(scale for scale, _ in row) / step)
        distance = np.arange(-reach, reach + 1) * step
        grid = np.linspace(-self.radius, self.radius, self.weights.size)
        total = np.zeros(distance.size)
        for scale, weight in row:
            taps = np.interp(distance / scale, grid, self.weights, left=0, right=0)
            if not taps.any():  # a scale far below a sample, of a wavelet with ψ(0) = 0
                taps[reach] = 1
            total += weight * taps / taps.sum()
        return np.asarray(total / total.sum())


@lru_cache(maxsize=32)
def _kernel(wavelet: Wavelet, smoothed: bool) -> Kernel:
    far = wavelet.time_radius(_TAIL) + (4.5 if smoothed else 0)  # exp(-4.5²/2) is 4e-5
    half = math.ceil(far * _DENSITY)
    u = np.arange(-half, half + 1) / _DENSITY
    weights = np.abs(wavelet.psi(u)) ** 2
    if smoothed:
        weights = np.convolve(weights, np.exp(-(u**2) / 2), mode="same")
    energy = np.cumsum(weights + weights[::-1])[: half + 1]  # from both ends inwards
    first = int(np.searchsorted(energy, _TAIL * weights.sum()))
    kept = weights[first : weights.size - first]
    return Kernel((half - first) / _DENSITY, read_only(kept))


def energy_mask(
    missing: Bools, rows: list[Row], kernel: Kernel, threshold: float, step: int = 1
) -> Bools:
    """Return where more than `threshold` of the energy of rows is missing.

    Parameters
    ----------
    missing : ndarray of bool, shape (..., n)
    rows : list of tuple
        The scales, in samples, that each row is made of, and their weights.
    kernel : Kernel
    threshold : float
    step : int
        A power of two: every `step`-th sample is returned.

    Returns
    -------
    ndarray of bool, shape (..., rows, ceil(n / step))
    """
    n = missing.shape[-1]
    mask = np.zeros((*missing.shape[:-1], len(rows), -(-n // step)), np.bool_)
    flat = mask.reshape(-1, *mask.shape[-2:])
    for one, out in zip(missing.reshape(-1, n), flat, strict=True):
        if one.any():
            _mask_rows(one, rows, kernel, threshold, step, out)
    return mask


def _mask_rows(
    missing: Bools, rows: list[Row], kernel: Kernel, threshold: float, step: int, out: Bools
) -> None:
    """Fill `out`, shape (rows, time), for one signal.

    E is as smooth as its kernel, so it is computed every `cell` samples, a power of two and a
    small part of the scale, from averages of `missing`, and interpolated.
    """
    averages = missing.astype(np.float32)
    cell = 1
    for wanted, places in _by_cell(rows):
        while cell < wanted:
            averages = _halved(averages)
            cell *= 2
        taps = [kernel.taps(rows[j], cell) for j in places]
        near = _Surroundings.of(averages, max(each.size for each in taps) // 2, step // cell)
        size = max(1, _BATCH_POINTS // (near.length * max(1, cell // step)))
        for k in range(0, len(places), size):
            energy = near.correlated(taps[k : k + size])
            above = _every(energy, cell, step) > threshold
            start = near.first * cell // step
            part = slice(start, start + above.shape[1])
            out[places[k : k + size], part] = above[:, : out.shape[1] - start]


def _by_cell(rows: list[Row]) -> list[tuple[int, list[int]]]:
    """Return cells in samples, ascending, and which rows are computed with each."""
    found: dict[int, list[int]] = {}
    for j, row in enumerate(rows):
        smallest = min(scale for scale, _ in row)
        found.setdefault(power_of_two_below(smallest / _CELLS_PER_SCALE), []).append(j)
    return sorted(found.items())


def _halved(averages: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return averages [1/4, 1/2, 1/4] around every second cell; outside there is nothing."""
    out = np.zeros(averages.size // 2 + 1, np.float32)
    even, odd = averages[::2], averages[1::2]
    out[: even.size] = even / 2
    out[: odd.size] += odd / 4
    out[1 : odd.size + 1] += odd / 4
    return out


@dataclass(frozen=True, eq=False)
class _Surroundings:
    """What lies around missing samples: beyond it no row lacks any energy.

    Attributes
    ----------
    first, stop : int
        Cells of the record.
    length : int
        FFT length.
    spectrum : ndarray
        `rfft` of the averages from `first` on.
    """

    first: int
    stop: int
    length: int
    spectrum: NDArray[np.complex64]

    @classmethod
    def of(cls, averages: NDArray[np.float32], reach: int, multiple: int) -> _Surroundings:
        """Return those of rows with up to `reach` taps on either side.

        `first` is a multiple of `multiple`.
        """
        used = np.flatnonzero(averages)
        low, high = int(used[0]), int(used[-1]) + 1
        first = max(0, low - reach) // max(1, multiple) * max(1, multiple)
        stop = min(averages.size, high + reach) + 1
        length = max(stop, high + reach) - min(first, low - reach)
        length = int(scipy.fft.next_fast_len(length, real=True))
        part = np.zeros(length, np.float32)
        part[low - first : high - first] = averages[low:high]
        return cls(first, stop, length, scipy.fft.rfft(part))

    def correlated(self, taps: list[NDArray[np.float64]]) -> NDArray[np.float32]:
        """Return Σ_k averages[k] taps[k - i] for each i, shape (rows, stop - first)."""
        weights = np.zeros((len(taps), self.length), np.float32)
        for row, each in zip(weights, taps, strict=True):
            half = each.size // 2
            row[: half + 1], row[-half:] = each[half::-1], each[:half:-1]
        spectrum = scipy.fft.rfft(weights, axis=-1)
        spectrum *= self.spectrum
        energy: NDArray[np.float32] = scipy.fft.irfft(spectrum, self.length, axis=-1)
        return energy[:, : self.stop - self.first]


def _every(energy: NDArray[np.float32], cell: int, step: int) -> NDArray[np.float32]:
    """Return rows given every `cell` samples, from the first to before the last, every `step`."""
    if step >= cell:
        return energy[:, :: step // cell]
    part = np.arange(cell // step, dtype=np.float32) * np.float32(step / cell)
    left, right = energy[:, :-1, None], energy[:, 1:, None]
    return (left + (right - left) * part).reshape(len(energy), -1)
