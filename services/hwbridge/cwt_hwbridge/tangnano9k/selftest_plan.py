"""The filters of the self-test: pseudo-random coefficients that exercise the whole data path."""

from __future__ import annotations

import numpy as np

from cwt_schemas.hwlink_layouts import FilterEntry
from cwt_schemas.hwplan import BankPlan, FilterTable

__all__ = ["SELFTEST_SAMPLES", "selftest_plan"]

#: Samples that take the filter bank some milliseconds at 27 MHz, and its simulation some seconds.
SELFTEST_SAMPLES = 1024
OCTAVES = 3
ROWS = 8
DECIMATOR = 32
#: Taps of every row and of the decimator; odd, so that no lane is always busy.
TAPS = 61
#: Shift of the sums, which reach 2**36 for 61 products of full size; some results saturate, which
#: is tested too.
SHIFT = 17


def selftest_plan() -> BankPlan:
    """Return the same plan each time: pseudo-random coefficients in all 16 bits."""
    random = np.random.Generator(np.random.PCG64(9))
    values = random.integers(-(1 << 15), 1 << 15, (TAPS * (ROWS + 1), 2)).astype(np.int16)
    rows = [
        (row, FilterEntry(start=row * TAPS, length=TAPS, shift=SHIFT, step=row % 4))
        for row in range(ROWS)
    ]
    decimator = (DECIMATOR, FilterEntry(start=ROWS * TAPS, length=TAPS, shift=SHIFT))
    table = FilterTable(coefficients=values, filters=(*rows, decimator))
    return BankPlan(table=table, octaves=OCTAVES, rows=ROWS, decimator=DECIMATOR)
