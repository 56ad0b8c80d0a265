"""Runs one block in Amaranth's simulator."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from amaranth.sim import Simulator

Bench = Callable[[Any], Awaitable[None]]


def simulate(block: Any, *benches: Bench) -> None:
    """Run until all benches have ended."""
    simulator = Simulator(block)
    simulator.add_clock(1e-6)
    for bench in benches:
        simulator.add_testbench(bench)
    simulator.run()


async def offer(ctx: Any, stream: Any, values: bytes | list[int]) -> None:
    """Put values into a stream, one as soon as the other was taken."""
    for value in values:
        ctx.set(stream.payload, value)
        ctx.set(stream.valid, 1)
        await ctx.tick().until(stream.ready)
    ctx.set(stream.valid, 0)


async def drained(ctx: Any, stream: Any, until: int) -> bytes:
    """Take bytes from a stream until `until` came."""
    ctx.set(stream.ready, 1)
    taken = bytearray()
    while not taken or taken[-1] != until:
        (byte,) = await ctx.tick().sample(stream.payload).until(stream.valid)
        taken.append(byte)
    ctx.set(stream.ready, 0)
    return bytes(taken)
