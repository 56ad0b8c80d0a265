"""The part of the energy of a value that missing samples would have contributed.

A row at scale s weighs the sample at distance d with |ψ(d/s)|², so the part of its energy that
is missing at time n is E(s, n) = Σ_k m_k |ψ((k - n)/s)|² / Σ_k |ψ((k - n)/s)|², with m_k = 1
where a sample is missing. For white noise and gaps filled with the mean, √E is the RMS error of
a coefficient in units of the row's RMS. A smoothed spectrum rests on E smoothed alike.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from pycwt_mod.arrays import Bools, Floats, read_only
from pycwt_mod.engine.filter_bank import power_of_two_below
from pycwt_mod.wavelets import Wavelet

#: Scales in samples, and their weights, that a row is an average of.
Row: TypeAlias = tuple[tuple[float, float], ...]
Singles: TypeAlias = NDArray[np.float32]

#: Part of |ψ|² that a kernel leaves out at both ends together.
_TAIL = 1e-5
#: The smoothing of coherence, exp(-u²/2), is below `_TAIL` beyond this.
_GAUSS_RADIUS = 4.8
#: Points of a kernel per unit of time at scale 1.
_DENSITY = 64
#: Largest error of linear interpolation between cells, as a part of the kernel's maximum.
_INTERPOLATION_TOL = 0.02
#: Numbers in one batch of rows.
_BATCH_POINTS = 2**18


@dataclass(frozen=True, eq=False)
class RowKernels:
    """The weights of the samples around the values of some rows.

    E is as smooth as its kernel, so it is computed from averages over cells of a power of two
    samples, which are a small part of a scale, and interpolated.

    Attributes
    ----------
    count : int
        Number of rows.
    groups : tuple of CellGroup
        The rows by the length of their cells, ascending.
    """

    count: int
    groups: tuple[CellGroup, ...]

    @classmethod
    def of_scales(cls, wavelet: Wavelet, scales: Floats) -> RowKernels:
        """Return the kernels of coefficients at `scales`, in samples."""
        return cls._build(_kernel(wavelet, False), [((s, 1.0),) for s in scales.tolist()])

    @classmethod
    def of_averages(cls, wavelet: Wavelet, scales: Floats, weights: Floats) -> RowKernels:
        """Return the kernels of smoothed spectra.

        `weights`, shape (rows, scales), has what each row takes of each of `scales`.
        """
        taken = [np.flatnonzero(row) for row in weights]
        rows = [
            tuple(zip(scales[some].tolist(), row[some].tolist(), strict=True))
            for row, some in zip(weights, taken, strict=True)
        ]
        return cls._build(_kernel(wavelet, True), rows)

    @classmethod
    def _build(cls, kernel: _Kernel, rows: list[Row]) -> RowKernels:
        places: dict[int, list[int]] = {}
        for j, row in enumerate(rows):
            smallest = min(scale for scale, _ in row)
            places.setdefault(power_of_two_below(smallest * kernel.cell), []).append(j)
        groups = (
            CellGroup(cell, np.array(some), tuple(kernel.taps(rows[j], cell) for j in some))
            for cell, some in sorted(places.items())
        )
        return cls(len(rows), tuple(groups))

    def some(self, index: NDArray[np.intp]) -> RowKernels:
        """Return the kernels of the rows `index`."""
        groups = (group.some(index) for group in self.groups)
        return RowKernels(len(index), tuple(group for group in groups if group.taps))

    def mask(self, missing: Bools, threshold: float, step: int = 1) -> Bools:
        """Return where more than `threshold` of the energy is missing.

        Parameters
        ----------
        missing : ndarray of bool, shape (..., n)
        threshold : float
        step : int
            A power of two: every `step`-th sample is returned.

        Returns
        -------
        ndarray of bool, shape (..., rows, ceil(n / step))
        """
        n = missing.shape[-1]
        mask = np.zeros((*missing.shape[:-1], self.count, -(-n // step)), np.bool_)
        flat = mask.reshape(-1, *mask.shape[-2:])
        for one, out in zip(missing.reshape(-1, n), flat, strict=True):
            if one.any():
                for averages, group in self._averaged(one):
                    group.write(averages, threshold, step, out)
        return mask

    def _averaged(self, missing: Bools) -> Iterator[tuple[Singles, CellGroup]]:
        """Yield the part of each cell that is missing, with every group."""
        averages = missing.astype(np.float32)
        cell = 1
        for group in self.groups:
            while cell < group.cell:
                averages = _halved(averages)
                cell *= 2
            yield averages, group


@dataclass(frozen=True, eq=False)
class CellGroup:
    """Rows whose kernels are given at the same distances.

    Attributes
    ----------
    cell : int
        Samples from one weight to the next.
    places : ndarray of int
        Which rows.
    taps : tuple of ndarray
        Their weights, of which the middle one is at distance 0; their sum is 1.
    """

    cell: int
    places: NDArray[np.intp]
    taps: tuple[Singles, ...]

    def some(self, index: NDArray[np.intp]) -> CellGroup:
        """Return those of the rows that are in `index`, by their places in it."""
        by_place = dict(zip(self.places.tolist(), self.taps, strict=True))
        kept = [k for k, place in enumerate(index.tolist()) if place in by_place]
        taps = tuple(by_place[int(index[k])] for k in kept)
        return CellGroup(self.cell, np.array(kept, np.intp), taps)

    def write(self, averages: Singles, threshold: float, step: int, out: Bools) -> None:
        """Set the rows of `out`, shape (rows, time), near what is missing.

        `averages` is the part of each cell that is.
        """
        cell = self.cell
        reach = max(taps.size for taps in self.taps) // 2
        near = _Surroundings.of(averages, reach, max(1, step // cell))
        start = near.first * cell // step
        columns = out.shape[1] - start
        size = max(1, _BATCH_POINTS // (near.length * max(1, min(cell // step, columns))))
        for k in range(0, len(self.taps), size):
            energy = near.correlated(self.taps[k : k + size])
            above = _every(energy, cell, step, columns) > threshold
            out[self.places[k : k + size], start : start + above.shape[1]] = above


@dataclass(frozen=True, eq=False)
class _Kernel:
    """The weight of a sample at distance u scales, for u from -`radius` to `radius`.

    `cell` is the longest part of a scale over which the weights are nearly straight lines.
    """

    radius: float
    weights: NDArray[np.float64]
    cell: float

    def taps(self, row: Row, step: int) -> Singles:
        """Return the weights of the cells every `step` samples around a value; their sum is 1."""
        reach = math.ceil(self.radius * max(scale for scale, _ in row) / step)
        distance = np.arange(-reach, reach + 1) * float(step)  # may exceed all integers
        total = np.zeros(distance.size)
        for scale, weight in row:
            taps = self._at(distance / scale)
            total += weight * taps / taps.sum()
        return np.asarray(total / total.sum(), np.float32)

    def _at(self, u: Floats) -> Floats:
        grid = np.linspace(-self.radius, self.radius, self.weights.size)
        weights = np.interp(u, grid, self.weights, left=0, right=0)
        if not weights.any():  # a scale far below a sample, of a wavelet with ψ(0) = 0
            weights[u == 0] = 1
        return weights


@lru_cache(maxsize=32)
def _kernel(wavelet: Wavelet, smoothed: bool) -> _Kernel:
    """Tabulate |ψ|², or |ψ|² convolved with exp(-u²/2), as coherence is smoothed in time."""
    far = wavelet.time_radius(_TAIL) + (_GAUSS_RADIUS if smoothed else 0)
    half = math.ceil(far * _DENSITY)
    u = np.arange(-half, half + 1) / _DENSITY
    weights = np.abs(wavelet.psi(u)) ** 2
    if smoothed:
        reach = math.ceil(_GAUSS_RADIUS * _DENSITY)
        gauss = np.exp(-(u[half - reach : half + reach + 1] ** 2) / 2)
        weights = np.convolve(weights, gauss, mode="same")
    outside = np.cumsum(weights + weights[::-1])[: half + 1]  # from both ends inwards
    first = int(np.searchsorted(outside, _TAIL * weights.sum()))
    kept = weights[first : weights.size - first]
    curvature = np.abs(np.diff(kept, 2)).max() * _DENSITY**2 / kept.max()
    cell = math.sqrt(8 * _INTERPOLATION_TOL / curvature)
    return _Kernel((half - first) / _DENSITY, read_only(kept), cell)


@dataclass(frozen=True, eq=False)
class _Surroundings:
    """The surroundings of missing samples, beyond which no row lacks energy.

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
    def of(cls, averages: Singles, reach: int, multiple: int) -> _Surroundings:
        """Return those of rows with up to `reach` taps on either side.

        `first` is a multiple of `multiple`.
        """
        used = np.flatnonzero(averages)
        low, high = int(used[0]), int(used[-1]) + 1
        first = max(0, low - reach) // multiple * multiple
        stop = min(averages.size, high + reach) + 1
        length = max(stop, high + reach) - min(first, low - reach)
        length = int(scipy.fft.next_fast_len(length, real=True))
        part = np.zeros(length, np.float32)
        part[low - first : high - first] = averages[low:high]
        return cls(first, stop, length, scipy.fft.rfft(part))

    def correlated(self, taps: Iterable[Singles]) -> Singles:
        """Return Σ_k averages[k] taps[k - i] for each i, shape (rows, stop - first)."""
        rows = list(taps)
        weights = np.zeros((len(rows), self.length), np.float32)
        for out, each in zip(weights, rows, strict=True):
            half = each.size // 2
            out[: half + 1], out[-half:] = each[half::-1], each[:half:-1]
        spectrum = scipy.fft.rfft(weights, axis=-1)
        spectrum *= self.spectrum
        energy: Singles = scipy.fft.irfft(spectrum, self.length, axis=-1)
        return energy[:, : self.stop - self.first]


def _halved(averages: Singles) -> Singles:
    """Return averages [1/4, 1/2, 1/4] around every second cell; outside there is nothing."""
    out = np.zeros(averages.size // 2 + 1, np.float32)
    even, odd = averages[::2], averages[1::2]
    out[: even.size] = even / 2
    out[: odd.size] += odd / 4
    out[1 : odd.size + 1] += odd / 4
    return out


def _every(energy: Singles, cell: int, step: int, columns: int) -> Singles:
    """Return up to `columns` values every `step` samples of rows given every `cell` samples.

    They are from the first sample of the rows to before the last.
    """
    if step >= cell:
        return energy[:, :: step // cell][:, :columns]
    per_cell = cell // step
    cells = -(-columns // per_cell)  # of scales far beyond the record, a part of one cell
    part = np.arange(min(per_cell, columns), dtype=np.float32) * np.float32(step / cell)
    left, right = energy[:, :-1][:, :cells, None], energy[:, 1:][:, :cells, None]
    return (left + (right - left) * part).reshape(len(energy), -1)[:, :columns]
