"""The self-test: samples that the device makes, and the signature of what the bank made of them."""

from __future__ import annotations

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.crc.catalog import CRC32_ISO_HDLC
from amaranth.lib.wiring import In, Out

from gateware.datapath.ports import SelftestSettings

__all__ = ["SelftestSamples", "Signature"]


class SelftestSamples(wiring.Component):
    """`settings.samples` samples from a 32-bit xorshift, from the first clock of `run` on.

    `exhausted` says that all of them were taken.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "run": In(1),
                "settings": In(SelftestSettings),
                "samples": Out(stream.Signature(signed(16))),
                "exhausted": Out(1),
            }
        )

    def elaborate(self, _platform: object) -> Module:
        """Build it."""
        m = Module()
        seeded, state, taken = Signal(), Signal(32), Signal(32)
        first, second, third = Signal(32), Signal(32), Signal(32)
        m.d.comb += [
            first.eq(state ^ (state << 13)),
            second.eq(first ^ (first >> 17)),
            third.eq(second ^ (second << 5)),
            self.exhausted.eq(seeded & (taken == self.settings.samples)),
            self.samples.valid.eq(seeded & ~self.exhausted),
            self.samples.payload.eq(third[16:]),
        ]
        with m.If(self.run & ~seeded):
            m.d.sync += [seeded.eq(1), state.eq(self.settings.seed)]
        with m.Elif(self.samples.valid & self.samples.ready):
            m.d.sync += [state.eq(third), taken.eq(taken + 1)]
        return m


class Signature(wiring.Component):
    """CRC-32 of numbers of 16 bits, the lower byte first; of none since reset it is 0."""

    def __init__(self) -> None:
        super().__init__({"valid": In(1), "value": In(16), "crc": Out(32)})

    def elaborate(self, _platform: object) -> Module:
        """Build it."""
        m = Module()
        m.submodules.processor = processor = CRC32_ISO_HDLC(data_width=16).create()
        m.d.comb += [
            processor.valid.eq(self.valid),
            processor.data.eq(self.value),
            self.crc.eq(processor.crc),
        ]
        return m
