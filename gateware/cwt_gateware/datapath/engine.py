"""The engine: sums of taps times history, two taps per clock, filters back to back.

::

    issue | memory | operands | two products added | sums -> drain, one sum per clock

A filter occupies the issue stage for one clock per pair of coefficients, at least `MIN_BEATS`
clocks, and one additional clock. Within this time, the sums of the previous filter are drained even
if the rounder is busy with products; in the additional clock the sums are handed over, so that no
register is duplicated.

There are registers before every multiplier and after the sum of two products. The timing model does
not include the delay of multipliers, for which a few nanoseconds more than the adder needs remain
of 37 ns.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from cwt_gateware.datapath.commands import Command, Source, Sum
from cwt_gateware.datapath.memories import ProductQuad, SamplePair
from cwt_gateware.datapath.ports import Complex

__all__ = ["MIN_BEATS", "Engine"]

#: Minimum clocks of a filter.
MIN_BEATS = 8

#: Fields of a command that the rounder needs.
_Tail = data.StructLayout({"shift": 5, "source": Source, "target": Command["target"].shape})

_Sums = data.ArrayLayout(signed(40), 4)


class Engine(wiring.Component):
    """Compute filters.

    Members
    -------
    command
        The next `Command`; accepted after the previous one has issued its last beat.
    sums
        Sums in the order of the commands: two for the bank, four for the others.
    coefficient_address, coefficients, sample_words, samples, product_words, products
        Ports of the memories, which answer one clock later.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "command": In(stream.Signature(Command)),
                "sums": Out(stream.Signature(Sum)),
                "coefficient_address": Out(10),
                "coefficients": In(data.ArrayLayout(Complex, 2)),
                "sample_words": Out(data.ArrayLayout(10, 2)),
                "samples": In(data.ArrayLayout(SamplePair, 2)),
                "product_words": Out(data.ArrayLayout(9, 2)),
                "products": In(data.ArrayLayout(ProductQuad, 2)),
            }
        )

    def elaborate(self, _platform: object) -> Module:
        """Return the Amaranth module."""
        m = Module()
        m.submodules.issue = issue = _Issue()
        m.submodules.drain = drain = _Drain()
        wiring.connect(m, wiring.flipped(self.command), issue.command)
        wiring.connect(m, drain.sums, wiring.flipped(self.sums))
        m.d.comb += [
            self.coefficient_address.eq(issue.coefficient_address),
            self.sample_words.eq(issue.sample_words),
            self.product_words.eq(issue.product_words),
        ]

        # The memories answer.
        valid, swap, upper, of_products = Signal(2), Signal(), Signal(2), Signal()
        m.d.sync += [
            valid.eq(issue.valid),
            swap.eq(issue.swap),
            upper.eq(issue.upper),
            of_products.eq(issue.tail.source == Source.PRODUCTS),
        ]

        # Operands: even places (0) and odd ones (1), each with its coefficient.
        operands = [Signal(data.ArrayLayout(signed(18), 4), name=f"operands{x}") for x in range(2)]
        taps = [Signal(data.ArrayLayout(signed(16), 2), name=f"taps{place}") for place in range(2)]
        for place in range(2):
            one, two = self.samples[place][0], self.samples[place][1]
            first = Mux(upper[place], two, one)
            for i, sample in enumerate((first, first, two, two)):
                quad = self.products[place]
                m.d.sync += operands[place][i].eq(Mux(of_products, quad[i], sample))
            here, there = self.coefficients[place], self.coefficients[1 - place]
            re, im = Mux(swap, there.re, here.re), Mux(swap, there.im, here.im)
            m.d.sync += [
                taps[place][0].eq(Mux(valid[place], re, 0)),
                taps[place][1].eq(Mux(valid[place], Mux(of_products, re, im), 0)),
            ]

        # Sums.
        lasts = Signal(4)
        m.d.sync += lasts.eq(Cat(issue.last, lasts))
        for i in range(4):
            pair, total = Signal(signed(35), name=f"pair{i}"), Signal(signed(40), name=f"total{i}")
            products = [operands[place][i] * taps[place][i % 2] for place in range(2)]
            m.d.sync += [pair.eq(products[0] + products[1]), total.eq(total + pair)]
            m.d.comb += drain.totals[i].eq(total)
            with m.If(lasts[3]):
                m.d.sync += total.eq(0)
        m.d.comb += [drain.load.eq(lasts[3]), drain.tail.eq(issue.tail_of_last)]
        return m


