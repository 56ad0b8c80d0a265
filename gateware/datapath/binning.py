"""The bin of R²: eight steps of long division."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gateware.datapath.products import Ratio

__all__ = ["Binning"]


class Binning(wiring.Component):
    """Makes min(255, floor(256 numerator / denominator)), one ratio after the other.

    Members
    -------
    ratios
        In, one for each row of an instant.
    bins
        Out, for the ratios that are valid, with the number of their row in `row`.
    settled
        For one clock per ratio, also for those that have no bin.
    rows
        How many ratios there are in an instant.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "rows": In(4),
                "ratios": In(stream.Signature(Ratio)),
                "bins": Out(stream.Signature(8)),
                "row": Out(4),
                "settled": Out(1),
            }
        )

    def elaborate(self, _platform: object) -> Module:
        """Build it."""
        m = Module()
        rest, divisor, steps = Signal(36), Signal(36), Signal(3)
        with m.If(self.settled):
            m.d.sync += self.row.eq(self.row + 1)
            with m.If(self.row + 1 == self.rows):
                m.d.sync += self.row.eq(0)
        ratio = self.ratios.payload
        with m.FSM():
            with m.State("TAKE"):
                m.d.comb += self.ratios.ready.eq(1)
                m.d.sync += [
                    rest.eq(ratio.numerator),
                    divisor.eq(ratio.denominator),
                    steps.eq(0),
                    self.bins.payload.eq(255),
                ]
                with m.If(self.ratios.valid):
                    with m.If(~ratio.valid):
                        m.d.comb += self.settled.eq(1)
                    with m.Elif(ratio.numerator >= ratio.denominator):
                        m.next = "GIVE"
                    with m.Else():
                        m.next = "DIVIDE"
            with m.State("DIVIDE"):
                # The rest is below the divisor, which has 34 bits, so doubling it fits.
                difference = Signal(37)
                m.d.comb += difference.eq((rest << 1) - divisor)
                m.d.sync += [
                    rest.eq(rest << 1),
                    self.bins.payload.eq(Cat(~difference[36], self.bins.payload)),
                    steps.eq(steps + 1),
                ]
                with m.If(~difference[36]):
                    m.d.sync += rest.eq(difference)
                with m.If(steps == 7):
                    m.next = "GIVE"
            with m.State("GIVE"):
                m.d.comb += self.bins.valid.eq(1)
                with m.If(self.bins.ready):
                    m.d.comb += self.settled.eq(1)
                    m.next = "TAKE"
        return m
