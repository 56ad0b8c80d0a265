"""Monte Carlo passes of the data path give the integer model's numbers."""

from __future__ import annotations

import numpy as np
import pytest

from cwt_gateware.sim.engines import Simulator
from cwt_hwbridge.model import run_mc
from cwt_schemas.hwlink import MC_MAX_BINNED_ROWS, MC_MAX_ROWS
from cwt_schemas.hwplan import McPlan
from tests.hardware.plans import full_mc_plan, mc_plan
from tests.thorough import cases
from tests.unit.gateware.datapath_bench import Bench, simulate
from tests.unit.gateware.designs import SIMULATORS

pytestmark = pytest.mark.slow


async def agrees(bench: Bench, plan: McPlan) -> None:
    expected = run_mc(plan)
    await bench.load(plan.table)

    ran = await bench.mc(plan)

    assert await bench.counts(plan.start.count) == expected.histograms.tolist()
    assert (ran.saturations, ran.done) == (expected.saturations, plan.start.instants)


def test_random_passes_one_after_the_other_are_the_models() -> None:
    async def work(bench: Bench) -> None:
        for seed in range(cases(40)):
            await agrees(bench, mc_plan(seed, rows=5, instants=10))

    simulate(work)


@pytest.mark.parametrize("simulator", SIMULATORS)
def test_a_short_pass_is_the_models_in_both_simulators(simulator: Simulator) -> None:
    async def work(bench: Bench) -> None:
        await agrees(bench, mc_plan(5, rows=2, instants=10))

    simulate(work, simulator)


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
        while not bench.get("finished"):
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
        await bench.until(lambda: bool(bench.get("done") == 130))
        await bench.strobe("abort")

        await agrees(bench, mc_plan(24, rows=4, instants=4))

    simulate(work)
