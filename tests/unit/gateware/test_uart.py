"""The serial line, bit by bit."""

from __future__ import annotations

from typing import Any

import pytest

from cwt_gateware.uart import Receiver, Transmitter
from cwt_schemas.hwlink import MIN_DIVISOR
from tests.unit.gateware.bench import offer, simulate

SENT = bytes([0x00, 0xFF, 0x55, 0xA3, 0x80, 0x01])


def line_of(data: bytes, clocks: float, stop: int = 1) -> list[int]:
    """The level clock by clock, for bits of so many clocks, which need not be whole."""
    bits = [bit for byte in data for bit in (0, *((byte >> i) & 1 for i in range(8)), stop)]
    return [bits[int(clock / clocks)] for clock in range(int(len(bits) * clocks))]


def received(line: list[int], divisor: int) -> list[tuple[int, bool]]:
    """What the receiver makes of a line: bytes, and whether they are damaged."""
    receiver = Receiver()
    found = []

    async def bench(ctx: Any) -> None:
        ctx.set(receiver.divisor, divisor)
        for level in [1] * 4 + line + [1] * 3 * divisor:
            ctx.set(receiver.rx, level)
            *_, valid, byte, error = await ctx.tick().sample(
                receiver.valid, receiver.data, receiver.error
            )
            if valid:
                found.append((byte, bool(error)))

    simulate(receiver, bench)
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("divisor", "sent"), [(MIN_DIVISOR, SENT), (9, SENT), (27, SENT), (234, SENT[:3])]
)
@pytest.mark.parametrize("drift", [0.97, 1.0, 1.03])
def test_bytes_arrive_though_the_clocks_differ_by_three_per_cent(
    divisor: int, sent: bytes, drift: float
) -> None:
    assert received(line_of(sent, divisor * drift), divisor) == [(byte, False) for byte in sent]


def test_a_byte_without_its_stop_bit_is_damaged_and_the_next_one_is_not() -> None:
    line = line_of(b"\x41", 9, stop=0) + [1] * 9 + line_of(b"\x42", 9)
    assert received(line, 9) == [(0x41, True), (0x42, False)]


def test_a_line_held_low_is_one_damaged_zero() -> None:
    assert received([0] * 9 * 40, 9) == [(0, True)]


def test_short_dip_is_not_a_start_bit() -> None:
    assert received([0, 0] + [1] * 200, 27) == []


@pytest.mark.parametrize("divisor", [MIN_DIVISOR, 9, 27])
def test_the_transmitter_sends_without_gaps_and_is_idle_after_the_last_stop_bit(
    divisor: int,
) -> None:
    transmitter = Transmitter()
    levels: list[int] = []

    async def feed(ctx: Any) -> None:
        await offer(ctx, transmitter.bytes, SENT)

    async def watch(ctx: Any) -> None:
        ctx.set(transmitter.divisor, divisor)
        await ctx.tick().until(~transmitter.idle)
        while True:
            *_, level, idle = await ctx.tick().sample(transmitter.tx, transmitter.idle)
            if idle:
                return
            levels.append(level)

    simulate(transmitter, feed, watch)
    expected = line_of(SENT, divisor)
    assert levels == expected[len(expected) - len(levels) :]
    assert len(expected) - len(levels) <= 1
