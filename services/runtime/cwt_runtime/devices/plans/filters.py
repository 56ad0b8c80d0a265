"""Wavelet rows and smoothing as short FIR filters, in floating point and as integers."""

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

#: Truncation of taps, relative to the largest: a few quantisation steps of 16 bits.
TAP_TOL = 1e-3
#: Largest 16-bit value whose negative is also a 16-bit value.
FULL = (1 << 15) - 1
#: Points of the spectrum from which taps are computed; aliases in time are far outside any row.
_GRID = 8192

Taps = npt.NDArray[np.complex128]


def row_taps(wavelet: Wavelet, scale: float, reach: int) -> Taps:
    """Return the filter that computes a row of the transform; shape (2 reach + 1,).

    The response is √(2πs) ψ̂*(sω) over the positive frequencies, twice its real part for a real
    wavelet, as the library computes it (TC98 eq. 4 and 6); the taps are its inverse Fourier
    transform, so the row is delayed by `reach` samples.
    """
    omega = 2 * np.pi * np.arange(_GRID) / _GRID
    positive = (omega > 0) & (omega <= np.pi)
    response = np.zeros(_GRID, np.complex128)
    response[positive] = np.conj(wavelet.psi_ft(scale * omega[positive]))
    taps: Taps = np.fft.ifft(response) * math.sqrt(2 * math.pi * scale)
    if not wavelet.analytic:
        taps = (2 * taps.real).astype(np.complex128)
    centred: Taps = np.roll(taps, reach)[: 2 * reach + 1]
    return centred


def gaussian_taps(scale: float, reach: int) -> Taps:
    """Return exp(-t²/2s²) over `reach` samples on both sides, normalised to sum 1."""
    times = np.arange(-reach, reach + 1)
    taps = np.exp(-0.5 * (times / scale) ** 2)
    normalised: Taps = (taps / taps.sum()).astype(np.complex128)
    return normalised


@dataclass
class TableBuilder:
    """Collect filters and convert their coefficients to integers."""

    _taps: list[npt.NDArray[np.int16]] = field(default_factory=list)
    _filters: list[tuple[int, FilterEntry]] = field(default_factory=list)
    _used: int = 0

    def add(self, place: int, taps: Taps, gain: float, *, step: int = 0) -> float:
        """Add the filter `gain` times `taps` at `place`; return the gain.

        The coefficients are scaled to use the range of 16 bits; the shift compensates.
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
        """Return the table of the collected filters.

        Raises
        ------
        Unprocessable
            The filters exceed the memory of the device.
        """
        if self._used > COEFFICIENTS:
            problem = f"the filters have {self._used} taps, the maximum is {COEFFICIENTS}"
            raise Unprocessable.of({"rows": problem})
        return FilterTable(
            coefficients=np.concatenate(self._taps),
            filters=tuple(sorted(self._filters, key=_place)),
        )


def _place(each: tuple[int, FilterEntry]) -> int:
    return each[0]
