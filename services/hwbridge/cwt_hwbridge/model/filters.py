"""The filters of a table, and their sums of products over a history.

Sums are computed as float64 matrix products. These are exact in any order, because every product
and every sum is an integer below 2**40.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from cwt_hwbridge.model.rounding import Integers, rnd
from cwt_schemas.hwlink import COEFFICIENTS, FILTERS, MAX_SHIFT, MAX_STEP, MAX_TAPS
from cwt_schemas.hwlink_layouts import FilterEntry
from cwt_schemas.hwplan import FilterTable

__all__ = ["Filters", "Reals", "entry_at"]

Reals = npt.NDArray[np.float64]

#: Windows copied at a time: 8 MB for the longest filter.
_WINDOWS_AT_A_TIME = 4096


class Filters:
    """Some filters of a table, applied to the same history.

    Parameters
    ----------
    table : FilterTable
    places : iterable of int
        Positions of the filters in the table.
    longest : int, optional
        Largest number of taps.

    Raises
    ------
    ValueError
        The table lacks one of the filters, or a filter exceeds the device's limits.
    """

    def __init__(
        self, table: FilterTable, places: Iterable[int], *, longest: int = MAX_TAPS
    ) -> None:
        entries = [entry_at(table, place, longest) for place in places]
        #: Number of samples in each sum.
        self.length = max(entry.length for entry in entries)
        self._shifts = np.array([entry.shift for entry in entries])
        self._taps = np.zeros((self.length, len(entries), 2))
        for column, entry in enumerate(entries):
            self._taps[self.length - entry.length :, column] = table.taps(entry)[::-1]

    def real(self, history: Reals, every: int = 1) -> Integers:
        """Return rounded sums for the real parts of the coefficients.

        Parameters
        ----------
        history : ndarray, shape (channels, length - 1 + n)
        every : int
            Step between sums, in samples.

        Returns
        -------
        ndarray of int64, shape (channels, ceil(n / every), filters)
        """
        return rnd(_sums(history, self._taps[:, :, 0], every), self._shifts)

    def both(self, history: Reals, every: int = 1) -> Integers:
        """Return rounded sums like `real`, with (re, im) as an additional last axis."""
        columns = self._taps.reshape(self.length, -1)
        sums = _sums(history, columns, every)
        return rnd(sums.reshape(*sums.shape[:2], -1, 2), self._shifts[:, np.newaxis])


def _sums(history: Reals, columns: Reals, every: int) -> Integers:
    windows = np.lib.stride_tricks.sliding_window_view(history, len(columns), axis=-1)[:, ::every]
    sums = np.empty((*windows.shape[:2], columns.shape[1]), dtype=np.int64)
    for first in range(0, windows.shape[1], _WINDOWS_AT_A_TIME):
        part = slice(first, first + _WINDOWS_AT_A_TIME)
        sums[:, part] = np.ascontiguousarray(windows[:, part]) @ columns
    return sums


def entry_at(table: FilterTable, place: int, longest: int = MAX_TAPS) -> FilterEntry:
    """Return the filter at `place` in the table; raise ValueError as `Filters` does."""
    if not 0 <= place < FILTERS:
        raise ValueError(f"filter {place} must be from 0 to {FILTERS - 1}")
    entry = dict(table.filters).get(place)
    if entry is None:
        raise ValueError(f"filter {place} is used, but the table does not have it")
    if not 1 <= entry.length <= longest:
        raise ValueError(f"length={entry.length} of filter {place} must be from 1 to {longest}")
    if not 0 <= entry.start <= min(len(table.coefficients), COEFFICIENTS) - entry.length:
        raise ValueError(f"filter {place} reaches beyond the coefficients that there are")
    if not (0 <= entry.shift <= MAX_SHIFT and 0 <= entry.step <= MAX_STEP):
        raise ValueError(
            f"filter {place}: shift={entry.shift} must be from 0 to {MAX_SHIFT}, "
            f"step={entry.step} from 0 to {MAX_STEP}"
        )
    return entry
