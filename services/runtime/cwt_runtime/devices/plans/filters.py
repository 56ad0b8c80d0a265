"""Wavelet rows and smoothing as filters of few taps, first in floating point, then in integers."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from cwt_schemas.errors import Unprocessable
from cwt_schemas.hwlink import COEFFICIENTS, MAX_SHIFT
from cwt_schemas.hwlink_layouts import FilterEntry
from cwt_schemas.hwplan import FilterTable
from pycwt_mod.wavelets import Wavelet

__all__ = ["FULL", "TableBuilder", "Taps", "gaussian_taps", "row_taps"]

#: Where taps are cut off, as a part of the largest: a few steps of a 16-bit coefficient.
TAP_TOL = 1e-3
#: Largest value of 16 bits that has an opposite.
FULL = (1 << 15) - 1
#: Points of the spectrum that taps are sampled from: they fold back far outside of every row.
_GRID = 8192

Taps = npt.NDArray[np.complex128]


def row_taps(wavelet: Wavelet, scale: float, reach: int) -> Taps:
    """Return the filter that gives a row of the transform; shape (2 reach + 1,).

    The response is √(2πs) ψ̂*(sω) over the positive frequencies, twice its real part for a real
    wavelet, as the library computes it (TC98 eq. 4 and 6); the taps are its inverse Fourier
    transform, so the row is late by `reach` samples.
    """
    omega = 2 * np.pi * np.arange(_GRID) / _GRID
    positive = (omega > 0) & (omega <= np.pi)
    response = np.zeros(_GRID, np.complex128)
    response[positive] = np.conj(wavelet.psi_ft(scale * omega[positive]))
    taps: Taps = np.fft.ifft(response) * math.sqrt(2 * math.pi * scale)
    if not wavelet.analytic:
        taps = (2 * taps.real).astype(np.complex128)
    found: Taps = np.roll(taps, reach)[: 2 * reach + 1]
    return found


def gaussian_taps(scale: float, reach: int) -> Taps:
    """Return exp(-t²/2s²) over `reach` samples to both sides, with the sum 1."""
    times = np.arange(-reach, reach + 1)
    taps = np.exp(-0.5 * (times / scale) ** 2)
    found: Taps = (taps / taps.sum()).astype(np.complex128)
    return found


@dataclass
class TableBuilder:
    """Collects filters, and makes whole numbers of them."""

    _taps: list[npt.NDArray[np.int16]] = field(default_factory=list)
    _filters: list[tuple[int, FilterEntry]] = field(default_factory=list)
    _used: int = 0

    def add(self, place: int, taps: Taps, gain: float, *, step: int = 0) -> float:
        """Put `gain` times `taps` at a place; return the gain that came of it.

        The coefficients are as large as 16 bits allow, and the shift makes up for it.
        """
        largest = float(np.max(np.abs(np.stack([taps.real, taps.imag]))))
        shift = MAX_SHIFT
        if largest * gain > 0:
            shift = min(MAX_SHIFT, math.floor(math.log2(FULL / (largest * gain))))
        if shift < 0:
            raise Unprocessable.of({"s0": "the filters are too steep for 16 bits"})
        scaled = taps * gain * 2.0**shift
        numbers = np.stack([scaled.real, scaled.imag], axis=-1).round().astype(np.int16)
        entry = FilterEntry(start=self._used, length=len(taps), shift=shift, step=step)
        self._taps.append(numbers)
        self._filters.append((place, entry))
        self._used += len(taps)
        return gain

    def table(self) -> FilterTable:
        """Return what was collected.

        Raises
        ------
        Unprocessable
            It is more than the device holds.
        """
        if self._used > COEFFICIENTS:
            problem = f"the filters have {self._used} taps in all, {COEFFICIENTS} are possible"
            raise Unprocessable.of({"rows": problem})
        return FilterTable(
            coefficients=np.concatenate(self._taps),
            filters=tuple(sorted(self._filters, key=_place)),
        )


def _place(each: tuple[int, FilterEntry]) -> int:
    return each[0]
