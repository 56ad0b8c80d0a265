"""The engine: sums of taps times history, two taps in a clock, filters one right after the other.

::

    issue | memory | operands | products | sums -> drain, one wanted sum in a clock

Registers lie before and behind every multiplier. A filter occupies the issue for as many clocks as
it has pairs of coefficients, and for `MIN_BEATS` at least, within which its sums are drained even
when the rounder is busy with products for four clocks in between.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gateware.datapath.commands import Command, Source, Sum
from gateware.datapath.memories import ProductQuad, SamplePair
from gateware.datapath.ports import Complex

__all__ = ["MIN_BEATS", "Engine"]

#: Clocks that the shortest filter takes: twice the four sums of one.
MIN_BEATS = 8

#: What goes with the last beat of a filter.
_Tail = data.StructLayout(
    {
        "first": 1,
        "last": 1,
        "keep": 4,
        "shift": 5,
        "wide": 1,
        "target": Command["target"].shape,
    }
)


class Engine(wiring.Component):
    """Computes filters.

    Members
    -------
    command
        What to compute, a `Command`; taken when the one before has issued its last beat.
    sums
        What came out, a `Sum` for each that is to be kept, in the order of the commands.
    coefficient_address, coefficients, sample_words, samples, product_words, products
        To the memories, which answer a clock later.
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
        """Build it."""
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
        lanes, odd, upper = Signal(2), Signal(), Signal(2)
        source, tail = Signal(Source), Signal(_Tail)
        m.d.sync += [
            lanes.eq(issue.lanes),
            odd.eq(issue.odd),
            upper.eq(issue.upper),
            source.eq(issue.source),
            tail.eq(issue.tail),
        ]

        # Operands.
        values = [self._values(m, place, upper[place], source) for place in range(2)]
        operands = [Signal(data.ArrayLayout(signed(18), 4), name=f"operands{x}") for x in range(2)]
        taps = [Signal(data.ArrayLayout(signed(16), 2), name=f"taps{lane}") for lane in range(2)]
        for lane in range(2):
            pair = self.coefficients[lane]
            second = Mux(source == Source.PRODUCTS, pair.re, pair.im)
            m.d.sync += [
                operands[lane].eq(Mux(odd, values[1 - lane], values[lane])),
                taps[lane][0].eq(Mux(lanes[lane], pair.re, 0)),
                taps[lane][1].eq(Mux(lanes[lane], second, 0)),
            ]

        # Products.
        products = [
            [Signal(signed(34), name=f"product{lane}_{i}") for i in range(4)] for lane in range(2)
        ]
        for lane in range(2):
            for i in range(4):
                m.d.sync += products[lane][i].eq(operands[lane][i] * taps[lane][i % 2])
        tails = [Signal(_Tail, name=f"tail{stage}") for stage in range(2)]
        m.d.sync += [tails[0].eq(tail), tails[1].eq(tails[0])]

        # Sums.
        for i in range(4):
            total, so_far = Signal(signed(40), name=f"total{i}"), Signal(signed(40), name=f"sum{i}")
            m.d.comb += total.eq(Mux(tails[1].first, 0, so_far) + (products[0][i] + products[1][i]))
            m.d.sync += so_far.eq(total)
            m.d.comb += drain.totals[i].eq(total)
        m.d.comb += drain.tail.eq(tails[1])
        return m

    def _values(self, m: Module, place: int, upper: Signal, source: Signal) -> Signal:
        """Return the four data that belong to the even (0) or odd (1) places."""
        values = Signal(data.ArrayLayout(signed(18), 4), name=f"values{place}")
        one, two = self.samples[place][0], self.samples[place][1]
        first = Mux((source == Source.BANK) & upper, two, one)
        quad = self.products[place]
        for i, sample in enumerate((first, first, two, two)):
            m.d.comb += values[i].eq(Mux(source == Source.PRODUCTS, quad[i], sample))
        return values


