"""The self-test: generated samples, and the signature of the bank's outputs."""

from __future__ import annotations

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.crc.catalog import CRC32_ISO_HDLC
from amaranth.lib.wiring import In, Out

__all__ = ["SelftestSamples", "Signature"]


class SelftestSamples(wiring.Component):
    """An endless stream of samples from a 32-bit xorshift; `load` takes the seed."""

    def __init__(self) -> None:
        super().__init__(
            {"load": In(1), "seed": In(32), "samples": Out(stream.Signature(signed(16)))}
        )

    def elaborate(self, _platform: object) -> Module:
        """Return the Amaranth module."""
        m = Module()
        state, first, second, third = (Signal(32) for _ in range(4))
        m.d.comb += [
            first.eq(state ^ (state << 13)),
            second.eq(first ^ (first >> 17)),
            third.eq(second ^ (second << 5)),
            self.samples.valid.eq(1),
            self.samples.payload.eq(third[16:]),
        ]
        with m.If(self.load):
            m.d.sync += state.eq(self.seed)
        with m.Elif(self.samples.ready):
            m.d.sync += state.eq(third)
        return m


class Signature(wiring.Component):
    """CRC-32 of 16-bit numbers, lower byte first; 0 after reset."""

    def __init__(self) -> None:
        super().__init__({"valid": In(1), "value": In(16), "crc": Out(32)})

    def elaborate(self, _platform: object) -> Module:
        """Return the Amaranth module."""
        m = Module()
        m.submodules.processor = processor = CRC32_ISO_HDLC(data_width=16).create()
        m.d.comb += [
            processor.valid.eq(self.valid),
            processor.data.eq(self.value),
            self.crc.eq(processor.crc),
        ]
        return m
