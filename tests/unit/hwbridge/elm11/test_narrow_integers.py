"""The same program in a Lua with integers of 32 bits, which is what the board has."""

from __future__ import annotations

import os
import select
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from cwt_hwbridge.deadline import CancellableDeadline
from cwt_hwbridge.elm11.checks import trial_plan
from cwt_hwbridge.elm11.driver import Elm11Driver
from cwt_hwbridge.elm11.fourier import MAX_POINTS, spectrum
from cwt_hwbridge.model import run_mc
from cwt_schemas.hwplan import McPlan
from tests.deadlines import SCALE
from tests.unit.hwbridge.elm11.lines import VirtualLine
from tests.unit.hwbridge.elm11.plans import mc_plans

ROOT = Path(__file__).parents[4]
LUA = ROOT / "var/bin/lua32"
COMMAND = [LUA, Path(__file__).with_name("prompt.lua"), ROOT / "cli/cwt_cli/twin/prelude.lua"]

pytestmark = pytest.mark.skipif(
    not LUA.exists(), reason="var/bin/lua32 is not there; `make lua` builds it and needs cc"
)


class PipeLine(VirtualLine):
    """A line to a process that has a prompt on its standard input and output."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        super().__init__()
        assert process.stdin is not None
        assert process.stdout is not None
        self._out, self._in = process.stdin, process.stdout.fileno()

    def read(self, timeout_s: float) -> bytes:
        ready = select.select([self._in], [], [], timeout_s)[0]
        return os.read(self._in, 65536) if ready else b""

    def write(self, data: bytes) -> None:
        self._out.write(data.replace(b"\r", b"\n"))


@pytest.fixture(scope="module")
def driver() -> Iterator[Elm11Driver]:
    with subprocess.Popen(
        COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    ) as process:
        driver = Elm11Driver(pace_s=0.0)
        info = driver.open(PipeLine(process), CancellableDeadline(60 * SCALE))
        assert info.limits["integer_bits"] == 32
        yield driver
        process.kill()


def test_the_selftest_passes(driver: Elm11Driver) -> None:
    assert [
        check
        for check in driver.selftest(1, CancellableDeadline(60 * SCALE)).checks
        if not check.passed
    ] == []


def test_the_longest_transform_is_the_models(driver: Elm11Driver) -> None:
    samples = np.random.default_rng(2).integers(-(2**15), 2**15, MAX_POINTS).astype(np.int16)
    found = driver.fft(samples, CancellableDeadline(60 * SCALE)).values[: MAX_POINTS // 2 + 1]
    np.testing.assert_array_equal(found, spectrum(samples))


@pytest.mark.slow
@given(plan=mc_plans())
@settings(deadline=None, max_examples=20)
def test_a_simulation_is_the_models_bit_for_bit(driver: Elm11Driver, plan: McPlan) -> None:
    found, wanted = driver.mc(plan, CancellableDeadline(60 * SCALE)), run_mc(plan)
    np.testing.assert_array_equal(found.histograms, wanted.histograms)
    assert found.saturations == wanted.saturations


def test_products_of_limited_sums_do_not_leave_32_bits(driver: Elm11Driver) -> None:
    # A limit is an integer: two of them multiplied, 131071 * 131071, once wrapped around.
    trial = trial_plan(4)
    steeper = tuple(
        (place, replace(entry, shift=12) if place == trial.start.boxcar else entry)
        for place, entry in trial.table.filters
    )
    start = replace(trial.start, product_shift=6)
    plan = McPlan(table=replace(trial.table, filters=steeper), start=start)
    found, wanted = driver.mc(plan, CancellableDeadline(60 * SCALE)), run_mc(plan)
    assert wanted.saturations > 100
    np.testing.assert_array_equal(found.histograms, wanted.histograms)
