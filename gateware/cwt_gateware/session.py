"""The session: sequence numbers, stored replies and refusals."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from cwt_gateware.command_port import CommandPort
from cwt_gateware.frames import FramePort
from cwt_gateware.layouts import pack, unpack
from cwt_gateware.replies import UNKEPT, ReplyPort
from cwt_schemas.hwlink import (
    BAD_FRAMES_TO_DEFAULT_RATE,
    HEADER_BYTES,
    NAK,
    PROTOCOL_VERSION,
    REPLY,
    WINDOW,
    MessageType,
    NakCode,
)
from cwt_schemas.hwlink_layouts import Header, Nak

__all__ = ["Session"]


class Session(wiring.Component):
    """Read the header of a frame, and send a stored reply, a refusal, or the reply of `commands`.

    `line_idle` means that the last bit of the last reply was sent. Then, after a reply that
    announced it, `change` (the rate), `restore` (the default rate) or `restart` is high for one
    clock. `bad_frames` counts invalid frames, up to its limit.
    `answering`: a request is being processed. `settling`: its reply is being sent, and the change
    follows; data received until then belongs to neither rate and to no session.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "frame": In(FramePort()),
                "replies": In(ReplyPort()),
                "commands": Out(CommandPort()),
                "line_idle": In(1),
                "change": Out(1),
                "restore": Out(1),
                "restart": Out(1),
                "bad_frames": Out(16),
                "answering": Out(1),
                "settling": Out(1),
            }
        )

    def elaborate(self, _platform: object) -> Any:
        """Return the Amaranth module."""
        m = Module()
        frame, replies, commands = self.frame, self.replies, self.commands

        raw_header = Signal(8 * HEADER_BYTES)
        header = unpack(raw_header, Header)
        greeted = Signal()
        expected = Signal(16)
        kept = Signal(range(WINDOW + 1))
        bad_in_a_row = Signal(range(BAD_FRAMES_TO_DEFAULT_RATE + 1))

        code = Signal(8)
        place = Signal(range(WINDOW + 1))
        index = Signal(range(HEADER_BYTES + Nak.FORMAT.size + 1))
        refused = code != 0
        executed = Signal()
        hello = header["type"] == MessageType.HELLO

        m.d.comb += [
            commands.type.eq(header["type"]),
            commands.job.eq(header["job"]),
            commands.length.eq(frame.length - HEADER_BYTES),
            commands.data.eq(frame.data),
            frame.address.eq(commands.offset + HEADER_BYTES),
            replies.place.eq(place),
        ]
        answer = pack(
            Header,
            type=Mux(refused, NAK, header["type"] | REPLY),
            seq=header["seq"],
            job=header["job"],
        )
        refusal = pack(Nak, code=code, type=header["type"], expected=expected)
        reply_bytes = Array(Cat(answer, refusal).word_select(i, 8) for i in range(10))

        with m.FSM() as states:
            with m.State("WAIT"):
                m.d.sync += [index.eq(0), code.eq(0), place.eq(UNKEPT), executed.eq(0)]
                with m.If(frame.whole & frame.good):
                    m.d.sync += bad_in_a_row.eq(0)
                    m.next = "READ"
                with m.Elif(frame.whole):
                    m.d.sync += [
                        code.eq(NakCode.BAD_FRAME),
                        raw_header.eq(pack(Header, type=0, seq=expected)),
                        bad_in_a_row.eq(bad_in_a_row + 1),
                        self.bad_frames.eq(self.bad_frames + ~self.bad_frames.all()),
                    ]
                    m.next = "REPLY"
            with m.State("READ"):
                m.d.comb += frame.address.eq(index)
                m.d.sync += [index.eq(index + 1), raw_header.eq(Cat(raw_header[8:], frame.data))]
                with m.If(index == HEADER_BYTES):
                    m.d.sync += index.eq(0)
                    m.next = "JUDGE"
            with m.State("JUDGE"):
                age = Signal(16)
                m.d.comb += age.eq(expected - header["seq"])
                m.next = "REPLY"
                with m.If(header["version"] != PROTOCOL_VERSION):
                    m.d.sync += code.eq(NakCode.VERSION)
                with m.Elif(hello):
                    m.next = "EXECUTE"
                with m.Elif(~greeted):
                    m.d.sync += code.eq(NakCode.NO_SESSION)
                with m.Elif(age == 0):
                    m.d.sync += [
                        place.eq(header["seq"][:3]),
                        expected.eq(expected + 1),
                        kept.eq(kept + (kept != WINDOW)),
                    ]
                    m.next = "EXECUTE"
                with m.Elif((age[len(kept) :] == 0) & (age[: len(kept)] <= kept)):
                    m.d.sync += place.eq(header["seq"][:3])
                    m.next = "AGAIN"
                with m.Else():
                    m.d.sync += code.eq(NakCode.SEQUENCE)
            with m.State("EXECUTE"):
                m.d.comb += commands.go.eq(1)
                with m.If(commands.answered):
                    m.d.sync += [code.eq(commands.code), executed.eq(commands.code == 0)]
                    m.next = "REPLY"
                    with m.If(hello & (commands.code == 0)):
                        m.d.sync += [greeted.eq(1), kept.eq(0), expected.eq(header["seq"])]
                        m.next = "BEGIN"
            with m.State("BEGIN"):
                m.d.sync += expected.eq(expected + 1)
                m.next = "REPLY"
            with m.State("AGAIN"):
                m.d.comb += replies.again.eq(1)
                with m.If(replies.ready):
                    m.next = "END"
            with m.State("REPLY"):
                m.d.comb += replies.begin.eq(1)
                with m.If(replies.ready):
                    m.next = "HEADER"
            with m.State("HEADER"):
                m.d.comb += [
                    replies.bytes.valid.eq(1),
                    replies.bytes.payload.eq(reply_bytes[index]),
                ]
                m.d.sync += index.eq(index + 1)
                with m.If(refused & (index == HEADER_BYTES + Nak.FORMAT.size - 1)):
                    m.next = "FINISH"
                with m.Elif(~refused & (index == HEADER_BYTES - 1)):
                    m.next = "PAYLOAD"
            with m.State("PAYLOAD"):
                m.d.comb += [
                    commands.reply.ready.eq(1),
                    replies.bytes.valid.eq(commands.reply.valid),
                    replies.bytes.payload.eq(commands.reply.payload),
                ]
                with m.If(commands.done):
                    m.next = "FINISH"
            with m.State("FINISH"):
                m.d.comb += replies.finish.eq(1)
                m.next = "END"
            with m.State("END"):
                m.d.comb += frame.release.eq(1)
                m.next = "WAIT"
                with m.If(bad_in_a_row == BAD_FRAMES_TO_DEFAULT_RATE):
                    m.next = "RESTORE"
                with m.Elif(executed & (header["type"] == MessageType.SET_BAUD)):
                    m.next = "CHANGE"
                with m.Elif(executed & (header["type"] == MessageType.RESET)):
                    m.next = "RESTART"
            for state, strobe in (
                ("RESTORE", self.restore),
                ("CHANGE", self.change),
                ("RESTART", self.restart),
            ):
                with m.State(state):
                    m.d.comb += self.settling.eq(1)
                    with m.If(replies.idle & self.line_idle):
                        m.d.comb += strobe.eq(1)
                        m.d.sync += bad_in_a_row.eq(0)
                        m.next = "WAIT"
        m.d.comb += self.answering.eq(frame.whole | ~states.ongoing("WAIT"))
        return m
