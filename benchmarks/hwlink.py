"""``python -m benchmarks.hwlink``: how much of a serial line's rate bulk transfers use.

The device is the gateware in Verilator, with every bit of the line; the host is a few lines here
that keep the window full. Times are counted in clocks of the device, so no machine changes them.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cobs import cobs

from gateware.identity import CLOCK_HZ
from gateware.sim.engine import Engine
from gateware.sim.engines import chosen_engine
from schemas.hwlink import (
    NAK,
    RECEIVE_CREDIT,
    REPLY,
    WINDOW,
    MessageType,
)
from schemas.hwlink_layouts import (
    Header,
    HelloRequest,
    SetBaud,
)

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks-hwlink.md"
FIRST_DIVISOR = 234
DIVISORS = (FIRST_DIVISOR, 27, 9)
LATENCIES_MS = (0.0, 1.0, 4.0)

#: Looked at the line so often; fewer clocks than a byte takes.
STRIDE = 64


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """What went over the line.

    Attributes
    ----------
    useful_bytes
        Coefficients, samples or outputs alone, in the direction that is called.
    clocks
        From the first byte of the first request to the last byte of the last reply.
    """

    useful_bytes: int
    clocks: int
    divisor: int

    @property
    def efficiency(self) -> float:
        """Useful bytes in units of what the line could carry in that time."""
        return self.useful_bytes * 10 * self.divisor / self.clocks


class Line:
    """A host that keeps a window of requests on their way, `latency_ms` away on each side."""

    def __init__(self, engine: Engine, latency_ms: float = 0.0) -> None:
        self._engine = engine
        self._latency = round(latency_ms * CLOCK_HZ / 1000)
        self._clock = 0
        self._seq = 0
        self._reply = b""

    def hello(self) -> None:
        """Begin a session; the next number is 1."""
        self._seq = 0
        self.transfer([(MessageType.HELLO, HelloRequest().pack(), 0)])

    def set_divisor(self, divisor: int) -> None:
        """Change the rate on both ends, and confirm it."""
        self.transfer([(MessageType.SET_BAUD, SetBaud(divisor=divisor).pack(), 0)])
        self._engine.set_host_divisor(divisor)
        self.transfer([(MessageType.CONFIRM_BAUD, b"", 0)])

    def transfer(self, requests: list[tuple[MessageType, bytes, int]]) -> tuple[list[bytes], int]:
        """Return the replies' payloads, and the clocks from first to last byte."""
        frames = deque(self._frames(requests))
        begin = self._clock
        on_the_way: deque[tuple[int, bytes]] = deque()
        returning: deque[tuple[int, bytes]] = deque()
        unanswered: deque[int] = deque()
        waiting, payloads = b"", []
        while frames or unanswered:
            while (
                frames
                and len(unanswered) < WINDOW
                and (sum(unanswered) + len(frames[0]) <= RECEIVE_CREDIT)
            ):
                unanswered.append(len(frames[0]))
                on_the_way.append((self._clock + self._latency, frames.popleft()))
            while on_the_way and on_the_way[0][0] <= self._clock:
                waiting += on_the_way.popleft()[1]
            taken, sent, _, clocks = self._engine.run(waiting, STRIDE)
            waiting = waiting[taken:]
            # At rest the simulator stops, and the host's time goes on.
            self._clock += max(clocks, 1)
            self._reply += sent
            while b"\0" in self._reply:
                encoded, _, self._reply = self._reply.partition(b"\0")
                returning.append((self._clock + self._latency, encoded))
            while returning and returning[0][0] <= self._clock:
                payloads.append(payload_of(returning.popleft()[1]))
                unanswered.popleft()
        return payloads, self._clock - begin

    def _frames(self, requests: list[tuple[MessageType, bytes, int]]) -> Iterator[bytes]:
        for kind, payload, job in requests:
            body = Header(type=kind, seq=self._seq, job=job).pack() + payload
            self._seq += 1
            yield bytes(cobs.encode(body + zlib.crc32(body).to_bytes(4, "little"))) + b"\0"


def payload_of(encoded: bytes) -> bytes:
    """Return a reply's payload.

    Raises
    ------
    ValueError
        If it is a refusal, or damaged.
    """
    body = cobs.decode(encoded)
    header = Header.unpack(body)
    if header.type == NAK or not header.type & REPLY or zlib.crc32(body) != 0x2144DF1C:
        raise ValueError(f"refused or damaged: {body.hex(' ')}")
    return bytes(body[Header.FORMAT.size : -4])


def opened_line(folder: Path, divisor: int, latency_ms: float = 0.0) -> Line:
    """Return a line at that rate to a device that has just been switched on."""
    line = Line(chosen_engine("serial", "verilator", folder, entropy=1).engine, latency_ms)
    line.hello()
    if divisor != FIRST_DIVISOR:
        line.set_divisor(divisor)
    return line
