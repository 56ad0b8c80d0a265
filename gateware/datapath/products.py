"""Products of the numbers that belong together: of a row's transforms, and of a row's sums.

From re1, im1, re2, im2: re1² + im1², re2² + im2², re1 re2 + im1 im2, im1 re2 - re1 im2, which go to
the rounder. From P1, P2, C, S: C² + S² and P1 P2, whose ratio is R².
"""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gateware.datapath.commands import Result, Sum, Target

__all__ = ["Products", "Ratio"]

#: R² before the division; `valid` says that both powers are positive.
Ratio = data.StructLayout({"numerator": 36, "denominator": 36, "valid": 1})

#: Steps of a burst: four products, or two terms of the ratio.
_LAST_PRODUCT, _NUMERATOR, _DENOMINATOR = 3, 4, 5


class Products(wiring.Component):
    """Gathers four results for `Target.ROW` or `Target.BOXCAR`, and multiplies.

    Members
    -------
    shift
        What products are rounded by.
    sum_valid, sum
        Products for the rounder, which has to take them.
    ratios
        What is to be divided, a `Ratio`.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "result_valid": In(1),
                "result": In(Result),
                "shift": In(5),
                "sum_valid": Out(1),
                "sum": Out(Sum),
                "ratios": Out(stream.Signature(Ratio)),
            }
        )

    def elaborate(self, _platform: object) -> Module:
        """Build it."""
        m = Module()
        four = Signal(data.ArrayLayout(signed(18), 4))
        step, busy = Signal(3), Signal()
        of_row = self.result.target == Target.ROW
        of_boxcar = self.result.target == Target.BOXCAR
        with m.If(busy):
            m.d.sync += [
                step.eq(step + 1),
                busy.eq((step != _LAST_PRODUCT) & (step != _DENOMINATOR)),
            ]
        with m.If(self.result_valid & (of_row | of_boxcar)):
            m.d.sync += four[self.result.index].eq(self.result.value)
            with m.If(self.result.last):
                m.d.sync += [busy.eq(1), step.eq(Mux(of_row, 0, _NUMERATOR))]

        operands = [Signal(signed(18), name=f"operand{i}") for i in range(4)]
        one, two, three, last = four
        factors = {
            0: (one, one, two, two),
            1: (three, three, last, last),
            2: (one, three, two, last),
            _LAST_PRODUCT: (two, three, one, last),
            _NUMERATOR: (three, three, last, last),
            _DENOMINATOR: (one, two, 0, 0),
        }
        with m.Switch(step):
            for number, of_step in factors.items():
                with m.Case(number):
                    m.d.sync += [to.eq(it) for to, it in zip(operands, of_step, strict=True)]
        first, second = Signal(signed(36)), Signal(signed(36))
        m.d.sync += [first.eq(operands[0] * operands[1]), second.eq(operands[2] * operands[3])]
        steps = [Signal(3, name=f"step{stage}") for stage in range(2)]
        busies = [Signal(name=f"busy{stage}") for stage in range(2)]
        m.d.sync += [
            steps[0].eq(step),
            steps[1].eq(steps[0]),
            busies[0].eq(busy),
            busies[1].eq(busies[0]),
        ]
        total = Signal(signed(37))
        m.d.comb += [
            total.eq(Mux(steps[1] == _LAST_PRODUCT, first - second, first + second)),
            self.sum_valid.eq(busies[1] & (steps[1] <= _LAST_PRODUCT)),
            self.sum.value.eq(total),
            self.sum.shift.eq(self.shift),
            self.sum.wide.eq(1),
            self.sum.index.eq(steps[1]),
            self.sum.last.eq(steps[1] == _LAST_PRODUCT),
            self.sum.target.eq(Target.PRODUCT),
        ]

        with m.If(self.ratios.ready):
            m.d.sync += self.ratios.valid.eq(0)
        with m.If(busies[1] & (steps[1] == _NUMERATOR)):
            m.d.sync += self.ratios.payload.numerator.eq(total)
        with m.If(busies[1] & (steps[1] == _DENOMINATOR)):
            m.d.sync += [
                self.ratios.payload.denominator.eq(total),
                self.ratios.payload.valid.eq((one > 0) & (two > 0)),
                self.ratios.valid.eq(1),
            ]
        return m
