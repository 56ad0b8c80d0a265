"""The filter bank of the data path gives the integer model's numbers."""

from __future__ import annotations

import numpy as np
import pytest

from cwt_gateware.sim.engines import Simulator
from cwt_hwbridge.model import run_bank, run_selftest
from cwt_schemas.hwlink import MAX_TAPS
from cwt_schemas.hwlink_layouts import FilterEntry
from cwt_schemas.hwplan import BankPlan, FilterTable
from tests.hardware.plans import DECIMATOR, bank_plan
from tests.thorough import cases
from tests.unit.gateware.datapath_bench import Bench, Samples, simulate
from tests.unit.gateware.designs import SIMULATORS

pytestmark = pytest.mark.slow


def noise(seed: int, count: int) -> Samples:
    return np.random.default_rng(seed).integers(-32768, 32768, count).astype(np.int16)


async def agrees(bench: Bench, plan: BankPlan, samples: Samples, offer: float, take: float) -> None:
    """One job; `offer` and `take` say how often a sample is there, and room for an output."""
    rng = np.random.default_rng(0)
    expected = run_bank(plan, samples)
    await bench.load(plan.table)
    await bench.start_fir(plan)

    outputs, clocks = await bench.fir(
        samples,
        len(expected.outputs),
        lambda: bool(rng.random() < offer),
        lambda: bool(rng.random() < take),
    )
    await bench.settle()

    ran = bench.ran(outputs, clocks)
    assert ran.outputs == expected.outputs.tolist()
    assert ran.saturations == expected.saturations
    assert (ran.done, ran.made, ran.signature) == (len(samples), len(outputs), 0)
    await bench.strobe("abort")


def test_random_banks_one_after_the_other_are_the_models() -> None:
    async def work(bench: Bench) -> None:
        for seed in range(cases(25)):
            await agrees(bench, bank_plan(seed), noise(seed, 32), offer=1, take=1)

    simulate(work)


def test_bank_with_irregular_input_equals_model() -> None:
    async def work(bench: Bench) -> None:
        await agrees(bench, bank_plan(0), noise(0, 32), offer=0.02, take=1)

    simulate(work)


def test_bank_pauses_until_outputs_are_fetched() -> None:
    """Short filters make more than the 512 outputs that there is room for."""
    plan = bank_plan(4, longest=4)
    samples = noise(21, 160)
    expected = run_bank(plan, samples).outputs
    assert len(expected) > 700

    async def work(bench: Bench) -> None:
        await bench.load(plan.table)
        await bench.start_fir(plan)
        await bench.fir(samples, 0, lambda: True, lambda: False)
        await bench.until(lambda: bool(bench.get("outputs_ready") == 512))
        await bench.settle()
        assert bench.get("made") == 512

        outputs, _ = await bench.fir(samples[:0], len(expected), lambda: False, lambda: True)

        assert outputs == expected.tolist()

    simulate(work)


@pytest.mark.parametrize("simulator", SIMULATORS)
@pytest.mark.parametrize("rows", [4, 5])
def test_a_sample_stored_while_an_output_is_rounded_is_the_sample(
    rows: int, simulator: Simulator
) -> None:
    """It was the output when every other sample had nothing due and four or five rows."""
    table = FilterTable(
        coefficients=np.full((16, 2), 4096, dtype=np.int16),
        filters=tuple(
            (row, FilterEntry(start=0, length=16, shift=16, step=1)) for row in range(rows)
        ),
    )
    plan = BankPlan(table=table, octaves=1, rows=rows, decimator=0)

    async def work(bench: Bench) -> None:
        await agrees(bench, plan, noise(3, 24), offer=1, take=1)

    simulate(work, simulator)


def test_the_longest_filter_at_every_place_of_the_ring_is_the_models() -> None:
    """256 taps leave no spare place, and 264 samples go round."""
    rng = np.random.default_rng(1)
    table = FilterTable(
        coefficients=rng.integers(-32768, 32768, (2 * MAX_TAPS + 1, 2)).astype(np.int16),
        filters=(
            (0, FilterEntry(start=0, length=MAX_TAPS, shift=19, step=3)),
            (1, FilterEntry(start=MAX_TAPS + 1, length=MAX_TAPS, shift=20)),
        ),
    )
    plan = BankPlan(table=table, octaves=1, rows=2, decimator=0)

    async def work(bench: Bench) -> None:
        await agrees(bench, plan, noise(2, 264), offer=1, take=1)

    simulate(work)


def test_the_largest_sums_are_exact_and_limited() -> None:
    """All at -32768: 256 products of 2**30 each, up to a shift that brings them into 16 bits."""
    table = FilterTable(
        coefficients=np.full((MAX_TAPS, 2), -32768, dtype=np.int16),
        filters=tuple(
            (row, FilterEntry(start=0, length=MAX_TAPS, shift=shift))
            for row, shift in enumerate((0, 22, 23, 24, 31))
        ),
    )
    plan = BankPlan(table=table, octaves=1, rows=5, decimator=0)

    async def work(bench: Bench) -> None:
        await agrees(bench, plan, np.full(20, -32768, dtype=np.int16), offer=1, take=1)

    simulate(work)


def test_an_aborted_bank_leaves_nothing_behind() -> None:
    """The first one has been all round its ring, so that what it leaves there would be seen."""

    async def work(bench: Bench) -> None:
        first, second = bank_plan(27, longest=4), bank_plan(5)
        await bench.load(first.table)
        await bench.start_fir(first)
        await bench.fir(noise(4, 270), 270, lambda: True, lambda: True)
        await bench.strobe("abort")
        assert bench.get("outputs_ready") == 0
        assert bench.get("sample_room") == 1024

        await agrees(bench, second, noise(5, 24), offer=1, take=1)

    simulate(work)


def test_the_selftest_signs_what_the_model_signs() -> None:
    async def work(bench: Bench) -> None:
        for seed in range(cases(20)):
            plan = bank_plan(seed)
            await bench.load(plan.table)

            ran = await bench.selftest(plan, 1 + seed, 40)

            told = run_selftest(plan, seed=1 + seed, samples=40)
            assert (ran.signature, ran.made) == (told.signature, told.outputs)
            assert (ran.saturations, ran.done) == (told.saturations, 40)

    simulate(work)


def test_ten_octaves_are_the_models() -> None:
    """The shortest filters there are, so that 600 samples are simulated in seconds."""
    table = FilterTable(
        coefficients=np.array([[16384, 0], [16384, -16384], [9000, 7]], dtype=np.int16),
        filters=(
            (0, FilterEntry(start=1, length=2, shift=15, step=1)),
            (DECIMATOR, FilterEntry(start=0, length=3, shift=15)),
        ),
    )
    plan = BankPlan(table=table, octaves=10, rows=1, decimator=DECIMATOR)

    async def work(bench: Bench) -> None:
        await bench.load(plan.table)
        ran = await bench.selftest(plan, 99, 600)
        assert ran.signature == run_selftest(plan, seed=99, samples=600).signature

    simulate(work)
