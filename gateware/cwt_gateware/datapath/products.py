"""Products of the transforms of a row, and of the sums of a row.

re1, im1, re2, im2 give re1² + im1², re2² + im2², re1 re2 + im1 im2, im1 re2 - re1 im2, which go to
the rounder. P1, P2, C, S give C² + S² and P1 P2, whose ratio is R².
"""

from __future__ import annotations

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from cwt_gateware.datapath.commands import Result, Sum, Target
from cwt_gateware.datapath.memories import ProductQuad

__all__ = ["Products"]

#: Steps of a burst: four products, or two terms of the ratio.
_LAST_PRODUCT, _NUMERATOR, _DENOMINATOR = 3, 4, 5


class Products(wiring.Component):
    """Collect the results of a filter, and multiply those for `Target.ROW` and `Target.BOXCAR`.

    One collector suffices: no sums are drained while products are computed, which is immediate.

    Members
    -------
    shift
        Shift by which products are rounded.
    quad
        The four results of a filter, in the clock of the last one.
    busy
        The rounder is reserved, from the last result of a row until its products were sent.
    sum_valid, sum
        Products for the rounder.
    divider_ready
        The divider can accept a ratio.
    numerator_valid, ratio_valid
        `term` is the numerator; a clock later it is the denominator, and stays.
    positive
        Both powers of the ratio are positive.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "result_valid": In(1),
                "result": In(Result),
                "shift": In(5),
                "quad": Out(ProductQuad),
                "busy": Out(1),
                "sum_valid": Out(1),
                "sum": Out(Sum),
                "divider_ready": In(1),
                "numerator_valid": Out(1),
                "ratio_valid": Out(1),
                "term": Out(36),
                "positive": Out(1),
            }
        )

    def elaborate(self, _platform: object) -> Module:
        """Return the Amaranth module."""
        m = Module()
        four = Signal(data.ArrayLayout(signed(18), 4))
        step, multiplying, waiting = Signal(3), Signal(), Signal()
        last = self.result_valid & self.result.last
        with m.If(multiplying):
            m.d.sync += step.eq(step + 1)
            with m.If((step == _LAST_PRODUCT) | (step == _DENOMINATOR)):
                m.d.sync += multiplying.eq(0)
        with m.If(waiting & self.divider_ready):
            m.d.sync += [waiting.eq(0), multiplying.eq(1), step.eq(_NUMERATOR)]
        with m.If(self.result_valid):
            m.d.sync += four[self.result.index].eq(self.result.value)
        with m.If(last & (self.result.target == Target.ROW)):
            m.d.sync += [multiplying.eq(1), step.eq(0)]
        with m.If(last & (self.result.target == Target.BOXCAR)):
            m.d.sync += waiting.eq(1)
        m.d.comb += [self.quad[i].eq(four[i]) for i in range(3)]
        m.d.comb += self.quad[3].eq(self.result.value)

        one, two, three, fourth = four
        factors = {
            0: (one, one, two, two),
            1: (three, three, fourth, fourth),
            2: (one, three, two, fourth),
            _LAST_PRODUCT: (two, three, -one, fourth),
            _NUMERATOR: (three, three, fourth, fourth),
            _DENOMINATOR: (one, two, 0, fourth),
        }
        operands = [Signal(signed(18), name=f"operand{i}") for i in range(4)]
        with m.Switch(step):
            for number, of_step in factors.items():
                with m.Case(number):
                    m.d.comb += [to.eq(it) for to, it in zip(operands, of_step, strict=True)]
        total, made, made_step = Signal(signed(37)), Signal(), Signal(3)
        m.d.sync += [made.eq(multiplying), made_step.eq(step)]
        with m.If(multiplying):
            m.d.sync += total.eq(operands[0] * operands[1] + operands[2] * operands[3])
        of_row = made & (made_step <= _LAST_PRODUCT)
        m.d.comb += [
            self.busy.eq(multiplying | made),
            self.sum_valid.eq(of_row),
            self.sum.value.eq(total),
            self.sum.shift.eq(self.shift),
            self.sum.wide.eq(1),
            self.sum.index.eq(made_step),
            self.sum.last.eq(made_step == _LAST_PRODUCT),
            self.sum.target.eq(Target.PRODUCT),
            self.term.eq(total),
            self.numerator_valid.eq(made & (made_step == _NUMERATOR)),
            self.ratio_valid.eq(made & (made_step == _DENOMINATOR)),
            self.positive.eq((one > 0) & (two > 0)),
        ]
        return m
