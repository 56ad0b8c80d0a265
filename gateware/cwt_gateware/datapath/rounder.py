"""The rounder: floor((a + 2^(s-1)) / 2^s), then saturated to 16 or 18 bits, in three clocks."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from cwt_gateware.datapath.commands import Result, Sum

__all__ = ["Rounder"]


class Rounder(wiring.Component):
    """Round the `Sum` of every clock with `valid` high; `result` follows three clocks later."""

    def __init__(self) -> None:
        super().__init__(
            {"valid": In(1), "sum": In(Sum), "result_valid": Out(1), "result": Out(Result)}
        )

    def elaborate(self, _platform: object) -> Module:
        """Return the Amaranth module."""
        m = Module()
        taken, shifted = Signal(Sum), Signal(Sum)
        taken_valid, shifted_valid = Signal(), Signal()
        # Shifting twice the value keeps the rounding bit at the end, also for a shift of 0.
        doubled, halved = Signal(signed(41)), Signal(signed(41))
        m.d.comb += doubled.eq(taken.value << 1)
        m.d.sync += [
            taken_valid.eq(self.valid),
            taken.eq(self.sum),
            shifted_valid.eq(taken_valid),
            shifted.eq(taken),
            halved.eq(doubled >> taken.shift),
        ]
        rounded = Signal(signed(41))
        m.d.comb += rounded.eq((halved + 1) >> 1)
        fits, low = Signal(), Signal(signed(18))
        in_16 = (rounded[15:] == 0) | rounded[15:].all()
        in_18 = (rounded[17:] == 0) | rounded[17:].all()
        m.d.comb += fits.eq(Mux(shifted.wide, in_18, in_16))
        m.d.comb += low.eq(Mux(shifted.wide, -(1 << 17), -(1 << 15)))
        m.d.sync += [
            self.result_valid.eq(shifted_valid),
            self.result.limited.eq(~fits),
            self.result.index.eq(shifted.index),
            self.result.last.eq(shifted.last),
            self.result.target.eq(shifted.target),
            self.result.value.eq(Mux(fits, rounded, Mux(rounded < 0, low, ~low))),
        ]
        return m
