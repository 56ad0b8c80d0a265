"""The filters of the self-test: numbers without meaning that use all of the data path."""

from __future__ import annotations

import numpy as np

from cwt_schemas.hwlink_layouts import FilterEntry
from cwt_schemas.hwplan import BankPlan, FilterTable

__all__ = ["SELFTEST_SAMPLES", "selftest_plan"]

#: A few milliseconds of the filter bank at 27 MHz, and not many seconds of its simulation.
SELFTEST_SAMPLES = 1024
OCTAVES = 3
ROWS = 8
DECIMATOR = 32
#: Of every row and of the decimator; odd, so that no lane is always busy.
TAPS = 61
#: Sums of 61 products of full size reach 2**36; some results are limited, which is tested, too.
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
