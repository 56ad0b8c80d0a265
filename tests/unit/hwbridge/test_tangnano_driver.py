"""The driver, over a real serial port of a pseudo-terminal, against a device from the page."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cwt_hwbridge.deadline import CancellableDeadline
from cwt_hwbridge.errors import (
    DeadlineExceededError,
    LineLostError,
    LinkDownError,
    NoAnswerError,
    OperationCancelledError,
    ResetError,
    WrongDeviceError,
)
from cwt_hwbridge.model import run_bank, run_mc
from cwt_hwbridge.serial_link import SerialLine, open_serial_line
from cwt_hwbridge.tangnano9k import TangNanoDriver
from cwt_hwbridge.tangnano9k.driver import MARGIN_S
from cwt_hwbridge.tangnano9k.selftest_plan import selftest_plan
from cwt_schemas.hwlink import Feature, MessageType, State
from cwt_schemas.hwlink_layouts import FilterEntry, McStart
from cwt_schemas.hwplan import FilterTable, McPlan
from tests.deadlines import SCALE
from tests.hwpeer.peer import DevicePeer, Identity
from tests.hwpeer.pty_device import PtyDevice
from tests.hwpeer.trouble import Trouble
from tests.hwpeer.work import Work

SAMPLES = np.random.default_rng(1).integers(-20_000, 20_000, 700).astype(np.int16)


@pytest.fixture
def device(tmp_path: Path) -> Iterator[PtyDevice]:
    # Not as a simulation, which is given seconds for what a device does in milliseconds.
    own = Identity(features=Feature.FIR | Feature.SELFTEST | Feature.MC | Feature.BAUD)
    with PtyDevice(tmp_path / "fpga", DevicePeer(own)) as device:
        yield device


@pytest.fixture
def line(device: PtyDevice) -> Iterator[SerialLine]:
    line = open_serial_line(str(device.path))
    yield line
    line.close()


@pytest.fixture
def driver(line: SerialLine) -> Iterator[TangNanoDriver]:
    driver = TangNanoDriver(margin_s=MARGIN_S * SCALE)
    driver.open(line, CancellableDeadline(5 * SCALE))
    yield driver
    driver.close()


def mc_plan(instants: int = 500) -> McPlan:
    random = np.random.default_rng(3)
    taps = random.integers(-8000, 8000, (5 * 20 + 5 * 8 + 3, 2)).astype(np.int16)
    taps[100:] = np.abs(taps[100:])
    rows = [(row, FilterEntry(start=20 * row, length=20, shift=15)) for row in range(5)]
    smooth = [(64 + row, FilterEntry(start=100 + 8 * row, length=8, shift=15)) for row in range(5)]
    boxcar = (40, FilterEntry(start=140, length=3, shift=14))
    start = McStart(
        seed=bytes(range(16)), warmup=20, instants=instants, a1=16000, a2=-8000, noise_shift=4,
        decimations=0, step=1, rows=5, first=1, count=3, product_shift=12, decimator=0, boxcar=40,
    )  # fmt: skip
    table = FilterTable(coefficients=taps, filters=(*rows, *smooth, boxcar))
    return McPlan(table=table, start=start)


def test_it_says_what_it_opened(driver: TangNanoDriver, line: SerialLine) -> None:
    info = driver.probe(CancellableDeadline(5 * SCALE))
    assert not info.simulated
    assert info.operations == {"cwt", "mc", "selftest"}
    assert (info.build_hash, info.boot, line.baud) == ("0001020304050607", 0x1234, 3_000_000)


def test_a_selftest_agrees_with_the_model(driver: TangNanoDriver) -> None:
    checks = driver.selftest(7, CancellableDeadline(5 * SCALE)).checks
    assert [check.passed for check in checks] == [True] * 3


class WornWork(Work):
    """A device of which one bit of memory is stuck."""

    def load_coefficients(self, first: int, values: NDArray[np.int16]) -> None:
        super().load_coefficients(first, values | 1)


def test_a_selftest_finds_a_stuck_bit(driver: TangNanoDriver, device: PtyDevice) -> None:
    device.peer.work = WornWork()
    checks = driver.selftest(7, CancellableDeadline(5 * SCALE)).checks
    assert [check.passed for check in checks][:2] == [False, True]
    assert "model" in checks[0].detail


@pytest.mark.parametrize("count", [1, 117, 700])
def test_a_bank_gives_what_the_model_gives(driver: TangNanoDriver, count: int) -> None:
    plan = selftest_plan()
    found = driver.cwt(plan, SAMPLES[:count], CancellableDeadline(5 * SCALE))
    expected = run_bank(plan, SAMPLES[:count])
    assert np.array_equal(found.outputs, expected.outputs)
    assert found.saturations == expected.saturations


def test_monte_carlo_gives_what_the_model_gives(driver: TangNanoDriver) -> None:
    plan = mc_plan()
    found, expected = driver.mc(plan, CancellableDeadline(10 * SCALE)), run_mc(plan)
    assert np.array_equal(found.histograms, expected.histograms)
    assert found.histograms.sum() > 0


class ExpiringDeadline(CancellableDeadline):
    """Expires when it is looked at for the n-th time, so anywhere in an operation."""

    def __init__(self, checks: int) -> None:
        super().__init__(60 * SCALE)
        self._checks = checks

    def check(self) -> None:
        self._checks -= 1
        if self._checks <= 0:
            raise DeadlineExceededError("expired")
        super().check()


@pytest.mark.parametrize("checks", [1, 2, 3, 5, 8])
def test_an_operation_that_ends_anywhere_leaves_nothing_to_the_next(
    driver: TangNanoDriver, device: PtyDevice, checks: int
) -> None:
    """Answers to what it had sent were taken for those of the next operation."""
    device.peer.work.held = True
    with pytest.raises(DeadlineExceededError):
        driver.mc(mc_plan(), ExpiringDeadline(checks))
    device.peer.work.held = False
    assert driver.probe(CancellableDeadline(5 * SCALE)).boot == 0x1234
    found = driver.mc(mc_plan(), CancellableDeadline(10 * SCALE))
    assert np.array_equal(found.histograms, run_mc(mc_plan()).histograms)


class SilencedDeadline(CancellableDeadline):
    """Silences the device once its job runs, and expires while the next request is under way."""

    def __init__(self, device: PtyDevice) -> None:
        super().__init__(60 * SCALE)
        self._device = device
        self._heard = 0

    def report(self, done: int, total: int) -> None:
        del done, total
        self._device.mood, self._heard = "silent", self._device.fed

    def check(self) -> None:
        if self._device.mood == "silent" and self._device.fed > self._heard:
            raise DeadlineExceededError("expired")
        super().check()


def test_a_job_that_could_not_be_stopped_on_a_silent_line_is_stopped_by_the_next(
    device: PtyDevice, line: SerialLine
) -> None:
    """The device refused the next operation with BUSY, since nothing sent ABORT any more."""
    driver = TangNanoDriver(margin_s=MARGIN_S * SCALE, close_s=0.02)
    driver.open(line, CancellableDeadline(5 * SCALE))
    device.peer.work.held = True
    with pytest.raises(DeadlineExceededError):
        driver.mc(mc_plan(), SilencedDeadline(device))
    assert device.peer.work.state is State.MC
    device.mood = "normal"
    found = driver.cwt(selftest_plan(), SAMPLES, CancellableDeadline(10 * SCALE))
    assert np.array_equal(found.outputs, run_bank(selftest_plan(), SAMPLES).outputs)
    driver.close()


@pytest.mark.slow
def test_a_line_that_is_bad_at_high_rates_is_used_at_a_lower_one(
    device: PtyDevice, line: SerialLine
) -> None:
    fast = Trouble(0.01)
    slow = device.trouble

    class RateDependent(Trouble):
        def through(self, data: bytes) -> bytes:
            return (fast if device.peer.divisor == 9 else slow).through(data)

    device.trouble = RateDependent(0.0)
    driver = TangNanoDriver()
    assert driver.open(line, CancellableDeadline(20 * SCALE)).baud == 1_000_000
    driver.close()


@pytest.mark.slow
@pytest.mark.parametrize("rate", [0.0003, 0.003, 0.01])
def test_corrupted_or_lost_bytes_change_no_result(
    driver: TangNanoDriver, device: PtyDevice, rate: float
) -> None:
    device.trouble = Trouble(rate)
    plan = selftest_plan()
    expected = run_bank(plan, SAMPLES)
    started = time.monotonic()
    try:
        found = driver.cwt(plan, SAMPLES, CancellableDeadline(30 * SCALE))
        assert np.array_equal(found.outputs, expected.outputs)
    except LinkDownError:  # so bad that nothing can be said over it, which is said
        assert rate >= 0.003
    assert time.monotonic() - started < 30 * SCALE
    device.trouble = Trouble(0.0)


def test_device_unplugged_during_operation_is_lost_immediately(
    driver: TangNanoDriver, device: PtyDevice
) -> None:
    device.unplug_after = 3000
    started = time.monotonic()
    with pytest.raises(LineLostError, match="unplugged"):
        driver.cwt(selftest_plan(), SAMPLES, CancellableDeadline(30 * SCALE))
    assert time.monotonic() - started < 5 * SCALE


@pytest.mark.slow
def test_reset_during_job_is_reported_and_device_is_usable(
    driver: TangNanoDriver, device: PtyDevice, line: SerialLine
) -> None:
    device.reset_after = 3000
    with pytest.raises((ResetError, LinkDownError)):
        driver.cwt(selftest_plan(), SAMPLES, CancellableDeadline(30 * SCALE))
    driver.open(line, CancellableDeadline(10 * SCALE))
    found = driver.cwt(selftest_plan(), SAMPLES, CancellableDeadline(10 * SCALE))
    assert np.array_equal(found.outputs, run_bank(selftest_plan(), SAMPLES).outputs)


@pytest.mark.slow
@pytest.mark.parametrize("mood", ["silent", "garbage", "flood"])
def test_device_with_invalid_replies_is_down_and_does_not_block(
    driver: TangNanoDriver, device: PtyDevice, mood: str
) -> None:
    device.mood = mood  # type: ignore[assignment]  # of the parameters above
    started = time.monotonic()
    with pytest.raises(LinkDownError):
        driver.cwt(selftest_plan(), SAMPLES, CancellableDeadline(60 * SCALE))
    assert time.monotonic() - started < 20 * SCALE


@pytest.mark.parametrize(
    ("mood", "fault"), [("silent", NoAnswerError), ("garbage", WrongDeviceError)]
)
def test_port_without_hello_reply_is_not_a_device(
    device: PtyDevice, line: SerialLine, mood: str, fault: type[Exception]
) -> None:
    device.mood = mood  # type: ignore[assignment]  # of the parameters above
    with pytest.raises(fault):
        TangNanoDriver(greeting_s=0.6).open(line, CancellableDeadline(10 * SCALE))


def test_another_version_of_the_protocol_is_refused(device: PtyDevice, line: SerialLine) -> None:
    device.peer = DevicePeer(Identity(version=2))
    with pytest.raises(WrongDeviceError, match="version 2"):
        TangNanoDriver().open(line, CancellableDeadline(10 * SCALE))


def test_job_can_be_cancelled_and_next_one_runs(driver: TangNanoDriver, device: PtyDevice) -> None:
    device.peer.work.held = True
    deadline = CancellableDeadline(30 * SCALE)
    threading.Timer(0.2, deadline.cancel).start()
    with pytest.raises(OperationCancelledError):
        driver.mc(mc_plan(), deadline)
    device.peer.work.held = False
    assert driver.mc(mc_plan(50), CancellableDeadline(10 * SCALE)).histograms.shape == (3, 256)


def test_a_job_ends_at_its_deadline(driver: TangNanoDriver, device: PtyDevice) -> None:
    device.peer.work.held = True
    with pytest.raises(DeadlineExceededError, match=r"0\.3 s"):
        driver.mc(mc_plan(), CancellableDeadline(0.3))
    assert MessageType.ABORT in device.peer.executed


def test_gateware_without_monte_carlo_does_not_offer_it(
    device: PtyDevice, line: SerialLine
) -> None:
    device.peer = DevicePeer(Identity(features=Feature.FIR | Feature.SIMULATED))
    info = TangNanoDriver().open(line, CancellableDeadline(10 * SCALE))
    assert info.operations == {"cwt"}
    assert (info.simulated, info.baud) == (True, 115_200)
