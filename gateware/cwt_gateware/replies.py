"""Store replies, encoded while they are written, and send them on request."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.crc.catalog import CRC32_ISO_HDLC
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from cwt_schemas.hwlink import CRC_BYTES, DELIMITER, MAX_ENCODED_BYTES, WINDOW

__all__ = ["UNKEPT", "Replies", "ReplyPort"]

#: Place of replies that need not be repeated; below it, one place per sequence number in a window.
UNKEPT = WINDOW

PLACE_BYTES = 256
assert PLACE_BYTES >= MAX_ENCODED_BYTES  # noqa: S101 - of two constants, when the module is read


class ReplyPort(wiring.Signature):
    """The interface for writing replies, from the side of the store.

    `begin` (while `ready`) starts a frame in `place`; then `bytes` takes header and payload;
    `finish` appends the CRC and sends. `again` (while `ready`) sends the contents of `place`.
    `ready` is low until sending has begun. `idle`: nothing is being written or sent.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "place": In(range(WINDOW + 1)),
                "begin": In(1),
                "again": In(1),
                "finish": In(1),
                "ready": Out(1),
                "bytes": In(stream.Signature(8)),
                "idle": Out(1),
            }
        )


class Replies(wiring.Component):
    """Write a frame to a place, one byte per clock, and send places.

    COBS needs the distance to the next zero. A place is written forward, and the code in place of a
    zero is written when the next zero arrives; so the stored frame is already encoded and ends with
    its delimiter.
    """

    def __init__(self) -> None:
        super().__init__({"port": Out(ReplyPort()), "line": Out(stream.Signature(8))})

    def elaborate(self, _platform: object) -> Any:
        """Return the Amaranth module."""
        m = Module()
        depth = (WINDOW + 1) * PLACE_BYTES
        m.submodules.store = store = Memory(shape=8, depth=depth, init=[])
        write = store.write_port()
        read = store.read_port()
        m.submodules.crc = crc = CRC32_ISO_HDLC().create()

        place = Signal.like(self.port.place)
        sent_place = Signal.like(self.port.place)
        sending = Signal()
        send = Signal()

        # One byte of the frame: store it, or if it is zero, close the group before it.
        position = Signal(range(PLACE_BYTES))
        group = Signal(range(PLACE_BYTES))
        byte = Signal(8)
        put = Signal()
        close = Signal()
        m.d.comb += [
            close.eq(put & (byte == 0)),
            write.en.eq(put),
            write.addr.eq(Cat(Mux(close, group, position), place)),
            write.data.eq(Mux(close, position - group, byte)),
            crc.data.eq(byte),
        ]
        with m.If(put):
            m.d.sync += position.eq(position + 1)
            with m.If(close):
                m.d.sync += group.eq(position)

        tail = Signal(8 * CRC_BYTES)
        count = Signal(range(CRC_BYTES))
        m.d.comb += self.port.idle.eq(~sending & ~send & self.port.ready)
        with m.FSM():
            with m.State("REST"):
                # Do not overwrite a place that is being sent.
                free = ~sending | (sent_place != self.port.place)
                m.d.comb += self.port.ready.eq(free)
                m.d.comb += crc.start.eq(1)
                m.d.sync += [position.eq(1), group.eq(0), place.eq(self.port.place), count.eq(0)]
                with m.If(self.port.begin & free):
                    m.next = "WRITE"
                with m.Elif(self.port.again & free):
                    m.next = "SEND"
            with m.State("WRITE"):
                m.d.comb += [
                    self.port.bytes.ready.eq(1),
                    byte.eq(self.port.bytes.payload),
                    put.eq(self.port.bytes.valid),
                    crc.valid.eq(self.port.bytes.valid),
                ]
                with m.If(self.port.finish):
                    m.next = "CRC"
            with m.State("CRC"):
                m.d.comb += [byte.eq(Mux(count == 0, crc.crc[:8], tail[8:16])), put.eq(1)]
                m.d.sync += [
                    tail.eq(Mux(count == 0, crc.crc, tail >> 8)),
                    count.eq(count + 1),
                ]
                with m.If(count == CRC_BYTES - 1):
                    m.next = "CLOSE"
            with m.State("CLOSE"):
                m.d.comb += [byte.eq(0), put.eq(1)]
                m.next = "END"
            with m.State("END"):
                m.d.comb += [
                    write.en.eq(1),
                    write.addr.eq(Cat(group, place)),
                    write.data.eq(DELIMITER),
                ]
                m.next = "SEND"
            with m.State("SEND"):
                m.d.comb += send.eq(1)
                with m.If(~sending):
                    m.next = "REST"

        offset = Signal(range(PLACE_BYTES))
        m.d.comb += [read.addr.eq(Cat(offset, sent_place)), self.line.payload.eq(read.data)]
        with m.FSM() as sender:
            with m.State("REST"):
                m.d.sync += [sent_place.eq(place), offset.eq(0)]
                with m.If(send):
                    m.next = "FETCH"
            with m.State("FETCH"):
                m.d.sync += offset.eq(offset + 1)
                m.next = "OFFER"
            with m.State("OFFER"):
                m.d.comb += [self.line.valid.eq(1), read.en.eq(0)]
                with m.If(self.line.ready):
                    m.next = "FETCH"
                    with m.If(read.data == DELIMITER):
                        m.next = "REST"
        m.d.comb += sending.eq(~sender.ongoing("REST"))
        return m
