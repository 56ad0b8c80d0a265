"""Send requests over a line with the link's state machine, in the port's thread."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple, NoReturn

from cwt_hwbridge.deadline import CancellableDeadline
from cwt_hwbridge.errors import (
    DeviceError,
    LinkDownError,
    NoAnswerError,
    RefusedError,
    ResetError,
    WrongDeviceError,
)
from cwt_hwbridge.line import MAX_WAIT_S, Line
from cwt_hwbridge.protocol import (
    Answered,
    Closed,
    Event,
    Fault,
    Greeted,
    Link,
    LinkTiming,
    RateKept,
    Refused,
    SwitchRate,
    WasReset,
)
from cwt_schemas.hwlink import DEFAULT_BAUD, MAX_ENCODED_BYTES, WINDOW, MessageType
from cwt_schemas.hwlink_layouts import HelloReply

__all__ = ["Ask", "LinkClient"]

#: Number of requests in flight from which answers are read several at a time.
BULK = WINDOW // 2
#: Pause between reads: the time of that many long answers, while other requests keep the line busy.
PAUSE_BITS = BULK * 10 * MAX_ENCODED_BYTES
#: Longest pause, which limits the delay of a device that is faster than its line.
LONGEST_PAUSE_S = 0.005


class Ask(NamedTuple):
    """One request, and the largest payload of its reply."""

    type: MessageType
    payload: bytes = b""
    job: int = 0
    reply_bytes: int = 0


class LinkClient:
    """Client of one device, used in the thread that owns the line.

    Parameters
    ----------
    line
        Open line at the device's rate.
    timing
        See `LinkTiming`.
    seq
        Number of the first request.
    """

    def __init__(self, line: Line, timing: LinkTiming, *, seq: int = 0) -> None:
        self._line = line
        self.link = Link(timing, seq=seq)

    def greet(self, deadline: CancellableDeadline) -> HelloReply:
        """Send HELLO until it is answered.

        Raises
        ------
        NoAnswerError, WrongDeviceError
            Nothing answers, or another device does.
        """
        baud = self._line.baud
        self.link.greet(time.monotonic(), baud=baud or DEFAULT_BAUD)
        for event in self._events(deadline):
            if isinstance(event, Greeted):
                return event.hello
            if isinstance(event, Closed):
                raise _greeting_error(event, baud)
        raise NoAnswerError("nothing answers")

    def change_rate(self, divisor: int, deadline: CancellableDeadline) -> int:
        """Change to another rate if the line supports it; return the divisor now in use."""
        self.link.change_rate(divisor, time.monotonic())
        for event in self._events(deadline):
            if isinstance(event, RateKept):
                return event.divisor
            self._fail(event)
        raise LinkDownError("the device stopped answering while the rate was changed")

    def ask(self, ask: Ask, deadline: CancellableDeadline) -> bytes:
        """Send one request and return the payload of its answer.

        Raises
        ------
        RefusedError, ResetError, LinkDownError, LineLostError
            The device refused the request or was reset, or the line failed.
        """
        return next(iter(self.stream([ask], deadline)))

    def stream(self, asks: Iterable[Ask], deadline: CancellableDeadline) -> Iterator[bytes]:
        """Send requests as fast as the window allows, and yield the answers in order.

        `asks` may be a generator that uses earlier answers: it is advanced only when the window has
        room. Answers to requests that an earlier operation abandoned are awaited first, because
        they would be mistaken for those of this operation.
        """
        self.settle(deadline)
        source = iter(asks)
        sent: deque[Ask] = deque()
        coming: Ask | None = None
        more = True
        while True:
            while more and (coming is not None or self.link.takes(0)):
                coming = coming or next(source, None)
                more = coming is not None
                if coming is None or not self.link.takes(len(coming.payload)):
                    break
                self._send(coming)
                sent.append(coming)
                coming = None
            if not sent:
                if more:
                    raise LinkDownError("the link to the device is not open")
                return
            for event in self._step(deadline):
                if isinstance(event, Answered):
                    sent.popleft()
                    yield event.payload
                elif isinstance(event, Refused):
                    raise _refused(sent.popleft(), event)
                else:
                    self._fail(event)

    def settle(self, deadline: CancellableDeadline) -> None:
        """Wait for the answers to all requests in flight, and discard them."""
        while self.link.unanswered:
            for event in self._step(deadline):
                self._fail(event)

    def _send(self, ask: Ask) -> None:
        now = time.monotonic()
        self.link.send(ask.type, ask.payload, now, job=ask.job, reply_bytes=ask.reply_bytes)

    def _events(self, deadline: CancellableDeadline) -> Iterator[Event]:
        """Yield events until no answer is pending."""
        while True:
            yield from self._step(deadline)
            if self.link.deadline is None:
                return

    def _step(self, deadline: CancellableDeadline) -> list[Event]:
        """Write pending bytes, read received ones, and process the time."""
        deadline.check()
        data = self.link.data_to_send()
        if data:
            self._line.write(data)
        if self.link.unanswered >= BULK:
            # Reading a few bytes at a time is expensive; the window bridges this pause.
            time.sleep(min(LONGEST_PAUSE_S, PAUSE_BITS / self._line.baud))
        now = time.monotonic()
        link_deadline = self.link.deadline
        wait = (
            MAX_WAIT_S if link_deadline is None else min(MAX_WAIT_S, max(0.0, link_deadline - now))
        )
        received = self._line.read(min(wait, max(0.0, deadline.left_s)))
        now = time.monotonic()
        events = self.link.receive(received, now) if received else []
        events += self.link.tick(now)
        for event in events:
            if isinstance(event, SwitchRate) and self.link.hello is not None:
                self._line.set_baud(round(self.link.hello.clock_hz / event.divisor))
        return events

    def _fail(self, event: Event) -> None:
        if isinstance(event, WasReset):
            raise ResetError("the device was reset and lost its operation")
        if isinstance(event, Closed):
            _down(event)


def _refused(ask: Ask, event: Refused) -> RefusedError:
    name = event.code.name
    return RefusedError(f"the device refused {ask.type.name} with {name}", name)


def _greeting_error(event: Closed, baud: int) -> DeviceError:
    if event.fault is Fault.SILENT:
        return NoAnswerError(
            "no answer: check that the gateware is loaded and that this is the board's second port"
        )
    if event.fault is Fault.GARBAGE:
        return WrongDeviceError(
            f"the data received at {baud} baud is not this project's protocol: check that "
            "CWT_HW_PORTS names a Tang Nano 9K with this project's gateware"
        )
    if event.fault is Fault.VERSION:
        return WrongDeviceError(
            f"the device speaks another protocol: {event.detail}; load the gateware of this release"
        )
    return WrongDeviceError(
        "the device is not one of this project: check that the right gateware is loaded"
    )


def _down(event: Closed) -> NoReturn:
    if event.fault is Fault.VERSION:
        raise WrongDeviceError(
            f"the device speaks another protocol: {event.detail}; load the gateware of this release"
        )
    if event.fault is Fault.SILENT:
        raise LinkDownError("the device stopped answering")
    raise LinkDownError(f"the device sends invalid replies: {event.fault.value}")
