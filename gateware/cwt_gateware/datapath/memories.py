"""The memories of the engine, with separate even and odd places, so that two can be read per clock.

The value read from an address in the clock in which it is written is never used, so the build may
leave it undefined.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Module, signed
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from cwt_gateware.datapath.ports import Complex, write_port
from cwt_schemas.hwlink import COEFFICIENTS, MAX_OCTAVES, MAX_TAPS

__all__ = [
    "SAMPLE_WORDS",
    "Coefficients",
    "ProductHistory",
    "ProductQuad",
    "SampleHistory",
    "SamplePair",
]

#: Words of each of the four sample memories.
SAMPLE_WORDS = MAX_OCTAVES * MAX_TAPS // 4

#: Samples of two series at one place; the bank uses the halves for places 0-127 and 128-255.
SamplePair = data.ArrayLayout(signed(16), 2)

#: The four products of a row at one instant.
ProductQuad = data.ArrayLayout(signed(18), 4)


class Coefficients(wiring.Component):
    """2048 coefficients; a read returns the pair 2 `address`, 2 `address` + 1 one clock later."""

    def __init__(self) -> None:
        super().__init__(
            {
                "write": In(write_port(COEFFICIENTS, Complex)),
                "address": In(range(COEFFICIENTS // 2)),
                "pair": Out(data.ArrayLayout(Complex, 2)),
            }
        )

    def elaborate(self, _platform: object) -> Module:
        """Return the Amaranth module."""
        m = Module()
        for lane in range(2):
            m.submodules[f"lane{lane}"] = ram = memory.Memory(
                shape=Complex, depth=COEFFICIENTS // 2, init=[]
            )
            write, read = ram.write_port(), ram.read_port()
            m.d.comb += [
                write.addr.eq(self.write.address[1:]),
                write.data.eq(self.write.data),
                write.en.eq(self.write.enable & (self.write.address[0] == lane)),
                read.addr.eq(self.address),
                self.pair[lane].eq(read.data),
            ]
        return m


class SampleHistory(wiring.Component):
    """The samples of all octaves.

    A write sets the `halves` of `place` in the octave `slot`; the bank writes the half given by the
    highest bit of the place. `found` has the words at `words[0]` of the even places and at
    `words[1]` of the odd ones, one clock later; a word is half a place.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "clear": In(1),
                "clear_word": In(10),
                "halves": In(2),
                "slot": In(4),
                "place": In(7),
                "pair": In(SamplePair),
                "words": In(data.ArrayLayout(10, 2)),
                "found": Out(data.ArrayLayout(SamplePair, 2)),
            }
        )

    def elaborate(self, _platform: object) -> Module:
        """Return the Amaranth module."""
        m = Module()
        word = Cat(self.place[1:7], self.slot)
        for lane in range(2):
            for half in range(2):
                m.submodules[f"lane{lane}_half{half}"] = ram = memory.Memory(
                    shape=signed(16), depth=SAMPLE_WORDS, init=[]
                )
                write, read = ram.write_port(), ram.read_port()
                m.d.comb += [
                    write.addr.eq(word),
                    write.data.eq(self.pair[half]),
                    write.en.eq(self.halves[half] & (self.place[0] == lane)),
                    read.addr.eq(self.words[lane]),
                    self.found[lane][half].eq(read.data),
                ]
                with m.If(self.clear):
                    m.d.comb += [write.addr.eq(self.clear_word), write.data.eq(0), write.en.eq(1)]
        return m


class ProductHistory(wiring.Component):
    """The products of all rows, with the smoothed ones in place of the last row.

    It is read like `SampleHistory`.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "clear": In(1),
                "clear_word": In(9),
                "enable": In(1),
                "slot": In(5),
                "place": In(5),
                "quad": In(ProductQuad),
                "words": In(data.ArrayLayout(9, 2)),
                "found": Out(data.ArrayLayout(ProductQuad, 2)),
            }
        )

    def elaborate(self, _platform: object) -> Module:
        """Return the Amaranth module."""
        m = Module()
        for lane in range(2):
            m.submodules[f"lane{lane}"] = ram = memory.Memory(shape=ProductQuad, depth=512, init=[])
            write, read = ram.write_port(), ram.read_port()
            m.d.comb += [
                write.addr.eq(Cat(self.place[1:], self.slot)),
                write.data.eq(self.quad),
                write.en.eq(self.enable & (self.place[0] == lane)),
                read.addr.eq(self.words[lane]),
                self.found[lane].eq(read.data),
            ]
            with m.If(self.clear):
                m.d.comb += [write.addr.eq(self.clear_word), write.data.eq(0), write.en.eq(1)]
        return m
