"""What becomes of an operation when the line or the device fails; every fault has one outcome."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress

import numpy as np
import pytest

from cwt_hwbridge.deadline import CancellableDeadline
from cwt_hwbridge.elm11.checks import trial_plan
from cwt_hwbridge.elm11.driver import Elm11Driver
from cwt_hwbridge.errors import (
    DeadlineExceededError,
    DeviceError,
    LineLostError,
    LinkDownError,
    NoAnswerError,
    OperationCancelledError,
    ResetError,
    WrongDeviceError,
)
from cwt_hwbridge.model import run_mc
from tests.unit.hwbridge.elm11.lines import TwinLine, VirtualLine

PLAN = trial_plan(3)


class Answering(VirtualLine):
    """Answers every byte with whatever `device` says."""

    def __init__(self, device: Callable[[bytes], bytes]) -> None:
        super().__init__()
        self._device = device

    def write(self, data: bytes) -> None:
        self.arrived += self._device(data)


def opened(line: TwinLine) -> Elm11Driver:
    driver = Elm11Driver(clock=line.clock)
    driver.open(line, deadline(line))
    return driver


def deadline(line: VirtualLine, timeout_s: float = 600.0) -> CancellableDeadline:
    return CancellableDeadline(timeout_s, clock=line.clock)


def computes(driver: Elm11Driver, line: TwinLine) -> bool:
    found = driver.mc(PLAN, deadline(line))
    return bool((found.histograms == run_mc(PLAN).histograms).all())


def every(count: int, fault: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """Apply `fault` to about one byte in `count`, always the same ones."""
    rng = random.Random(count)

    def change(data: bytes) -> bytes:
        pieces = (bytes([byte]) for byte in data)
        return b"".join(fault(one) if rng.randrange(count) == 0 else one for one in pieces)

    return change


FAULTS: dict[str, Callable[[bytes], bytes]] = {
    "lost": lambda _: b"",
    "doubled": lambda one: one + one,
    "changed": lambda one: bytes([one[0] ^ 0x11]),
    "followed by garbage": lambda one: one + b"\x00\xff\x1b[\n=",
}


def test_silent_device_times_out_within_seconds() -> None:
    line = VirtualLine()
    with pytest.raises(NoAnswerError):
        Elm11Driver(clock=line.clock).open(line, deadline(line))
    assert line.now < 5


@pytest.mark.parametrize(
    "device",
    [
        lambda _: b"\x80\x00garbage\xff",
        lambda data: data,
        lambda data: data.replace(b"\r", b"\r\nbash: syntax error near unexpected token\r\n$ "),
        lambda _: b"$ " * 10,
        lambda _: b"x" * 5000,
        lambda _: b"\r\n$$ ",
    ],
    ids=["garbage", "loopback", "shell", "prompts", "flood", "never finished"],
)
def test_port_without_lua_prompt_is_wrong_device(device: Callable[[bytes], bytes]) -> None:
    line = Answering(device)
    with pytest.raises(WrongDeviceError, match="Lua"):
        Elm11Driver(clock=line.clock).open(line, deadline(line))
    assert line.now < 10


@pytest.mark.parametrize(
    "typed",
    [
        b"some words that nobody finished",
        b"x = [[a long string\r",
        b"for i = 1, 2 do\rif i then\r",
        b"cmd\r",
        b"cmd\rlist|prog",
        b"error('x')\r",
        b"print('= 0000 00000000 x')\r",
    ],
)
def test_the_prompt_is_reached_from_wherever_the_device_was_left(typed: bytes) -> None:
    line = TwinLine()
    line.twin.type(typed)
    assert computes(opened(line), line)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("way", ["up", "down"])
def test_one_byte_in_a_thousand_changes_no_result(fault: str, way: str) -> None:
    line = TwinLine()
    driver = opened(line)
    setattr(line, way, every(1000, FAULTS[fault]))
    assert computes(driver, line)


@pytest.mark.parametrize("fault", FAULTS)
def test_one_byte_in_fifty_gives_the_result_or_an_error_and_the_next_one_works(fault: str) -> None:
    line = TwinLine()
    driver = opened(line)
    line.up = line.down = every(50, FAULTS[fault])
    with suppress(DeviceError):
        assert computes(driver, line)
    line.up = line.down = lambda data: data
    driver.open(line, deadline(line))
    assert computes(driver, line)


def test_reset_during_operation_is_reported_and_device_can_be_reopened() -> None:
    line = TwinLine()
    driver = opened(line)

    def reset(done: int, total: int) -> None:
        if 0 < done < total:
            line.twin.boot()

    with pytest.raises(ResetError, match="was reset"):
        driver.mc(PLAN, CancellableDeadline(600, reset, line.clock))
    driver.open(line, deadline(line))
    assert computes(driver, line)


def test_epoch_name_changed_in_transit_is_not_a_reset() -> None:
    line = TwinLine()
    driver = opened(line)
    once = iter([b"Z"])
    line.up = lambda byte: next(once, byte) if byte == b"Q" else byte
    assert driver.probe(deadline(line)).simulated


def test_reset_followed_by_upload_is_reported_as_reset() -> None:
    line = TwinLine()
    driver = opened(line)
    line.twin.boot()
    opened(line)
    with pytest.raises(ResetError, match="another client"):
        driver.probe(deadline(line))


def test_a_device_has_another_boot_number_after_a_reset_alone() -> None:
    line = TwinLine()
    driver = Elm11Driver(clock=line.clock)
    first = driver.open(line, deadline(line)).boot
    assert driver.open(line, deadline(line)).boot == first
    line.twin.boot()
    assert driver.open(line, deadline(line)).boot != first


def test_silent_device_is_down_within_timeout() -> None:
    line = TwinLine()
    driver = opened(line)
    line.down = lambda _: b""
    before = line.now
    with pytest.raises(LinkDownError):
        driver.probe(deadline(line))
    assert line.now - before < 10


def test_truncated_replies_are_retried_then_fail() -> None:
    line = TwinLine()
    driver = opened(line)
    line.down = lambda data: data[:-7] if data.startswith(b"=") else data
    with pytest.raises(LinkDownError):
        driver.probe(deadline(line))


def test_reply_to_another_request_is_ignored() -> None:
    line = TwinLine()
    driver = opened(line)
    line.down = lambda data: b"=ffff" + data[5:] if data.startswith(b"=") else data
    with pytest.raises(LinkDownError):
        driver.fft(np.zeros(8, np.int16), deadline(line))


def test_a_flood_does_not_hold_up_the_deadline() -> None:
    line = TwinLine()
    driver = opened(line)

    def flood(timeout_s: float) -> bytes:
        line.now += timeout_s
        return b"noise " * 10

    line.read = flood  # type: ignore[method-assign]
    with pytest.raises((LinkDownError, DeadlineExceededError)):
        driver.probe(deadline(line, 30))


def test_cancelled_operation_ends_and_next_one_runs() -> None:
    line = TwinLine()
    driver = opened(line)
    held = CancellableDeadline(600, lambda done, _: held.cancel() if done > 4 else None, line.clock)
    with pytest.raises(OperationCancelledError):
        driver.mc(PLAN, held)
    assert computes(driver, line)


def test_deadline_within_a_line_leaves_device_usable() -> None:
    line = TwinLine()
    driver = opened(line)
    with pytest.raises(DeadlineExceededError):
        driver.mc(PLAN, deadline(line, 0.4))
    assert computes(driver, line)


def test_an_unplugged_device_is_the_lines_error() -> None:
    line = TwinLine()
    driver = opened(line)

    def unplugged(data: bytes) -> None:
        raise LineLostError(f"the port is gone, with {len(data)} bytes")

    line.write = unplugged  # type: ignore[method-assign]
    with pytest.raises(LineLostError):
        driver.mc(PLAN, deadline(line))


@pytest.mark.parametrize("said", ["ok", "ok 1 2", "ok x y z u v", "ok -1,-1"])
def test_invalid_reply_of_program_is_device_error(said: str) -> None:
    line = TwinLine()
    driver = opened(line)
    line.write(f'function _R(n,s) s="{said}" print("="..n.." ".._K(n..s).." "..s) end\r'.encode())
    line.read(0.0)
    for ask in (driver.probe, lambda held: driver.fft(np.zeros(8, np.int16), held)):
        with pytest.raises(DeviceError) as found:
            ask(deadline(line))
        assert found.value.breaks_line
