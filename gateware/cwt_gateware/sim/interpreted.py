"""The design in Amaranth's simulator: slow, but available wherever Amaranth is installed."""

from __future__ import annotations

from collections import deque
from typing import Any

from amaranth.sim import Simulator

from cwt_gateware.sim.engine import Progress

__all__ = ["Interpreted"]

#: Clocks between two checks of whether the device is idle.
STRIDE = 64

CLOCK_S = 1e-6


class Interpreted:
    """Implement `Engine`, only at byte level.

    Parameters
    ----------
    device : cwt_gateware.device.Device
        The design.
    entropy : int
        See `Device`.
    """

    def __init__(self, device: Any, entropy: int) -> None:
        self._device = device
        self._simulator = Simulator(device)
        self._simulator.add_clock(CLOCK_S)
        self._simulator.add_testbench(self._world, background=True)
        self._switch_on(entropy)

    def power_cycle(self, entropy: int) -> None:
        """Power-cycle the device, which is faster than creating another one."""
        self._simulator.reset()
        self._switch_on(entropy)

    def _switch_on(self, entropy: int) -> None:
        self._entropy = entropy
        self._offered: deque[int] = deque()
        self._sent = bytearray()
        self._working = False
        self._clocks = 0
        # Run to the first edge, so that the coroutine starts before the next power cycle ends it.
        self._simulator.advance()

    async def _world(self, ctx: Any) -> None:
        device = self._device
        ctx.set(device.entropy, self._entropy)
        ctx.set(device.sent.ready, 1)
        while True:
            offering = bool(self._offered)
            ctx.set(device.received.valid, offering)
            if offering:
                ctx.set(device.received.payload, self._offered[0])
            _, _, taken, sends, byte, self._working = await ctx.tick().sample(
                device.received.ready, device.sent.valid, device.sent.payload, device.working
            )
            if offering and taken:
                self._offered.popleft()
            if sends:
                self._sent.append(byte)

    def run(self, received: bytes, clocks: int) -> Progress:
        """See `Engine`."""
        self._offered.extend(received)
        begin = self._clocks
        for _ in range(0, clocks, STRIDE):
            self._clocks += STRIDE
            self._simulator.run_until(self._clocks * CLOCK_S)
            if not self._offered and not self._working:
                break
        taken = len(received) - len(self._offered)
        self._offered.clear()
        sent = bytes(self._sent)
        self._sent.clear()
        return Progress(taken, sent, bool(self._working), self._clocks - begin)

    def set_host_divisor(self, divisor: int) -> None:
        """Do nothing: this engine has no bits."""

    def close(self) -> None:
        """Do nothing: there is no memory to release."""
