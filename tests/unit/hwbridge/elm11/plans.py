"""Simulations at random, within the limits of the link's specification."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from cwt_schemas.hwlink import SMOOTHING_BASE
from cwt_schemas.hwlink_layouts import FilterEntry, McStart
from cwt_schemas.hwplan import FilterTable, McPlan

BOXCAR, DECIMATOR = 40, 41


@st.composite
def mc_plans(draw: st.DrawFn) -> McPlan:
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    # Full-scale taps make sums that leave 32 bits, small ones stay within.
    largest = draw(st.sampled_from([300, 4000, 32768]))
    table = rng.integers(-largest, largest, (400, 2)).astype(np.int16)
    reach = draw(st.integers(0, 2))
    count = draw(st.integers(1, 3))
    first = reach + draw(st.integers(0, 1))
    rows = first + count + reach

    def entry(longest: int, shift: int) -> FilterEntry:
        length = int(rng.integers(1, longest + 1))
        return FilterEntry(start=int(rng.integers(0, 400 - length)), length=length, shift=shift)

    shift = draw(st.integers(0, 16))
    filters = [(row, entry(128, shift)) for row in range(rows)]
    filters += [(SMOOTHING_BASE + row, entry(32, 17)) for row in range(rows)]
    filters.append((BOXCAR, FilterEntry(start=7, length=2 * reach + 1, shift=15)))
    filters.append((DECIMATOR, entry(60, draw(st.integers(10, 17)))))
    start = McStart(
        seed=rng.bytes(15) + b"\x01",
        warmup=draw(st.integers(0, 5)),
        instants=draw(st.integers(1, 40)),
        a1=draw(st.integers(-(2**15), 2**15 - 1)),
        a2=draw(st.integers(-(2**15), 2**15 - 1)),
        noise_shift=draw(st.integers(0, 6)),
        decimations=draw(st.integers(0, 3)),
        step=draw(st.integers(0, 2)),
        rows=rows,
        first=first,
        count=count,
        product_shift=draw(st.integers(0, 16)),
        decimator=DECIMATOR,
        boxcar=BOXCAR,
    )
    return McPlan(table=FilterTable(coefficients=table, filters=tuple(filters)), start=start)
