"""The bin of R²: nine steps of long division."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Binning"]


class Binning(wiring.Component):
    """Compute min(255, floor(256 numerator / denominator)), one ratio at a time.

    Members
    -------
    ready
        The next ratio can be accepted.
    numerator_valid, ratio_valid, term, positive
        From `products.Products`; the denominator must be stable in `term` during the division.
    bins
        Bins of the positive ratios, with the number of their row in `row`.
    settled
        High for one clock per ratio, including ratios without a bin.
    rows
        Number of ratios per instant.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "rows": In(4),
                "ready": Out(1),
                "numerator_valid": In(1),
                "ratio_valid": In(1),
                "term": In(36),
                "positive": In(1),
                "bins": Out(stream.Signature(8)),
                "row": Out(4),
                "settled": Out(1),
            }
        )

    def elaborate(self, _platform: object) -> Module:
        """Return the Amaranth module."""
        m = Module()
        rest, difference, steps, quotient = Signal(36), Signal(37), Signal(4), Signal(9)
        fits = ~difference[36]
        m.d.comb += [
            difference.eq(rest - self.term),
            # The first step shows whether R² is 1 or more.
            self.bins.payload.eq(Mux(quotient[8], 255, quotient[:8])),
        ]
        with m.If(self.settled):
            m.d.sync += self.row.eq(self.row + 1)
            with m.If(self.row + 1 == self.rows):
                m.d.sync += self.row.eq(0)
        with m.If(self.numerator_valid):
            m.d.sync += rest.eq(self.term)
        with m.FSM():
            with m.State("TAKE"):
                m.d.comb += self.ready.eq(1)
                m.d.sync += steps.eq(0)
                with m.If(self.ratio_valid):
                    with m.If(self.positive):
                        m.next = "DIVIDE"
                    with m.Else():
                        m.d.comb += self.settled.eq(1)
            with m.State("DIVIDE"):
                # A remainder smaller than the 34-bit denominator can be doubled.
                m.d.sync += [
                    rest.eq(Mux(fits, difference, rest) << 1),
                    quotient.eq(Cat(fits, quotient)),
                    steps.eq(steps + 1),
                ]
                with m.If(steps == 8):
                    m.next = "GIVE"
            with m.State("GIVE"):
                m.d.comb += self.bins.valid.eq(1)
                with m.If(self.bins.ready):
                    m.d.comb += self.settled.eq(1)
                    m.next = "TAKE"
        return m
