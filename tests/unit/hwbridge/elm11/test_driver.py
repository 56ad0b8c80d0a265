from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

from cwt_hwbridge.deadline import CancellableDeadline
from cwt_hwbridge.elm11.checks import trial_plan
from cwt_hwbridge.elm11.driver import Elm11Driver
from cwt_hwbridge.elm11.fourier import MAX_POINTS, SCALE_BITS, spectrum
from cwt_hwbridge.elm11.program import program
from cwt_hwbridge.errors import RefusedError, UnsupportedRequestError
from cwt_hwbridge.model import run_mc
from cwt_runtime.devices.plans import null_job
from cwt_schemas.hwops import HwMcRequest
from cwt_schemas.hwplan import McPlan
from tests.thorough import cases
from tests.unit.hwbridge.elm11.lines import TwinLine
from tests.unit.hwbridge.elm11.plans import mc_plans


def deadline(line: TwinLine) -> CancellableDeadline:
    return CancellableDeadline(600, clock=line.clock)


def opened(line: TwinLine) -> Elm11Driver:
    driver = Elm11Driver(clock=line.clock)
    driver.open(line, deadline(line))
    return driver


@pytest.fixture
def line() -> TwinLine:
    return TwinLine()


@pytest.fixture
def driver(line: TwinLine) -> Iterator[Elm11Driver]:
    driver = opened(line)
    yield driver
    driver.close()


# Hypothesis calls a test many times; one twin serves all its plans, as a board would.
LINE = TwinLine()
DRIVER = opened(LINE)


def noise(n: int, seed: int = 1) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    return np.random.default_rng(seed).integers(-(2**15), 2**15, n).astype(np.int16)


def test_twin_identifies_itself(line: TwinLine) -> None:
    info = Elm11Driver(clock=line.clock).open(line, deadline(line))
    assert info.simulated
    assert info.build_hash == program().build
    assert info.operations == {"selftest", "fft", "mc"}
    assert "semantics twin" in info.detail


def test_a_program_that_is_there_is_not_sent_again(line: TwinLine) -> None:
    opened(line).close()
    before = line.sent
    opened(line)
    assert line.sent - before < 500


def test_the_selftest_passes_whatever_the_seed(line: TwinLine, driver: Elm11Driver) -> None:
    for seed in (0, 7):
        checks = driver.selftest(seed, deadline(line)).checks
        assert {check.name: check.passed for check in checks} == dict.fromkeys(
            ("numbers", "fft", "mc"), True
        )


@pytest.mark.parametrize("n", [8, 32, 1024, MAX_POINTS])
def test_a_transform_is_the_models_bit_for_bit(line: TwinLine, driver: Elm11Driver, n: int) -> None:
    found = driver.fft(noise(n), deadline(line))
    assert found.exponent == n.bit_length() - 1 - SCALE_BITS
    np.testing.assert_array_equal(found.values[: n // 2 + 1], spectrum(noise(n)))
    mirrored = found.values[:0:-1] * np.array([1, -1])
    np.testing.assert_array_equal(found.values[1:], mirrored)


@pytest.mark.parametrize("n", [0, 4, 100, 2 * MAX_POINTS])
def test_a_length_that_cannot_be_transformed_is_refused_with_the_limits(
    line: TwinLine, driver: Elm11Driver, n: int
) -> None:
    with pytest.raises(UnsupportedRequestError, match=r"\b8\b.*\b8192\b") as refused:
        driver.fft(noise(n), deadline(line))
    assert refused.value.field == "samples"


@given(mc_plans())
@settings(deadline=None, max_examples=cases(40))
def test_a_simulation_is_the_models_bit_for_bit(plan: McPlan) -> None:
    found, wanted = DRIVER.mc(plan, deadline(LINE)), run_mc(plan)
    np.testing.assert_array_equal(found.histograms, wanted.histograms)
    assert found.saturations == wanted.saturations


def test_the_trial_plan_bins_and_limits_something() -> None:
    wanted = run_mc(trial_plan(0))
    assert np.count_nonzero(wanted.histograms) > 10
    assert wanted.saturations > 0


def test_a_plan_that_the_device_has_no_room_for_is_refused_before_it_is_sent(
    line: TwinLine, driver: Elm11Driver
) -> None:
    plan = trial_plan(1)
    before = line.sent
    with pytest.raises(UnsupportedRequestError, match="instants"):
        driver.mc(replace(plan, start=replace(plan.start, instants=2**31)), deadline(line))
    with pytest.raises(UnsupportedRequestError, match="rows"):
        driver.mc(replace(plan, start=replace(plan.start, rows=32)), deadline(line))
    assert line.sent == before


def test_lua_error_is_reported_and_device_stays_usable(line: TwinLine, driver: Elm11Driver) -> None:
    line.twin.type(b"function collectgarbage() error('full of sand') end\r")
    with pytest.raises(RefusedError, match="full of sand") as refused:
        driver.mc(trial_plan(1), deadline(line))
    assert refused.value.code == "LUA"
    line.twin.type(b"collectgarbage = nil\r")
    assert driver.probe(deadline(line)).simulated


def test_progress_is_reported_up_to_the_end(line: TwinLine, driver: Elm11Driver) -> None:
    told: list[tuple[int, int]] = []
    driver.mc(trial_plan(1), CancellableDeadline(600, lambda *seen: told.append(seen), line.clock))
    assert told[-1] == (32, 32)


def test_an_octave_of_twelve_voices_fits_into_the_heap_with_room_to_spare(
    line: TwinLine, driver: Elm11Driver
) -> None:
    request = HwMcRequest(al1=0.5, al2=0.2, dj=1 / 12, s0=8.0, rows=12, pairs=1, seed=5)
    plan = null_job(request).plan
    found = driver.mc(plan, deadline(line))
    np.testing.assert_array_equal(found.histograms, run_mc(plan).histograms)
    line.twin.type(b"collectgarbage()\r")
    in_use = re.search(r"(\d+) KiB in use", driver.probe(deadline(line)).detail)
    assert in_use
    assert int(in_use[1]) < 600
