"""``python -m benchmarks.hwlink``: efficiency of bulk transfers on the serial line.

The device is the gateware in Verilator, with every bit of the line. The host is a short loop in
this module that keeps the window full. Times are counted in clocks of the device, so they do not
depend on the machine.
"""

from __future__ import annotations

import argparse
import zlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cobs import cobs

from cwt_gateware.identity import CLOCK_HZ
from cwt_gateware.sim.engine import Engine
from cwt_gateware.sim.engines import chosen_engine
from cwt_schemas.hwlink import (
    COEFFS_PER_FRAME,
    MAX_ENCODED_BYTES,
    NAK,
    OUTPUTS_PER_FRAME,
    RECEIVE_CREDIT,
    REPLY,
    WINDOW,
    MessageType,
)
from cwt_schemas.hwlink_layouts import (
    FilterEntry,
    FirIo,
    FirReply,
    FirStart,
    Header,
    HelloRequest,
    LoadCoeffs,
    LoadFilters,
    SetBaud,
)

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks-hwlink.md"
FIRST_DIVISOR = 234
DIVISORS = (FIRST_DIVISOR, 27, 9)
LATENCIES_MS = (0.0, 1.0)

JOB = 1

TEXT = """\
# Efficiency of bulk transfers on the serial line

`python -m benchmarks.hwlink` measured the figures and wrote this page. The device is the gateware
in Verilator, with every bit of the line, not a board. The host keeps a window of 8 requests in
flight and sends {frames} full frames of each kind.

"latency" is the delay that the host and its USB add in each direction. "efficiency" is the rate of
coefficients or outputs in one direction, divided by the capacity of the line in that direction (a
byte takes 10 bits). Headers, checksums and encoding limit it to {most:.1f} %.

| baud | latency | payload | rate | efficiency |
|---|---|---|---|---|
"""

#: Clocks between two reads of the line, fewer than a byte takes.
STRIDE = 64


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """A transfer over the line.

    Attributes
    ----------
    useful_bytes
        Bytes of coefficients, samples or outputs only, in the measured direction.
    clocks
        Clocks from the first byte of the first request to the last byte of the last reply.
    """

    useful_bytes: int
    clocks: int
    divisor: int

    @property
    def efficiency(self) -> float:
        """Useful bytes divided by the capacity of the line in that time."""
        return self.useful_bytes * 10 * self.divisor / self.clocks


class Line:
    """A host that keeps a window of requests in flight, with a delay of `latency_ms` each way."""

    def __init__(self, engine: Engine, latency_ms: float = 0.0) -> None:
        self._engine = engine
        self._latency = round(latency_ms * CLOCK_HZ / 1000)
        self._clock = 0
        self._seq = 0
        self._reply = b""

    def hello(self) -> None:
        """Start a session; the next sequence number is 1."""
        self._seq = 0
        self.transfer([(MessageType.HELLO, HelloRequest().pack(), 0)])

    def set_divisor(self, divisor: int) -> None:
        """Change the rate on both ends, and confirm it."""
        self.transfer([(MessageType.SET_BAUD, SetBaud(divisor=divisor).pack(), 0)])
        # The last stop bit must end before the first start bit at the new rate.
        self._clock += self._engine.run(b"", 10 * FIRST_DIVISOR).clocks
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
            # The simulator stops while idle, but the host's time continues.
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
        The reply is a refusal, or corrupted.
    """
    body = cobs.decode(encoded)
    header = Header.unpack(body)
    if header.type == NAK or not header.type & REPLY or zlib.crc32(body) != 0x2144DF1C:
        raise ValueError(f"refused or damaged: {body.hex(' ')}")
    return bytes(body[Header.FORMAT.size : -4])


def opened_line(folder: Path, divisor: int, latency_ms: float = 0.0) -> Line:
    """Return a line at the given rate to a device after power-up."""
    line = Line(chosen_engine("serial", "verilator", folder, entropy=1).engine, latency_ms)
    line.hello()
    if divisor != FIRST_DIVISOR:
        line.set_divisor(divisor)
    return line


def bulk(line: Line, divisor: int, frames: int) -> dict[str, Transfer]:
    """Return the transfers of `frames` full frames of each kind.

    The filter bank has one filter with one tap, so that there are as many outputs as samples and
    only the line limits the rate.
    """
    load = [
        (
            MessageType.LOAD_COEFFS,
            LoadCoeffs(first=COEFFS_PER_FRAME * (number % 30)).pack() + bytes(4 * COEFFS_PER_FRAME),
            0,
        )
        for number in range(frames)
    ]
    _, clocks = line.transfer(load)
    transfers = {
        "coefficients to the device": Transfer(
            useful_bytes=4 * COEFFS_PER_FRAME * frames, clocks=clocks, divisor=divisor
        )
    }
    one_tap = LoadFilters(first=0).pack() + FilterEntry(start=0, length=1, shift=0).pack()
    start = FirStart(octaves=1, rows=1, decimator=0).pack()
    line.transfer([(MessageType.LOAD_FILTERS, one_tap, 0), (MessageType.FIR_START, start, JOB)])

    # Send as many samples as outputs fit into the reply; a sample has half the bytes.
    samples = OUTPUTS_PER_FRAME
    io = [
        (MessageType.FIR_IO, FirIo(first=samples * number).pack() + bytes(2 * samples), JOB)
        for number in range(frames)
    ]
    replies, clocks = line.transfer(io)
    outputs = sum(len(reply) - FirReply.FORMAT.size for reply in replies)
    transfers["outputs of the filter bank, with samples to the device"] = Transfer(
        useful_bytes=outputs, clocks=clocks, divisor=divisor
    )
    return transfers


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hwlink", description=__doc__)
    parser.add_argument("--frames", type=int, default=64, help="frames of each kind")
    parser.add_argument(
        "--folder", type=Path, default=Path("var/gateware"), help="folder of compiled designs"
    )
    parser.add_argument("--output", type=Path, default=PAGE)
    options = parser.parse_args()
    rows = []
    for divisor in DIVISORS:
        for latency_ms in LATENCIES_MS:
            line = opened_line(options.folder, divisor, latency_ms)
            for what, transfer in bulk(line, divisor, options.frames).items():
                rows.append(
                    f"| {CLOCK_HZ / divisor:,.0f} | {latency_ms:g} ms | {what} "
                    f"| {transfer.useful_bytes * CLOCK_HZ / transfer.clocks / 1000:.1f} kB/s "
                    f"| {100 * transfer.efficiency:.1f} % |"
                )
                print(rows[-1])
    options.output.write_text(
        TEXT.format(frames=options.frames, most=100 * 4 * COEFFS_PER_FRAME / MAX_ENCODED_BYTES)
        + "\n".join(rows)
        + "\n"
    )


if __name__ == "__main__":
    main()
