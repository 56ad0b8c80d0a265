"""The complete device, at byte level and with a serial line."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux, ResetInserter, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out, connect

from cwt_gateware.commands import Commands
from cwt_gateware.frames import LINE_BYTE_BITS, FrameReceiver
from cwt_gateware.identity import Identity
from cwt_gateware.rate import Rate
from cwt_gateware.replies import Replies
from cwt_gateware.session import Session
from cwt_gateware.uart import DIVISOR_BITS, Receiver, Transmitter
from cwt_schemas.hwlink import DEFAULT_BAUD, RECEIVE_CREDIT

__all__ = ["Device", "SerialDevice", "first_divisor"]


def first_divisor(clock_hz: int) -> int:
    """Return the clocks per bit at the default rate, rounded to the nearest."""
    return (clock_hz + DEFAULT_BAUD // 2) // DEFAULT_BAUD


class Device(wiring.Component):
    """The device at byte level: requests in, replies out.

    Attributes
    ----------
    received
        Bytes of the line; the upper bit marks a damaged one. Ready while fewer than
        `RECEIVE_CREDIT` bytes are queued.
    sent
        Bytes for the line.
    line_idle
        The line has sent the last bit of its data.
    divisor
        Clocks per bit. Changes only while the line is idle.
    entropy
        Makes the boot nonces of two simulations differ. On a board, the time from power-up to the
        first frame has this effect.
    working
        The device is active without waiting for the host, so a simulation must continue.
    """

    def __init__(self, identity: Identity, datapath: Any = None) -> None:
        self.identity = identity
        self.datapath = datapath
        super().__init__(
            {
                "received": In(stream.Signature(LINE_BYTE_BITS)),
                "sent": Out(stream.Signature(8)),
                "line_idle": In(1, init=1),
                "divisor": Out(DIVISOR_BITS),
                "entropy": In(32),
                "working": Out(1),
            }
        )

    def elaborate(self, _platform: object) -> Any:
        """Return the Amaranth module."""
        m = Module()
        restart = Signal()

        # Keeps running during RESET, so that the next nonce differs.
        clock = Signal(32, init=1)
        m.d.sync += clock.eq(xorshift(clock))

        parts = Module()
        parts.submodules.fifo = fifo = SyncFIFOBuffered(width=LINE_BYTE_BITS, depth=RECEIVE_CREDIT)
        parts.submodules.receiver = receiver = FrameReceiver()
        parts.submodules.session = session = Session()
        parts.submodules.commands = commands = Commands(self.identity)
        parts.submodules.replies = replies = Replies()
        parts.submodules.rate = rate = Rate(
            first_divisor(self.identity.clock_hz), self.identity.confirm_clocks
        )
        if self.datapath is not None:
            parts.submodules.datapath = self.datapath
            connect(parts, commands.datapath, self.datapath)
        connect(parts, session.commands, commands.port)
        connect(parts, session.frame, receiver.frame)
        connect(parts, session.replies, replies.port)
        connect(parts, fifo.r_stream, receiver.bytes)
        connect(parts, replies.line, wiring.flipped(self.sent))

        # Drawn at the first frame, whose time is unpredictable.
        nonce = Signal(32)
        with parts.If((nonce == 0) & receiver.frame.whole):
            drawn = clock ^ self.entropy
            parts.d.sync += nonce.eq(Mux(drawn == 0, clock, drawn))
        parts.d.comb += [
            fifo.w_data.eq(self.received.payload),
            fifo.w_en.eq(self.received.valid & ~session.settling),
            self.received.ready.eq(fifo.w_rdy & ~session.settling),
            commands.boot_nonce.eq(nonce),
            commands.bad_frames.eq(session.bad_frames),
            commands.divisor.eq(rate.divisor),
            rate.wanted.eq(commands.wanted),
            rate.confirm.eq(commands.confirm),
            rate.change.eq(session.change),
            rate.restore.eq(session.restore),
            rate.idle.eq(self.line_idle & replies.port.idle),
            session.line_idle.eq(self.line_idle),
            restart.eq(session.restart),
            self.divisor.eq(rate.divisor),
            self.working.eq(
                fifo.r_rdy
                | session.answering
                | ~replies.port.idle
                | rate.unconfirmed
                | commands.working
            ),
        ]
        m.submodules.parts = ResetInserter(restart)(parts)
        return m


class SerialDevice(wiring.Component):
    """The device on a serial line of 8 data bits, no parity, one stop bit."""

    def __init__(self, identity: Identity, datapath: Any = None) -> None:
        self.device = Device(identity, datapath)
        super().__init__(
            {
                "rx": In(1, init=1),
                "tx": Out(1, init=1),
                "entropy": In(32),
                "working": Out(1),
            }
        )

    def elaborate(self, _platform: object) -> Any:
        """Return the Amaranth module."""
        m = Module()
        m.submodules.device = device = self.device
        m.submodules.receiver = receiver = Receiver()
        m.submodules.transmitter = transmitter = Transmitter()
        connect(m, device.sent, transmitter.bytes)

        lost = Signal()
        with m.If(receiver.valid):
            m.d.sync += lost.eq(~device.received.ready)
        m.d.comb += [
            receiver.rx.eq(self.rx),
            receiver.divisor.eq(device.divisor),
            transmitter.divisor.eq(device.divisor),
            self.tx.eq(transmitter.tx),
            device.line_idle.eq(transmitter.idle),
            device.entropy.eq(self.entropy),
            self.working.eq(device.working | ~transmitter.idle),
            device.received.valid.eq(receiver.valid),
            device.received.payload.eq(Cat(receiver.data, receiver.error | lost)),
        ]
        return m


def xorshift(state: Any) -> Any:
    """Return the next of 2**32 - 1 states."""
    state = (state ^ (state << 13))[:32]
    state = (state ^ (state >> 17))[:32]
    return (state ^ (state << 5))[:32]
