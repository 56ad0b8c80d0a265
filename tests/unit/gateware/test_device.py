"""The whole design, asked over its bytes: jobs give the integer model's numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from cwt_gateware.sim.engine import Engine
from cwt_gateware.sim.engines import chosen_engine
from cwt_hwbridge.model import run_bank, run_mc, run_selftest
from cwt_schemas.hwlink import (
    COEFFICIENTS,
    FILTERS,
    SAMPLE_ROOM,
    SAMPLES_PER_FRAME,
    MessageType,
    NakCode,
    State,
)
from cwt_schemas.hwlink_layouts import (
    FilterEntry,
    FirIo,
    FirStart,
    Histogram,
    Layout,
    LoadCoeffs,
    LoadFilters,
    Nak,
    Selftest,
)
from tests.hardware.plans import bank_plan, mc_plan
from tests.unit.gateware.designs import FOLDER, SIMULATOR
from tests.unit.gateware.host import Host, asking
from tests.unit.gateware.requests import (
    asked,
    finished,
    fir,
    histograms,
    load,
    monte_carlo,
    selftest,
    start_fir,
    status,
)

#: The first one compiles the design.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ENTROPY = 5


@pytest.fixture
def engine() -> Iterator[Engine]:
    with closing(chosen_engine("bytes", SIMULATOR, FOLDER, ENTROPY).engine) as engine:
        yield engine


@pytest.fixture
def host(engine: Engine) -> Host:
    host = Host(asking(engine))
    host.hello()
    return host


def refused(host: Host, kind: MessageType, payload: bytes = b"", job: int = 0) -> NakCode:
    answer = host.request(kind, payload, job)
    assert isinstance(answer, Nak)
    assert (answer.type, answer.expected) == (kind, host.seq)
    return NakCode(answer.code)


def noise(count: int) -> npt.NDArray[np.int16]:
    return np.random.default_rng(3).integers(-32768, 32768, count).astype(np.int16)


def test_a_filter_bank_over_the_link_gives_the_models_numbers(host: Host) -> None:
    plan, samples = bank_plan(1), noise(1500)
    expected = run_bank(plan, samples)
    load(host, plan.table)
    start_fir(host, plan, job=7)

    assert np.array_equal(fir(host, samples, len(expected.outputs), job=7), expected.outputs)

    now = status(host)
    assert (now.state, now.job, now.done, now.total) == (State.FIR, 7, len(samples), 0)
    assert (now.outputs, now.saturations) == (len(expected.outputs), expected.saturations)
    assert (now.sample_room, now.outputs_ready) == (SAMPLE_ROOM, 0)


def test_the_self_test_gives_the_models_signature_and_a_second_one_too(host: Host) -> None:
    plan = bank_plan(2)
    load(host, plan.table)
    for seed, samples in ((1, 300), (0xDEADBEEF, 77)):
        expected = run_selftest(plan, seed=seed, samples=samples)
        now = selftest(host, plan, seed, samples, job=3)
        assert (now.state, now.done, now.total) == (State.SELFTEST_DONE, samples, samples)
        assert (now.signature, now.outputs) == (expected.signature, expected.outputs)
        assert now.saturations == expected.saturations


def test_monte_carlo_over_the_link_gives_the_models_histograms(host: Host) -> None:
    plan = mc_plan(3, rows=5, instants=200)
    expected = run_mc(plan)
    load(host, plan.table)
    now = monte_carlo(host, plan, job=11)
    assert (now.state, now.done, now.total) == (State.MC_DONE, 200, 200)
    assert now.saturations == expected.saturations
    counts = histograms(host, plan.start.count, job=11)
    assert np.array_equal(counts, expected.histograms)
    assert np.array_equal(histograms(host, plan.start.count, job=11), counts)


def test_the_same_monte_carlo_again_starts_nothing_and_another_does(host: Host) -> None:
    plan = mc_plan(3, rows=4, instants=20)
    load(host, plan.table)
    monte_carlo(host, plan, job=11)
    before = histograms(host, plan.start.count, job=11)
    again = plan.start.pack()
    asked(host, MessageType.MC_START, again, job=11)
    assert status(host).state == State.MC_DONE
    assert np.array_equal(histograms(host, plan.start.count, job=11), before)
    asked(host, MessageType.MC_START, again, job=12)
    assert status(host).state == State.MC
    asked(host, MessageType.MC_START, again, job=12)
    assert refused(host, MessageType.MC_START, again, job=13) == NakCode.BUSY
    assert finished(host).job == 12
    assert refused(host, MessageType.MC_HISTOGRAM, Histogram(row=0, first=0, count=1).pack(), 11)


def test_a_job_that_runs_refuses_what_would_disturb_it_and_ends_with_abort(host: Host) -> None:
    plan = bank_plan(0)
    load(host, plan.table)
    start_fir(host, plan, job=1)
    start = FirStart(octaves=1, rows=1, decimator=0).pack()
    test = Selftest(octaves=1, rows=1, decimator=0, seed=1, samples=1).pack()
    coefficients = LoadCoeffs(first=0).pack() + bytes(4)
    filters = LoadFilters(first=0).pack() + FilterEntry(start=0, length=1, shift=0).pack()
    assert refused(host, MessageType.LOAD_COEFFS, coefficients) == NakCode.BUSY
    assert refused(host, MessageType.LOAD_FILTERS, filters) == NakCode.BUSY
    assert refused(host, MessageType.FIR_START, start, job=1) == NakCode.BUSY
    assert refused(host, MessageType.SELFTEST, test) == NakCode.BUSY
    assert refused(host, MessageType.FIR_IO, FirIo(first=0).pack(), job=2) == NakCode.JOB
    asked(host, MessageType.ABORT, job=99)
    assert status(host).state == State.IDLE
    assert refused(host, MessageType.FIR_IO, FirIo(first=0).pack(), job=1) == NakCode.JOB
    asked(host, MessageType.LOAD_COEFFS, coefficients)


def test_samples_out_of_place_or_without_room_are_refused_and_none_is_taken(host: Host) -> None:
    plan = bank_plan(0, longest=4)
    load(host, plan.table)
    start_fir(host, plan, job=1)
    full = bytes(2 * SAMPLES_PER_FRAME)
    assert refused(host, MessageType.FIR_IO, FirIo(first=1).pack() + full, 1) == NakCode.POSITION
    sent = 0
    while isinstance(host.request(MessageType.FIR_IO, FirIo(first=sent).pack() + full, 1), bytes):
        sent += SAMPLES_PER_FRAME
        assert sent < 100_000
    now = status(host)
    assert now.sample_room < SAMPLES_PER_FRAME
    assert refused(host, MessageType.FIR_IO, FirIo(first=sent).pack() + full, 1) == NakCode.NO_ROOM
    asked(host, MessageType.FIR_IO, FirIo(first=sent).pack() + bytes(2 * now.sample_room), 1)


MC = mc_plan(3, rows=4, instants=20).start
RIGHT: dict[MessageType, Layout] = {
    MessageType.FIR_START: FirStart(octaves=16, rows=64, decimator=127),
    MessageType.SELFTEST: Selftest(octaves=16, rows=64, decimator=127, seed=1, samples=1),
    MessageType.MC_START: MC,
    MessageType.MC_HISTOGRAM: Histogram(row=11, first=255, count=1),
}


def changed(layout: Layout, values: dict[str, Any]) -> bytes:
    return replace(layout, **values).pack()


WRONG = [
    (kind, {name: value})
    for kind, name, value in [
        *(
            (k, "octaves", v)
            for k in (MessageType.FIR_START, MessageType.SELFTEST)
            for v in (0, 17)
        ),
        *((k, "rows", v) for k in (MessageType.FIR_START, MessageType.SELFTEST) for v in (0, 65)),
        (MessageType.FIR_START, "decimator", FILTERS),
        (MessageType.SELFTEST, "seed", 0),
        (MessageType.SELFTEST, "samples", 0),
        (MessageType.MC_START, "seed", bytes(16)),
        (MessageType.MC_START, "instants", 0),
        (MessageType.MC_START, "noise_shift", 16),
        (MessageType.MC_START, "decimations", 16),
        (MessageType.MC_START, "step", 4),
        (MessageType.MC_START, "rows", 0),
        (MessageType.MC_START, "rows", 32),
        (MessageType.MC_START, "count", 0),
        (MessageType.MC_START, "count", 13),
        (MessageType.MC_START, "first", 256),
        (MessageType.MC_START, "product_shift", 32),
        (MessageType.MC_START, "decimator", FILTERS),
        (MessageType.MC_START, "boxcar", FILTERS),
        (MessageType.MC_HISTOGRAM, "row", 12),
        (MessageType.MC_HISTOGRAM, "count", 0),
        (MessageType.MC_HISTOGRAM, "count", 60),
        (MessageType.MC_HISTOGRAM, "count", 2),
    ]
]


def test_values_outside_of_their_limits_are_refused(host: Host) -> None:
    found = {
        (kind, *wrong.items()): refused(host, kind, changed(RIGHT[kind], wrong))
        for kind, wrong in WRONG
    }
    assert set(found.values()) == {NakCode.RANGE}, found
    assert status(host).state == State.IDLE


@pytest.mark.parametrize(
    "entry",
    [
        FilterEntry(start=0, length=0, shift=0),
        FilterEntry(start=0, length=257, shift=0),
        FilterEntry(start=COEFFICIENTS - 1, length=2, shift=0),
        FilterEntry(start=0, length=1, shift=32),
        FilterEntry(start=0, length=1, shift=0, step=4),
    ],
)
def test_a_filter_outside_of_its_limits_is_refused(host: Host, entry: FilterEntry) -> None:
    request = LoadFilters(first=0).pack() + entry.pack()
    assert refused(host, MessageType.LOAD_FILTERS, request) == NakCode.RANGE


def test_loads_end_where_the_tables_end(host: Host) -> None:
    one = FilterEntry(start=0, length=1, shift=0).pack()
    asked(host, MessageType.LOAD_COEFFS, LoadCoeffs(first=COEFFICIENTS - 2).pack() + bytes(8))
    asked(host, MessageType.LOAD_FILTERS, LoadFilters(first=FILTERS - 2).pack() + 2 * one)
    for kind, payload in (
        (MessageType.LOAD_COEFFS, LoadCoeffs(first=COEFFICIENTS - 1).pack() + bytes(8)),
        (MessageType.LOAD_COEFFS, LoadCoeffs(first=2**16 - 1).pack() + bytes(8)),
        (MessageType.LOAD_FILTERS, LoadFilters(first=FILTERS - 1).pack() + 2 * one),
    ):
        assert refused(host, kind, payload) == NakCode.RANGE


@pytest.mark.parametrize(
    ("kind", "length"),
    [
        (MessageType.LOAD_COEFFS, 4), (MessageType.LOAD_COEFFS, 10), (MessageType.LOAD_FILTERS, 4),
        (MessageType.LOAD_FILTERS, 16), (MessageType.FIR_START, 8), (MessageType.FIR_IO, 2),
        (MessageType.SELFTEST, 14), (MessageType.MC_START, 44), (MessageType.MC_HISTOGRAM, 6),
    ],
)  # fmt: skip
def test_lengths_that_do_not_fit_are_refused(host: Host, kind: MessageType, length: int) -> None:
    assert refused(host, kind, bytes(length)) == NakCode.LENGTH


def test_reset_in_the_middle_of_a_job_ends_it(host: Host) -> None:
    plan = mc_plan(3, rows=4, instants=2**20)
    load(host, plan.table)
    asked(host, MessageType.MC_START, plan.start.pack(), job=5)
    before = status(host)
    assert before.state == State.MC
    asked(host, MessageType.RESET)
    assert host.hello().boot_nonce != before.boot_nonce
    after = status(host)
    assert (after.state, after.job) == (State.IDLE, 0)
    load(host, bank_plan(0).table)