class _Issue(wiring.Component):
    """Iterate over the coefficients and the history of a filter.

    `valid` shows whether the even and the odd place have a tap, `swap` that the even place has the
    odd coefficient. If the pair of places straddles the two halves of the bank's ring, `upper`
    differs between them. `tail_of_last` is stable until the last beat of the next filter.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "command": In(stream.Signature(Command)),
                "coefficient_address": Out(10),
                "sample_words": Out(data.ArrayLayout(10, 2)),
                "product_words": Out(data.ArrayLayout(9, 2)),
                "valid": Out(2),
                "swap": Out(1),
                "upper": Out(2),
                "last": Out(1),
                "tail": Out(_Tail),
                "tail_of_last": Out(_Tail),
            }
        )

    def elaborate(self, _platform: object) -> Module:
        """Return the Amaranth module."""
        m = Module()
        command = self.command.payload
        busy, first, spent = Signal(), Signal(), Signal()
        skip_first, skip_last = Signal(), Signal()
        address, place, slot, pairs = Signal(10), Signal(8), Signal(5), Signal(8)
        beats, taps = Signal(range(MIN_BEATS)), Signal(9)
        final = Signal()
        m.d.comb += [
            final.eq(pairs == 0),
            self.last.eq(busy & final & (beats == MIN_BEATS - 1)),
            self.command.ready.eq(~busy),
            # Start at the pair of the first coefficient, without the last tap.
            taps.eq(command.length + command.start[0] - 1),
        ]
        with m.If(busy):
            m.d.sync += [address.eq(address + 1), place.eq(place - 2), first.eq(0)]
            with m.If(final):
                m.d.sync += spent.eq(1)
            with m.Else():
                m.d.sync += pairs.eq(pairs - 1)
            with m.If(beats != MIN_BEATS - 1):
                m.d.sync += beats.eq(beats + 1)
        with m.If(self.last):
            m.d.sync += [busy.eq(0), self.tail_of_last.eq(self.tail)]
        with m.If(self.command.ready & self.command.valid):
            # An odd first coefficient is the second of its pair; the place is shifted accordingly.
            m.d.sync += [
                busy.eq(1),
                first.eq(1),
                spent.eq(0),
                beats.eq(0),
                skip_first.eq(command.start[0]),
                skip_last.eq(~taps[0]),
                pairs.eq(taps[1:]),
                address.eq(command.start[1:]),
                place.eq(command.newest + command.start[0]),
                slot.eq(command.slot),
                self.tail.shift.eq(command.shift),
                self.tail.source.eq(command.source),
                self.tail.target.eq(command.target),
            ]

        of_bank = self.tail.source == Source.BANK
        even_word, odd_word = place[1:], Signal(7)
        m.d.comb += odd_word.eq(Mux(place[0], even_word, even_word - 1))
        for lane, word in enumerate((even_word, odd_word)):
            m.d.comb += [
                self.sample_words[lane].eq(Cat(word[:6], slot[:4])),
                self.product_words[lane].eq(Cat(word[:4], slot)),
                self.upper[lane].eq(of_bank & word[6]),
            ]
        lanes = Signal(2)
        m.d.comb += [
            self.coefficient_address.eq(address),
            lanes[0].eq(busy & ~spent & ~(first & skip_first)),
            lanes[1].eq(busy & ~spent & ~(final & skip_last)),
            self.swap.eq(place[0]),
            self.valid.eq(Mux(place[0], Cat(lanes[1], lanes[0]), lanes)),
        ]
        return m


class _Drain(wiring.Component):
    """Hold the sums of a completed filter until the rounder has accepted them."""

    def __init__(self) -> None:
        super().__init__(
            {
                "load": In(1),
                "totals": In(_Sums),
                "tail": In(_Tail),
                "sums": Out(stream.Signature(Sum)),
            }
        )

    def elaborate(self, _platform: object) -> Module:
        """Return the Amaranth module."""
        m = Module()
        kept, tail, index = Signal(_Sums), Signal(_Tail), Signal(2)
        of_bank = tail.source == Source.BANK
        m.d.comb += [
            self.sums.payload.value.eq(kept[0]),
            self.sums.payload.index.eq(index),
            self.sums.payload.last.eq(index == Mux(of_bank, 1, 3)),
            self.sums.payload.shift.eq(tail.shift),
            self.sums.payload.wide.eq(tail.source == Source.PRODUCTS),
            self.sums.payload.target.eq(tail.target),
        ]
        with m.If(self.sums.ready & self.sums.valid):
            m.d.sync += [kept[i].eq(kept[i + 1]) for i in range(3)]
            m.d.sync += [index.eq(index + 1), self.sums.valid.eq(~self.sums.payload.last)]
        with m.If(self.load):
            m.d.sync += [
                kept.eq(self.totals),
                tail.eq(self.tail),
                index.eq(0),
                self.sums.valid.eq(1),
            ]
        return m