class _Issue(wiring.Component):
    """Walks through a filter's coefficients and history; `lanes` says which taps belong to it.

    `odd` says that the even tap meets an odd place. Where the pair of places straddles the upper
    and the lower half of the bank's ring, `upper` differs between even and odd places.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "command": In(stream.Signature(Command)),
                "coefficient_address": Out(10),
                "sample_words": Out(data.ArrayLayout(10, 2)),
                "product_words": Out(data.ArrayLayout(9, 2)),
                "lanes": Out(2),
                "odd": Out(1),
                "upper": Out(2),
                "source": Out(Source),
                "tail": Out(_Tail),
            }
        )

    def elaborate(self, _platform: object) -> Module:
        """Build it."""
        m = Module()
        command = self.command.payload
        busy, running = Signal(), Signal(Command)
        address, place, left = Signal(10), Signal(8), Signal(10)
        beats, first = Signal(range(MIN_BEATS)), Signal()
        last = Signal()
        m.d.comb += [
            last.eq((left <= 2) & (beats == MIN_BEATS - 1)),
            self.command.ready.eq(~busy | last),
        ]
        with m.If(busy):
            m.d.sync += [
                address.eq(address + 1),
                place.eq(place - 2),
                left.eq(Mux(left <= 2, 0, left - 2)),
                first.eq(0),
                beats.eq(Mux(beats == MIN_BEATS - 1, beats, beats + 1)),
            ]
        with m.If(self.command.ready):
            m.d.sync += busy.eq(self.command.valid)
        with m.If(self.command.ready & self.command.valid):
            # An odd first coefficient is the second of its pair; the place moves along with it.
            m.d.sync += [
                running.eq(command),
                address.eq(command.start[1:]),
                place.eq(command.newest + command.start[0]),
                left.eq(command.length + command.start[0]),
                first.eq(1),
                beats.eq(0),
            ]

        even_word, odd_word = place[1:], Signal(7)
        m.d.comb += odd_word.eq(Mux(place[0], even_word, even_word - 1))
        for lane, word in enumerate((even_word, odd_word)):
            m.d.comb += [
                self.sample_words[lane].eq(Cat(word[:6], running.slot[:4])),
                self.product_words[lane].eq(Cat(word[:4], running.slot)),
                self.upper[lane].eq(word[6]),
            ]
        m.d.comb += [
            self.coefficient_address.eq(address),
            self.lanes[0].eq(busy & (left >= 1) & ~(first & running.start[0])),
            self.lanes[1].eq(busy & (left >= 2)),
            self.odd.eq(place[0]),
            self.source.eq(running.source),
            self.tail.first.eq(first),
            self.tail.last.eq(busy & last),
            self.tail.keep.eq(running.keep),
            self.tail.shift.eq(running.shift),
            self.tail.wide.eq(running.source == Source.PRODUCTS),
            self.tail.target.eq(running.target),
        ]
        return m


class _Drain(wiring.Component):
    """Keeps the sums of a filter that has ended until the rounder has taken the wanted ones."""

    def __init__(self) -> None:
        super().__init__(
            {
                "totals": In(data.ArrayLayout(signed(40), 4)),
                "tail": In(_Tail),
                "sums": Out(stream.Signature(Sum)),
            }
        )

    def elaborate(self, _platform: object) -> Module:
        """Build it."""
        m = Module()
        kept, tail, wanted = Signal(data.ArrayLayout(signed(40), 4)), Signal(_Tail), Signal(4)
        rest = Signal(4)
        m.d.comb += [
            rest.eq(wanted & (wanted - 1)),
            self.sums.valid.eq(wanted != 0),
            self.sums.payload.last.eq(rest == 0),
            self.sums.payload.shift.eq(tail.shift),
            self.sums.payload.wide.eq(tail.wide),
            self.sums.payload.target.eq(tail.target),
            self.sums.payload.value.eq(kept[self.sums.payload.index]),
        ]
        with m.If(wanted[0]):
            m.d.comb += self.sums.payload.index.eq(0)
        with m.Elif(wanted[1]):
            m.d.comb += self.sums.payload.index.eq(1)
        with m.Elif(wanted[2]):
            m.d.comb += self.sums.payload.index.eq(2)
        with m.Else():
            m.d.comb += self.sums.payload.index.eq(3)
        with m.If(self.sums.ready):
            m.d.sync += wanted.eq(rest)
        with m.If(self.tail.last):
            m.d.sync += [kept.eq(self.totals), tail.eq(self.tail), wanted.eq(self.tail.keep)]
        return m
