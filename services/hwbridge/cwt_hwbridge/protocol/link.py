"""The host's side of the link: greeting, requests and retransmission, rate changes and faults.

Rules. The device sends only replies, in order, and stores its last replies, so that a repeated
request is answered again and not executed again. The host numbers its requests, has no more of them
in flight than the device can hold, and repeats all from the oldest one on: after its timeout, or
immediately (but only once) if the device reports, or a later reply shows, that it is missing.

Use. Pass received bytes to `receive` and the time to `tick`; handle the events; then write
`data_to_send`. Wait for bytes until `deadline`. A link is not thread-safe.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from cwt_hwbridge.protocol.events import (
    Answered,
    Closed,
    Event,
    Fault,
    Greeted,
    RateKept,
    Refused,
    SwitchRate,
    WasReset,
)
from cwt_hwbridge.protocol.framing import Deframer, Frame
from cwt_hwbridge.protocol.states import (
    GREETING_STATES,
    LinkEvent,
    LinkState,
    LocalProtocolError,
    after,
)
from cwt_hwbridge.protocol.window import Window
from cwt_schemas.hwlink import (
    DEFAULT_BAUD,
    DELIMITER,
    MAGIC,
    MAX_ENCODED_BYTES,
    MAX_PAYLOAD_BYTES,
    NAK,
    PROTOCOL_VERSION,
    REPLY,
    RETRIES,
    TURNAROUND_S,
    MessageType,
    NakCode,
)
from cwt_schemas.hwlink_layouts import HelloReply, HelloRequest, Nak, SetBaud

__all__ = ["Link", "LinkTiming"]

#: Refusals that do not answer a request, which was not executed and must be repeated.
_UNEXECUTED = frozenset({NakCode.BAD_FRAME, NakCode.SEQUENCE})
_CODES = frozenset(int(code) for code in NakCode)
#: Bits per byte on the line, including start and stop bits.
_BITS = 10
_NONCE = struct.Struct("<I")
_STATUS_REPLY = MessageType.STATUS | REPLY


@dataclass(frozen=True, kw_only=True)
class LinkTiming:
    """Timeouts in addition to the transmission time of the line, seconds."""

    #: For an answer: delays of USB, the operating system and a busy host.
    margin_s: float = 0.1
    #: For the answer to HELLO, including all retries.
    greeting_s: float = 3.0


class Link:
    """The host's side of one link.

    Parameters
    ----------
    timing
        Timeouts, which depend on the connection between host and device.
    seq
        Number of the first HELLO; a new link need not continue the numbers of another.
    """

    def __init__(self, timing: LinkTiming, *, seq: int = 0) -> None:
        self.timing = timing
        self.state = LinkState.DOWN
        #: The last greeting of the device.
        self.hello: HelloReply | None = None
        #: Number of retransmissions.
        self.repeats = 0
        self._deframer = Deframer()
        self._window = Window(seq, 1, 1 << 12)
        self._next_hello = seq
        self._out = bytearray()
        self._baud = float(DEFAULT_BAUD)
        #: Start of the wait for an answer; None if no answer is pending.
        self._waits_since: float | None = None
        self._give_up_at = 0.0
        self._tries = 0
        self._heard_bytes = 0
        self._heard_frames = 0
        self._rates = (0, 0)

    @property
    def deadline(self) -> float | None:
        """Latest time for the next call of `tick`; None if no answer is pending."""
        if self._waits_since is None:
            return None
        # Each request in flight adds transmission time before the last one is answered.
        line_s = _BITS * self._window.bytes_out / self._baud
        return self._waits_since + line_s + TURNAROUND_S + self.timing.margin_s

    @property
    def bad_frames(self) -> int:
        """Number of invalid frames from the device."""
        return self._deframer.bad

    @property
    def unanswered(self) -> int:
        """Number of requests in flight."""
        return len(self._window)

    def data_to_send(self) -> bytes:
        """Return the bytes to write now, each of them once."""
        data = bytes(self._out)
        self._out.clear()
        return data

    def greet(self, now: float, *, baud: float = DEFAULT_BAUD) -> None:
        """Restart with HELLO; requests in flight are discarded."""
        self._move(LinkEvent.GREET)
        self._baud = baud
        self._hello(now, self.timing.greeting_s)

    def takes(self, payload_bytes: int) -> bool:
        """Return whether a request with a payload of this size may be sent now."""
        return self.state is LinkState.OPEN and self._window.takes(payload_bytes)

    def send(
        self, type_: MessageType, payload: bytes, now: float, *, job: int = 0, reply_bytes: int = 0
    ) -> int:
        """Send a request; return its number.

        Parameters
        ----------
        reply_bytes
            Largest payload of the reply, which determines its timeout.

        Raises
        ------
        LocalProtocolError
            The link is not open, or no more requests may be in flight: see `takes`.
        """
        if not self.takes(len(payload)):
            raise LocalProtocolError(
                f"{type_.name} cannot be sent: the link is {self.state.name.lower()}, "
                f"{self.unanswered} requests are unanswered"
            )
        return self._push(type_, job, payload, reply_bytes, now)

    def change_rate(self, divisor: int, now: float) -> None:
        """Request ``clock_hz / divisor`` baud; ends with `RateKept`, or the link goes down.

        Raises
        ------
        LocalProtocolError
            Requests are in flight.
        """
        if self.unanswered:
            raise LocalProtocolError(f"{self.unanswered} requests are unanswered")
        self._move(LinkEvent.RATE)
        self._rates = (self._greeted.divisor, divisor)
        self._push(MessageType.SET_BAUD, 0, SetBaud(divisor=divisor).pack(), 0, now)

    def receive(self, data: bytes, now: float) -> list[Event]:
        """Process received bytes; return the events."""
        self._heard_bytes += len(data)
        events: list[Event] = []
        for frame in self._deframer.feed(data):
            self._heard_frames += 1
            events += self._frame(frame, now)
        return events

    def tick(self, now: float) -> list[Event]:
        """Process the current time; return the events."""
        deadline = self.deadline
        if deadline is None or now < deadline:
            return []
        self._tries += 1
        if self.state in GREETING_STATES or self.state is LinkState.CONFIRMING:
            over = now >= self._give_up_at
        else:
            over = self._tries > RETRIES
        if over:
            return self._expired(now)
        self._repeat(now)
        return []

    # -- received frames ----------------------------------------------------------------------

    def _frame(self, frame: Frame, now: float) -> list[Event]:
        if self.state is LinkState.DOWN:
            return []
        if frame.version != PROTOCOL_VERSION:
            return self._close(LinkEvent.UNFIT, Fault.VERSION, f"version {frame.version}")
        if self.state in GREETING_STATES:
            return self._greeting(frame)
        oldest = self._window.oldest
        if frame.type == NAK:
            return self._nak(frame, now)
        if oldest is None:
            return []
        if frame.seq != oldest.seq:
            if self._window.is_later(frame.seq):
                self._hurry(now)
            return []
        if frame.type != oldest.type | REPLY or frame.job != oldest.job:
            return []
        if frame.type == _STATUS_REPLY and self._is_reset(frame.payload):
            return self._reset()
        return self._answered(frame.payload, now)

    def _greeting(self, frame: Frame) -> list[Event]:
        oldest = self._window.oldest
        if oldest is None or (frame.type, frame.seq) != (MessageType.HELLO | REPLY, oldest.seq):
            return []
        if len(frame.payload) != HelloReply.FORMAT.size or frame.payload[: len(MAGIC)] != MAGIC:
            return self._close(LinkEvent.UNFIT, Fault.STRANGER, "another HELLO")
        hello = HelloReply.unpack(frame.payload)
        if hello.protocol != PROTOCOL_VERSION:
            return self._close(LinkEvent.UNFIT, Fault.VERSION, f"version {hello.protocol}")
        if not _is_usable(hello):
            return self._close(LinkEvent.UNFIT, Fault.STRANGER, "a HELLO with invalid sizes")
        before, was = self.hello, self.state
        self.hello = hello
        self._move(LinkEvent.GREETED)
        self._window = Window(oldest.seq + 1, hello.window, hello.credit)
        self._listen_anew(None)
        if was is LinkState.GREETING:
            return [Greeted(hello)]
        if before is None or before.boot_nonce != hello.boot_nonce:
            return self._reset()
        return [RateKept(hello.divisor)]

    def _nak(self, frame: Frame, now: float) -> list[Event]:
        if len(frame.payload) != Nak.FORMAT.size:
            return []
        nak = Nak.unpack(frame.payload)
        oldest = self._window.oldest
        if nak.code == NakCode.NO_SESSION:
            return self._reset()
        if nak.code == NakCode.VERSION:
            return self._close(LinkEvent.UNFIT, Fault.VERSION, "it refuses this version")
        if oldest is None or nak.code not in _CODES:
            return []
        if nak.code in _UNEXECUTED:
            if nak.expected == oldest.seq:
                self._hurry(now)
            return []
        if (frame.seq, nak.type) != (oldest.seq, oldest.type):
            return []
        return self._refused(NakCode(nak.code), now)

    def _answered(self, payload: bytes, now: float) -> list[Event]:
        request = self._window.pop()
        if self.state is LinkState.ASKING:
            self._move(LinkEvent.DONE)
            self._baud = self._greeted.clock_hz / self._rates[1]
            self._give_up_at = now + self._greeted.confirm_clocks / self._greeted.clock_hz
            self._push(MessageType.CONFIRM_BAUD, 0, b"", 0, now)
            return [SwitchRate(self._rates[1])]
        if self.state is LinkState.CONFIRMING:
            self._move(LinkEvent.DONE)
            self._listen_anew(None)
            return [RateKept(self._rates[1])]
        self._listen_anew(now if self._window else None)
        return [Answered(request.seq, payload)]

    def _refused(self, code: NakCode, now: float) -> list[Event]:
        request = self._window.pop()
        if self.state is LinkState.ASKING:
            self._move(LinkEvent.REFUSED)
            self._listen_anew(None)
            return [RateKept(self._rates[0])]
        if self.state is LinkState.CONFIRMING:
            return self._go_back(LinkEvent.REFUSED, now)
        self._listen_anew(now if self._window else None)
        return [Refused(request.seq, code)]

    # -- missing answers ----------------------------------------------------------------------

    def _expired(self, now: float) -> list[Event]:
        if self.state in {LinkState.ASKING, LinkState.CONFIRMING}:
            return self._go_back(LinkEvent.EXPIRED, now)
        if self.state is LinkState.RETURNING:
            self._move(LinkEvent.EXPIRED)
            return self._try_rate(self._rates[1], now)
        if not self._heard_bytes:
            return self._close(LinkEvent.EXPIRED, Fault.SILENT)
        fault = Fault.UNANSWERED if self._heard_frames else Fault.GARBAGE
        return self._close(LinkEvent.EXPIRED, fault)

    def _go_back(self, event: LinkEvent, now: float) -> list[Event]:
        self._move(event)
        return self._try_rate(self._rates[0], now)

    def _try_rate(self, divisor: int, now: float) -> list[Event]:
        hello = self._greeted
        self._baud = hello.clock_hz / divisor
        # A device whose reply was lost stays at the new rate until its timeout.
        self._hello(now, hello.confirm_clocks / hello.clock_hz + 4 * self.timing.margin_s)
        return [SwitchRate(divisor)]

    def _hurry(self, now: float) -> None:
        oldest = self._window.oldest
        if oldest is not None and not oldest.hurried:
            oldest.hurried = True
            self._repeat(now)

    def _repeat(self, now: float) -> None:
        self.repeats += 1
        # Send a delimiter first, to end a partial frame on the line.
        self._out += bytes([DELIMITER]) + self._window.again()
        self._waits_since = now

    # -- internal steps -----------------------------------------------------------------------

    def _hello(self, now: float, greeting_s: float) -> None:
        self._window = Window(self._next_hello, 1, 1 << 12)
        # Replies to an earlier greeting must not be mistaken for replies to this one.
        self._next_hello += 1 << 8
        self._out.clear()
        self._out.append(DELIMITER)
        self._listen_anew(None)
        self._give_up_at = now + greeting_s
        self._push(MessageType.HELLO, 0, HelloRequest().pack(), HelloReply.FORMAT.size, now)

    def _push(self, type_: int, job: int, payload: bytes, reply_bytes: int, now: float) -> int:
        request = self._window.push(type_, job, payload, reply_bytes)
        self._out += request.wire
        if self._waits_since is None:
            self._listen_anew(now)
        self._waits_since = now
        return request.seq

    def _listen_anew(self, since: float | None) -> None:
        """Reset the counts of retries and received data; wait from `since`, or not if None."""
        self._waits_since = since
        self._tries = self._heard_bytes = self._heard_frames = 0

    def _is_reset(self, status: bytes) -> bool:
        return len(status) >= _NONCE.size and (
            _NONCE.unpack_from(status)[0] != self._greeted.boot_nonce
        )

    def _reset(self) -> list[Event]:
        self._move(LinkEvent.RESET)
        self._end()
        return [WasReset()]

    def _close(self, event: LinkEvent, fault: Fault, detail: str = "") -> list[Event]:
        self._move(event)
        self._end()
        return [Closed(fault, detail)]

    def _end(self) -> None:
        self._window = Window(self._next_hello, 1, 1 << 12)
        self._out.clear()
        self._listen_anew(None)

    def _move(self, event: LinkEvent) -> None:
        self.state = after(self.state, event)

    @property
    def _greeted(self) -> HelloReply:
        if self.hello is None:
            raise LocalProtocolError("the handshake is not complete")
        return self.hello


def _is_usable(hello: HelloReply) -> bool:
    return (
        hello.window >= 1
        and hello.credit >= MAX_ENCODED_BYTES
        and hello.max_payload >= MAX_PAYLOAD_BYTES
        and hello.clock_hz >= DEFAULT_BAUD
        and hello.divisor > 0
    )
