"""Plans for devices: integer filters, and the operations with them.

A plan determines the results bit for bit, by the arithmetic in ``docs/hardware-link.md``. The
drivers of devices, the integer model and ``pycwt-mod hw verify`` take the same plans, so their
results can be compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cwt_schemas.hwlink_layouts import FilterEntry, McStart

__all__ = ["BankPlan", "FilterTable", "McPlan"]


@dataclass(frozen=True, kw_only=True, eq=False)
class FilterTable:
    """Coefficients, and the filters that use them.

    Attributes
    ----------
    coefficients : ndarray of int16, shape (taps, 2)
        Real and imaginary parts, stored in the device from position 0.
    filters : tuple of (int, FilterEntry)
        Position in the device's table, and the entry.
    """

    coefficients: npt.NDArray[np.int16]
    filters: tuple[tuple[int, FilterEntry], ...]

    def taps(self, entry: FilterEntry) -> npt.NDArray[np.int16]:
        """Return the coefficients of one filter; shape (length, 2)."""
        return self.coefficients[entry.start : entry.start + entry.length]

    def runs(self) -> Iterator[tuple[int, tuple[FilterEntry, ...]]]:
        """Yield runs of filters in adjacent positions, each with its first position."""
        run: list[FilterEntry] = []
        first = 0
        for place, entry in sorted(self.filters, key=lambda each: each[0]):
            if run and place != first + len(run):
                yield first, tuple(run)
                run = []
            if not run:
                first = place
            run.append(entry)
        if run:
            yield first, tuple(run)


@dataclass(frozen=True, kw_only=True, eq=False)
class BankPlan:
    """A filter bank: filters 0 to `rows` - 1 per octave, and the filter that halves the rate."""

    table: FilterTable
    octaves: int
    rows: int
    decimator: int


@dataclass(frozen=True, kw_only=True, eq=False)
class McPlan:
    """One octave of the null distribution of coherence; `start` has the seed and all parameters."""

    table: FilterTable
    start: McStart
