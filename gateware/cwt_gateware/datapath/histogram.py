"""The histograms: 12 rows of 256 counts."""

from __future__ import annotations

from amaranth.hdl import Module, unsigned
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

from cwt_schemas.hwlink import HISTOGRAM_BINS, MC_MAX_BINNED_ROWS

__all__ = ["COUNTS", "Histograms"]

#: Number of counts of all rows.
COUNTS = MC_MAX_BINNED_ROWS * HISTOGRAM_BINS


class Histograms(wiring.Component):
    """Increment the counts at `bumps`, and answer `addresses` with `counts` in between."""

    def __init__(self) -> None:
        super().__init__(
            {
                "clear": In(1),
                "clear_word": In(range(COUNTS)),
                "bumps": In(stream.Signature(range(COUNTS))),
                "addresses": In(stream.Signature(range(COUNTS))),
                "counts": Out(stream.Signature(unsigned(32))),
            }
        )

    def elaborate(self, _platform: object) -> Module:
        """Return the Amaranth module."""
        m = Module()
        m.submodules.ram = ram = memory.Memory(shape=unsigned(32), depth=COUNTS, init=[])
        write, read = ram.write_port(), ram.read_port()
        m.d.comb += [
            read.addr.eq(self.addresses.payload),
            write.addr.eq(self.bumps.payload),
            write.data.eq(read.data + 1),
            self.counts.payload.eq(read.data),
        ]
        with m.FSM():
            with m.State("LOOK"):
                m.d.comb += self.addresses.ready.eq(~self.bumps.valid)
                with m.If(self.bumps.valid):
                    m.d.comb += read.addr.eq(self.bumps.payload)
                    m.next = "BUMP"
                with m.Elif(self.addresses.valid):
                    m.next = "ANSWER"
            with m.State("BUMP"):
                m.d.comb += [write.en.eq(1), self.bumps.ready.eq(1)]
                m.next = "LOOK"
            with m.State("ANSWER"):
                m.d.comb += [self.counts.valid.eq(1), read.en.eq(0)]
                with m.If(self.counts.ready):
                    m.next = "LOOK"
        with m.If(self.clear):
            m.d.comb += [write.addr.eq(self.clear_word), write.data.eq(0), write.en.eq(1)]
        return m
