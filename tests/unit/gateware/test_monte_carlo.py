from __future__ import annotations

import numpy as np
import pytest

from schemas.hwlink import MC_MAX_BINNED_ROWS, MC_MAX_ROWS
from schemas.hwplan import McPlan
from services.hwbridge.model import run_mc
from tests.hardware.plans import full_mc_plan, mc_plan
from tests.unit.gateware.datapath_bench import Bench, simulate


async def agrees(bench: Bench, plan: McPlan) -> None:
    expected = run_mc(plan)
    await bench.load(plan.table)

    ran = await bench.mc(plan)

    assert await bench.counts(plan.start.count) == expected.histograms.tolist()
    assert (ran.saturations, ran.done) == (expected.saturations, plan.start.instants)


@pytest.mark.parametrize("seeds", [range(4), range(4, 8)])
def test_random_passes_one_after_the_other_are_the_models(seeds: range) -> None:
    async def work(bench: Bench) -> None:
        for seed in seeds:
            await agrees(bench, mc_plan(seed, rows=5, instants=10))

    simulate(work)


def test_a_pass_with_as_many_rows_as_there_can_be_is_the_models() -> None:
    """31 rows, 12 of them binned, smoothing over 32 instants, which go round their ring."""
    plan = full_mc_plan(1)
    start = plan.start
    assert (start.rows, start.count) == (MC_MAX_ROWS, MC_MAX_BINNED_ROWS)

    async def work(bench: Bench) -> None:
        await agrees(bench, plan)

    simulate(work)


def test_counts_can_be_read_while_a_pass_runs() -> None:
    plan = mc_plan(2, rows=4, instants=30)
    expected = run_mc(plan).histograms

    async def work(bench: Bench) -> None:
        await bench.load(plan.table)
        await bench.begin_mc(plan)
        readings = []
        while not bench.ctx.get(bench.dut.finished):
            readings.append(np.array(await bench.counts(plan.start.count)))

        assert await bench.counts(plan.start.count) == expected.tolist()
        assert any(0 < reading.sum() < expected.sum() for reading in readings)
        assert all(np.all(reading <= expected) for reading in readings[1:])

    simulate(work)


def test_an_aborted_pass_leaves_nothing_behind() -> None:
    """The first one has been all round its rings, so that what it leaves there would be seen."""

    async def work(bench: Bench) -> None:
        plan = mc_plan(25, rows=4, instants=1000)
        await bench.load(plan.table)
        await bench.begin_mc(plan)
        await bench.ctx.tick().until(bench.dut.done == 130)
        await bench.strobe("abort")

        await agrees(bench, mc_plan(24, rows=4, instants=4))

    simulate(work)
