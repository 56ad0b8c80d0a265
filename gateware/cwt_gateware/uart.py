"""A serial line of 8 data bits, no parity, one stop bit, at `divisor` clocks per bit."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

from cwt_schemas.hwlink import MAX_DIVISOR

__all__ = ["DIVISOR_BITS", "Receiver", "Transmitter"]

DIVISOR_BITS = MAX_DIVISOR.bit_length()


class Receiver(wiring.Component):
    """Receive bytes from a line, sampling each bit in its middle.

    `valid` is high for one clock with `data`. `error` means that the stop bit was missing: the line
    was held low, or has another rate. Then the line must be idle before the next start bit.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "rx": In(1, init=1),
                "divisor": In(DIVISOR_BITS),
                "data": Out(8),
                "error": Out(1),
                "valid": Out(1),
            }
        )

    def elaborate(self, _platform: object) -> Any:
        """Return the Amaranth module."""
        m = Module()
        line = Signal(init=1)
        m.submodules.line = FFSynchronizer(self.rx, line, init=1)
        timer = Signal(DIVISOR_BITS)
        middle = timer == 0
        bits = Signal(range(8))

        m.d.sync += [timer.eq(timer - 1), self.valid.eq(0)]
        with m.FSM():
            with m.State("REST"), m.If(line):
                m.next = "IDLE"
            with m.State("IDLE"):
                m.d.sync += timer.eq((self.divisor >> 1) - 1)
                with m.If(~line):
                    m.next = "START"
            with m.State("START"):
                m.d.sync += bits.eq(0)
                with m.If(middle):
                    m.d.sync += timer.eq(self.divisor - 1)
                    with m.If(line):
                        m.next = "IDLE"
                    with m.Else():
                        m.next = "DATA"
            with m.State("DATA"), m.If(middle):
                m.d.sync += [
                    timer.eq(self.divisor - 1),
                    self.data.eq(Cat(self.data[1:], line)),
                    bits.eq(bits + 1),
                ]
                with m.If(bits == 7):
                    m.next = "STOP"
            with m.State("STOP"), m.If(middle):
                m.d.sync += [self.valid.eq(1), self.error.eq(~line)]
                with m.If(line):
                    m.next = "IDLE"
                with m.Else():
                    m.next = "REST"
        return m


class Transmitter(wiring.Component):
    """Send bytes to a line without gaps. `idle` is high after the last bit was sent."""

    def __init__(self) -> None:
        super().__init__(
            {
                "bytes": In(stream.Signature(8)),
                "divisor": In(DIVISOR_BITS),
                "tx": Out(1, init=1),
                "idle": Out(1),
            }
        )

    def elaborate(self, _platform: object) -> Any:
        """Return the Amaranth module."""
        m = Module()
        timer = Signal(DIVISOR_BITS)
        shifter = Signal(9, init=0x1FF)
        left = Signal(range(11))

        m.d.comb += [
            self.idle.eq(left == 0),
            self.bytes.ready.eq((left == 0) | ((left == 1) & (timer == 0))),
        ]
        with m.If(self.bytes.valid & self.bytes.ready):
            m.d.sync += [
                self.tx.eq(0),
                shifter.eq(Cat(self.bytes.payload, Const(1, 1))),
                left.eq(10),
                timer.eq(self.divisor - 1),
            ]
        with m.Elif(timer != 0):
            m.d.sync += timer.eq(timer - 1)
        with m.Elif(left != 0):
            m.d.sync += [
                self.tx.eq(shifter[0]),
                shifter.eq(Cat(shifter[1:], Const(1, 1))),
                left.eq(left - 1),
                timer.eq(self.divisor - 1),
            ]
        return m
