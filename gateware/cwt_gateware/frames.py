"""Decode the frames of the link: COBS and CRC-32, one byte per clock."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.crc.catalog import CRC32_ISO_HDLC
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from cwt_schemas.hwlink import CRC_BYTES, DELIMITER, MAX_FRAME_BYTES, MIN_FRAME_BYTES

__all__ = ["LINE_BYTE_BITS", "FramePort", "FrameReceiver"]

#: A byte of the line, and a bit above it for a missing stop bit or lost bytes before it.
LINE_BYTE_BITS = 9

BUFFER_BYTES = 256


class FramePort(wiring.Signature):
    """A frame, from the side of its receiver.

    It is held from `whole` to `release`. If `good`, `data` is its byte at `address` of the previous
    clock, and `length` its size without the CRC. Otherwise it is not valid.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "whole": Out(1),
                "good": Out(1),
                "length": Out(range(MAX_FRAME_BYTES + 1)),
                "release": In(1),
                "address": In(range(BUFFER_BYTES)),
                "data": Out(8),
            }
        )


class FrameReceiver(wiring.Component):
    """Receive bytes until a frame is complete, and hold it.

    The lower 8 bits of `bytes` are the byte, the upper bit marks it as damaged. A zero ends a frame
    even if damaged: a line at a lower rate looks like damaged zeros, which must be counted.
    """

    def __init__(self) -> None:
        super().__init__({"bytes": In(stream.Signature(LINE_BYTE_BITS)), "frame": Out(FramePort())})

    def elaborate(self, _platform: object) -> Any:
        """Return the Amaranth module."""
        m = Module()
        m.submodules.buffer = buffer = Memory(shape=8, depth=BUFFER_BYTES, init=[])
        write = buffer.write_port()
        read = buffer.read_port()
        m.submodules.crc = crc = CRC32_ISO_HDLC().create()
        m.d.comb += [read.addr.eq(self.frame.address), self.frame.data.eq(read.data)]

        byte = self.bytes.payload[:8]
        damaged = self.bytes.payload[8]
        begun = Signal()
        failed = Signal()
        left = Signal(8)
        position = Signal(range(BUFFER_BYTES))
        room = position != MAX_FRAME_BYTES

        m.d.comb += [
            write.addr.eq(position),
            # The code of a group represents the zero before the group.
            write.data.eq(Mux(left == 0, 0, byte)),
            crc.data.eq(write.data),
            crc.valid.eq(write.en),
            crc.start.eq(self.frame.release),
        ]
        with m.FSM():
            with m.State("TAKE"):
                m.d.comb += self.bytes.ready.eq(1)
                with m.If(self.bytes.valid & (byte == DELIMITER)):
                    with m.If(begun | failed | damaged):
                        m.d.sync += [
                            self.frame.good.eq(
                                ~failed
                                & ~damaged
                                & (left == 0)
                                & (position >= MIN_FRAME_BYTES)
                                & crc.match_detected
                            ),
                            self.frame.length.eq(position - CRC_BYTES),
                        ]
                        m.next = "HOLD"
                with m.Elif(self.bytes.valid):
                    m.d.sync += [
                        begun.eq(1),
                        left.eq(Mux(left == 0, byte, left) - 1),
                        failed.eq(failed | damaged | (begun & ~room)),
                    ]
                    with m.If(begun & room):
                        m.d.comb += write.en.eq(1)
                        m.d.sync += position.eq(position + 1)
            with m.State("HOLD"):
                m.d.comb += self.frame.whole.eq(1)
                m.d.sync += [begun.eq(0), failed.eq(0), left.eq(0), position.eq(0)]
                with m.If(self.frame.release):
                    m.next = "TAKE"
        return m
