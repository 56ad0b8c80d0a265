"""What the gateware takes in simulation is what is said of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cwt_hwbridge.model import bank_clocks_per_sample, mc_clocks_per_instant
from cwt_schemas.hwlink import SMOOTHING_BASE
from cwt_schemas.hwlink_layouts import FilterEntry, McStart
from cwt_schemas.hwplan import BankPlan, FilterTable, McPlan
from tests.hardware.plans import BOXCAR, DECIMATOR
from tests.unit.gateware.datapath_bench import Bench, simulate

pytestmark = pytest.mark.slow


def table_of(lengths: dict[int, int], step: int = 0) -> FilterTable:
    """All filters on the same coefficients, so that nothing but their lengths matters."""
    taps = np.random.default_rng(0).integers(-32768, 32768, (256, 2)).astype(np.int16)
    filters = tuple(
        (place, FilterEntry(start=0, length=length, shift=20, step=step))
        for place, length in lengths.items()
    )
    return FilterTable(coefficients=taps, filters=filters)


@pytest.mark.parametrize(
    ("lengths", "octaves", "step"),
    [((32, 48, 64), 1, 0), ((3,), 1, 0), ((32, 51), 4, 0), ((32, 48, 64), 2, 1)],
)
def test_bank_takes_documented_number_of_clocks(
    lengths: tuple[int, ...], octaves: int, step: int
) -> None:
    table = table_of(dict(enumerate(lengths)) | {DECIMATOR: 32}, step)
    plan = BankPlan(table=table, octaves=octaves, rows=len(lengths), decimator=DECIMATOR)
    ran = []

    async def work(bench: Bench) -> None:
        await bench.load(table)
        ran.extend([await bench.selftest(plan, 1, samples) for samples in (16, 32)])

    simulate(work)

    assert (ran[1].clocks - ran[0].clocks) / 16 == pytest.approx(
        bank_clocks_per_sample(plan), rel=0.02
    )


@pytest.mark.parametrize(
    ("taps", "smoothing", "rows", "count", "decimations", "step"),
    [(64, 24, 14, 12, 0, 0), (16, 16, 5, 3, 0, 0), (64, 24, 5, 3, 0, 2), (50, 24, 5, 3, 3, 1)],
)
def test_pass_takes_documented_number_of_clocks(
    taps: int, smoothing: int, rows: int, count: int, decimations: int, step: int
) -> None:
    lengths = dict.fromkeys(range(rows), taps)
    lengths |= {SMOOTHING_BASE + row: smoothing for row in range(rows)}
    lengths |= {DECIMATOR: 32, BOXCAR: 3}
    start = McStart(
        seed=bytes(range(16)),
        warmup=0,
        instants=4,
        a1=0,
        a2=0,
        noise_shift=4,
        decimations=decimations,
        step=step,
        rows=rows,
        first=1,
        count=count,
        product_shift=14,
        decimator=DECIMATOR,
        boxcar=BOXCAR,
    )
    plan = McPlan(table=table_of(lengths), start=start)
    longer = replace(plan, start=replace(start, instants=8))
    ran = []

    async def work(bench: Bench) -> None:
        await bench.load(plan.table)
        ran.extend([await bench.mc(each) for each in (plan, longer)])

    simulate(work)

    assert (ran[1].clocks - ran[0].clocks) / 4 == pytest.approx(
        mc_clocks_per_instant(plan), rel=0.02
    )
