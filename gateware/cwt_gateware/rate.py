"""The rate of the line: setting, confirmation and reversal."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from cwt_gateware.uart import DIVISOR_BITS

__all__ = ["Rate"]


class Rate(wiring.Component):
    """Hold the divisor. `idle` means that nothing is being sent; only then a rate is reverted.

    `change` sets `wanted`, which must be confirmed with `confirm` within `confirm_clocks`;
    otherwise the last confirmed divisor is restored. `restore` returns to the default immediately.
    """

    def __init__(self, first: int, confirm_clocks: int) -> None:
        self.first = first
        self.confirm_clocks = confirm_clocks
        super().__init__(
            {
                "wanted": In(DIVISOR_BITS),
                "change": In(1),
                "confirm": In(1),
                "restore": In(1),
                "idle": In(1),
                "divisor": Out(DIVISOR_BITS, init=first),
                "unconfirmed": Out(1),
            }
        )

    def elaborate(self, _platform: object) -> Any:
        """Return the Amaranth module."""
        m = Module()
        confirmed = Signal(DIVISOR_BITS, init=self.first)
        left = Signal(range(self.confirm_clocks + 1))

        with m.If(left != 0):
            m.d.sync += left.eq(left - 1)
        with m.If(self.restore):
            m.d.sync += [
                self.divisor.eq(self.first),
                confirmed.eq(self.first),
                self.unconfirmed.eq(0),
            ]
        with m.Elif(self.change):
            m.d.sync += [
                self.divisor.eq(self.wanted),
                self.unconfirmed.eq(1),
                left.eq(self.confirm_clocks),
            ]
        with m.Elif(self.confirm):
            m.d.sync += [confirmed.eq(self.divisor), self.unconfirmed.eq(0)]
        with m.Elif(self.unconfirmed & (left == 0) & self.idle):
            m.d.sync += [self.divisor.eq(confirmed), self.unconfirmed.eq(0)]
        return m
