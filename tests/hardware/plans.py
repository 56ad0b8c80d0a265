"""Random plans within a device's limits, small enough for slow arithmetic and for simulators."""

from __future__ import annotations

import numpy as np

from cwt_schemas.hwlink import (
    FILTERS,
    MC_MAX_BINNED_ROWS,
    MC_MAX_ROWS,
    MC_MAX_SMOOTHING_TAPS,
    MC_MAX_TAPS,
    SMOOTHING_BASE,
)
from cwt_schemas.hwlink_layouts import FilterEntry, McStart
from cwt_schemas.hwplan import BankPlan, FilterTable, McPlan

#: Places for decimator and boxcar that no row has.
DECIMATOR, BOXCAR = 40, 41


def bank_plan(seed: int, *, longest: int = 24, rows: int = 6, octaves: int = 4) -> BankPlan:
    """Return a bank with filters of random length, step and shift; some of them saturate."""
    rng = np.random.default_rng(seed)
    table = _Table(rng)
    used_rows = int(rng.integers(1, rows + 1))
    for row in range(used_rows):
        table.add(row, int(rng.integers(1, longest + 1)), step=int(rng.integers(0, 4)))
    table.add(DECIMATOR, int(rng.integers(1, longest + 1)))
    return BankPlan(
        table=table.made(),
        octaves=int(rng.integers(1, octaves + 1)),
        rows=used_rows,
        decimator=DECIMATOR,
    )


def mc_plan(
    seed: int, *, longest: int = 20, smoothing: int = 8, rows: int = 7, instants: int = 40
) -> McPlan:
    """Return a pass with random filters, a few decimations, and a boxcar of 1, 3 or 5 rows."""
    rng = np.random.default_rng(seed)
    table = _Table(rng)
    h = int(rng.integers(0, min(3, (rows + 1) // 2)))
    count = int(rng.integers(1, min(12, rows - 2 * h) + 1))
    first = int(rng.integers(h, rows - h - count + 1))
    used_rows = int(rng.integers(first + count + h, rows + 1))
    for row in range(used_rows):
        table.add(row, int(rng.integers(1, longest + 1)))
        table.add(SMOOTHING_BASE + row, int(rng.integers(1, smoothing + 1)), positive=True)
    table.add(DECIMATOR, int(rng.integers(1, longest + 1)))
    table.add(BOXCAR, 2 * h + 1, positive=True)
    start = McStart(
        seed=rng.bytes(16),
        warmup=int(rng.integers(0, 6)),
        instants=instants,
        a1=int(rng.integers(-32768, 32768)),
        a2=int(rng.integers(0, 32768)),
        noise_shift=int(rng.integers(2, 6)),
        decimations=int(rng.integers(0, 3)),
        step=int(rng.integers(0, 3)),
        rows=used_rows,
        first=first,
        count=count,
        product_shift=int(rng.integers(12, 16)),
        decimator=DECIMATOR,
        boxcar=BOXCAR,
    )
    return McPlan(table=table.made(), start=start)


def full_mc_plan(seed: int) -> McPlan:
    """Return a pass in which nothing could be more but the decimations; most filters are short."""
    rng = np.random.default_rng(seed)
    table = _Table(rng)
    for row in range(MC_MAX_ROWS):
        long = row in (0, MC_MAX_ROWS - 1)
        table.add(row, MC_MAX_TAPS if long else int(rng.integers(1, 17)))
        table.add(
            SMOOTHING_BASE + row,
            MC_MAX_SMOOTHING_TAPS if long else int(rng.integers(1, 17)),
            positive=True,
        )
    h = (MC_MAX_ROWS - MC_MAX_BINNED_ROWS) // 2
    table.add(BOXCAR, 2 * h + 1, positive=True)
    start = McStart(
        seed=rng.bytes(16),
        warmup=2,
        instants=36,
        a1=29000,
        a2=-12000,
        noise_shift=4,
        decimations=0,
        step=0,
        rows=MC_MAX_ROWS,
        first=h,
        count=MC_MAX_BINNED_ROWS,
        product_shift=14,
        decimator=0,
        boxcar=BOXCAR,
    )
    return McPlan(table=table.made(), start=start)


class _Table:
    """Filters laid out one after the other, with a random gap before each."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._coefficients: list[np.ndarray[tuple[int, int], np.dtype[np.int16]]] = []
        self._end = 0
        self._filters: list[tuple[int, FilterEntry]] = []

    def add(self, place: int, length: int, *, step: int = 0, positive: bool = False) -> None:
        gap = int(self._rng.integers(0, 3))
        low = 0 if positive else -32768
        taps = self._rng.integers(low, 32768, size=(gap + length, 2)).astype(np.int16)
        self._coefficients.append(taps)
        full = 15 + (length.bit_length() if positive else length.bit_length() // 2)
        shift = max(0, full + int(self._rng.integers(-1, 2)))
        entry = FilterEntry(start=self._end + gap, length=length, shift=shift, step=step)
        self._end += gap + length
        assert place < FILTERS
        self._filters.append((place, entry))

    def made(self) -> FilterTable:
        return FilterTable(
            coefficients=np.concatenate(self._coefficients), filters=tuple(self._filters)
        )
