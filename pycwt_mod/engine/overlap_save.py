"""Rows of long records, from overlapping segments whose FFTs stay in the cache.

A row at scale s depends on no sample farther away than its radius. So its samples over an interval
of the record equal those of a short circular transform of that interval with a margin on either
side, after the margins are discarded: overlap-save. The time per sample does not depend on the
length of the record.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy.special import erfc, erfcinv

from pycwt_mod.arrays import Complexes, Convention, Floats
from pycwt_mod.engine.filter_bank import Band, FilterBank, TransformSpec, is_two_sided
from pycwt_mod.engine.inputs import PaddedSignal, Part
from pycwt_mod.wavelets import Wavelet

#: Points of the FFTs of a segment's rows, at their own step.
POINTS = 8192
#: Rows of more points leave the cache, and are computed in segments.
LONG_POINTS = 2**15
#: Largest part of a segment that one margin may take.
_LARGEST_MARGIN = 1 / 8
#: Margins are computed for this part of the tolerance: where the signal is strong outside of a
#: row's band, the error at the ends of a segment is larger in proportion.
_MARGIN_RESERVE = 1e-2
#: A spectrum that grows beyond the Nyquist frequency by more than this is not continued smoothly.
_LARGEST_GROWTH = 2.0


@dataclass(frozen=True, eq=False)
class OverlapSave:
    """The filters of some rows at one step, for segments of `size` samples.

    Attributes
    ----------
    index : ndarray of int
        Their places among the scales of the analysis.
    length, step : int
        The circle that the record is padded to, and D, which divides it.
    size, margin : int
        Samples of a segment, and how many of them are discarded on either side.
    crosses_nyquist : bool
        Whether the Nyquist frequency cuts a row: no part of the circle is free of it.
    banks : dict of FilterBank
        Filters per part of the signal, for FFTs of `size`.
    """

    index: NDArray[np.intp]
    length: int
    step: int
    size: int
    margin: int
    crosses_nyquist: bool
    banks: dict[Part, FilterBank]

    @classmethod
    def build(
        cls, spec: TransformSpec, index: NDArray[np.intp], length: int, step: int
    ) -> OverlapSave:
        """Tabulate the filters of the rows `index`."""
        wavelet, convention, rtol = spec.wavelet, spec.convention, spec.rtol
        scales = spec.scales[index]
        smallest, largest = float(scales.min()), float(scales.max())
        needed = _margin(wavelet, smallest, largest, convention, rtol)
        margin = math.ceil(needed / step) * step
        size = POINTS * step
        while margin > size * _LARGEST_MARGIN:
            size *= 2
        banks = {
            part: _bank(part, spec, scales, size, step)
            for part in parts_of(wavelet, smallest, convention, rtol)
        }
        crosses_nyquist = Band.of(wavelet, rtol, convention).crosses_nyquist(smallest)
        return cls(index, length, step, size, margin, crosses_nyquist, banks)

    @property
    def parts(self) -> tuple[Part, ...]:
        """The parts of the signal that the filters are for."""
        return tuple(self.banks)

    def starts(self, count: int) -> range:
        """Return where segments begin that together give the samples from 0 to `count`."""
        return range(0, count, self.size - 2 * self.margin)

    def samples(self, parts: dict[Part, PaddedSignal], start: int) -> Complexes:
        """Return every D-th sample from `start` on; shape (rows, kept)."""
        period = self.size // self.step
        together, *others = (
            bank.folded(_band(parts[part].segment(start - self.margin, self.size), bank))
            for part, bank in self.banks.items()
        )
        for other in others:
            together += other
        rows: Complexes = scipy.fft.ifft(together, axis=-1, overwrite_x=True)
        edge = self.margin // self.step
        return rows[:, edge : period - edge]

    def write(
        self,
        parts: dict[Part, PaddedSignal],
        start: int,
        out: Complexes,
        places: NDArray[np.intp] | slice,
    ) -> None:
        """Write the samples of a segment to the rows `places` of `out`, shape (..., every D)."""
        samples = self.samples(parts, start)
        at = start // self.step
        kept = min(samples.shape[-1], out.shape[-1] - at)
        out[places, at : at + kept] = samples[:, :kept]


def _band(piece: NDArray[Any], bank: FilterBank) -> Complexes:
    """Return the spectrum of a segment at the bins of the filters."""
    if np.iscomplexobj(piece):
        bins = np.arange(bank.first_bin, bank.first_bin + bank.table.shape[1])
        return np.asarray(np.take(scipy.fft.fft(piece), bins, mode="wrap"))
    return bank.band(scipy.fft.rfft(piece))


def parts_of(
    wavelet: Wavelet, smallest: float, convention: Convention, rtol: float
) -> tuple[Part, ...]:
    """Return the parts of the signal that rows from scale `smallest` on need to have no edge."""
    band = Band.of(wavelet, rtol, convention)
    if band.crosses_nyquist(smallest) and band.low < 0:
        return "positive", "negative"
    at_zero = float(np.abs(wavelet.psi_ft(np.float64(0)))) > rtol * _peak(wavelet)
    cut = not is_two_sided(wavelet, convention) and at_zero
    return ("positive",) if cut or band.crosses_nyquist(smallest) else ("all",)


def _ends_at_nyquist(wavelet: Wavelet, scale: float) -> bool:
    """Whether the spectrum beyond the Nyquist frequency is small enough to be tapered to zero."""
    beyond = np.abs(wavelet.psi_ft(np.linspace(1, 2, 65) * math.pi * scale))
    return bool(beyond.max() <= _LARGEST_GROWTH * beyond[0])


@lru_cache(maxsize=64)
def _peak(wavelet: Wavelet) -> float:
    low, high = wavelet.frequency_band(1e-3)
    return float(np.abs(wavelet.psi_ft(np.linspace(low, high, 2001))).max())


def prefers_overlap_save(
    wavelet: Wavelet, scale: float, length: int, step: int, convention: Convention, rtol: float
) -> bool:
    """Whether a row is better computed in segments than by one FFT of length `length`/`step`."""
    points = length // step
    if points <= LONG_POINTS:
        return False
    reach = _margin(wavelet, scale, 2 * scale, convention, rtol)
    crosses_nyquist = Band.of(wavelet, rtol, convention).crosses_nyquist(scale)
    within = reach <= points / 4 * step * _LARGEST_MARGIN
    return within and (not crosses_nyquist or _ends_at_nyquist(wavelet, scale))


def _margin(
    wavelet: Wavelet, smallest: float, largest: float, convention: Convention, rtol: float
) -> float:
    """Return how many samples a segment needs beyond either end."""
    tol = rtol * _MARGIN_RESERVE
    margin = wavelet.time_radius(tol) * largest
    if Band.of(wavelet, rtol, convention).crosses_nyquist(smallest):
        margin += 2 * math.sqrt(-math.log(tol)) / _ending_width(rtol)
    return margin


def _ending_width(rtol: float) -> float:
    """Return the σ, in radians per sample, of the slope of `_ending`."""
    return math.pi / 2 / float(erfcinv(2 * rtol * _MARGIN_RESERVE))


def _ending(omega: Floats, rtol: float) -> Floats:
    """Return 1 up to the Nyquist frequency π, and a smooth slope to 0 at 2π."""
    return np.asarray(erfc((omega - 1.5 * math.pi) / _ending_width(rtol)) / 2)


def _bank(part: Part, spec: TransformSpec, scales: Floats, size: int, step: int) -> FilterBank:
    """Tabulate √(2πs) ψ̂0*(sω)/D over the band, continued smoothly where Nyquist would cut it."""
    wavelet, convention, rtol = spec.wavelet, spec.convention, spec.rtol
    smallest, largest = float(scales.min()), float(scales.max())
    two_sided = Band.of(wavelet, rtol, "pycwt" if part != "all" else convention)
    first, last = two_sided.bins(smallest, largest, size)
    limit = size - 1 if part != "all" else size // 2
    first, last = max(first, -limit), min(last, limit)
    bank = FilterBank.tabulate(wavelet, scales, first, last, size, step, dtype=spec.dtype)
    if Band.of(wavelet, rtol, convention).crosses_nyquist(smallest):
        omega = np.arange(first, last + 1) * (2 * math.pi / size)
        slope = _ending(omega, rtol) if part == "positive" else _ending(-omega, rtol)
        other = _ending(math.pi - omega if part == "positive" else math.pi + omega, rtol)
        bank.table[...] *= (slope * other).astype(spec.dtype)
    return bank
