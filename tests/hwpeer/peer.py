"""The device's side of the link, after the rules of ``docs/hardware-link.md``."""

from __future__ import annotations

import struct
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from cwt_schemas.hwlink import (
    BAD_FRAMES_TO_DEFAULT_RATE,
    NAK,
    PROTOCOL_VERSION,
    WINDOW,
    Feature,
    MessageType,
    NakCode,
)
from cwt_schemas.hwlink_layouts import (
    FilterEntry,
    FirIo,
    FirReply,
    FirStart,
    HelloReply,
    HelloRequest,
    Histogram,
    LoadCoeffs,
    LoadFilters,
    McStart,
    Nak,
    Selftest,
    SetBaud,
    Status,
)
from tests.hwpeer.wire import seal, unseal
from tests.hwpeer.work import RefusalError, Work

Handler = Callable[[bytes], bytes]


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Description that the device reports of itself."""

    boot_nonce: int = 0x1234
    clock_hz: int = 27_000_000
    features: int = Feature.FIR | Feature.SELFTEST | Feature.MC | Feature.BAUD | Feature.SIMULATED
    protocol: int = PROTOCOL_VERSION
    version: int = PROTOCOL_VERSION
    magic: bytes = b"CWTM"
    build_hash: bytes = bytes(range(8))
    confirm_s: float = 0.2


class DevicePeer:
    """Bytes in, bytes out; `divisor` sets the rate at which it sends and receives."""

    def __init__(self, identity: Identity | None = None) -> None:
        self.identity = identity or Identity()
        self.power_up()
        #: Requests that were executed, by type, for tests to look at.
        self.executed: list[MessageType] = []

    def power_up(self, boot_nonce: int | None = None) -> None:
        """Forget everything."""
        if boot_nonce is not None:
            self.identity = replace(self.identity, boot_nonce=boot_nonce)
        self.work = Work()
        self.divisor = self.first_divisor = round(self.identity.clock_hz / 115_200)
        self._expected = 0
        self._session = False
        self._kept: OrderedDict[int, bytes] = OrderedDict()
        self._rest = b""
        self._bad = self._bad_in_a_row = 0
        self._unconfirmed: tuple[int, float] | None = None
        self._after_reply: Callable[[], None] | None = None

    def feed(self, data: bytes, now: float = 0.0) -> bytes:
        """Return the replies to the received bytes."""
        if self._unconfirmed and now >= self._unconfirmed[1]:
            self.divisor, self._unconfirmed = self._unconfirmed[0], None
        self._now = now
        *pieces, self._rest = (self._rest + data).split(b"\x00")
        self._rest = self._rest[-300:]
        return b"".join(self._piece(piece) for piece in pieces if piece)

    def reset(self) -> None:
        """As after power-up, with another nonce."""
        self.power_up(self.identity.boot_nonce + 1)

    # -- rules --------------------------------------------------------------------------------

    def _piece(self, piece: bytes) -> bytes:
        body = unseal(piece)
        if body is None:
            self._bad += 1
            self._bad_in_a_row += 1
            if self._bad_in_a_row == BAD_FRAMES_TO_DEFAULT_RATE:
                self.divisor = self.first_divisor
            return self._nak(NakCode.BAD_FRAME, 0, self._expected, 0)
        self._bad_in_a_row = 0
        version, kind, seq, job = struct.unpack("<BBHH", body[:6])
        payload = body[6:]
        if version != self.identity.version:
            return self._nak(NakCode.VERSION, kind, seq, job)
        if kind == MessageType.HELLO:
            return self._hello(seq, job, payload)
        if not self._session:
            return self._nak(NakCode.NO_SESSION, kind, seq, job)
        if seq in self._kept:
            return self._kept[seq]
        if seq != self._expected:
            return self._nak(NakCode.SEQUENCE, kind, seq, job)
        self._expected = (seq + 1) & 0xFFFF
        reply = self._execute(kind, seq, job, payload)
        self._kept[seq] = reply
        while len(self._kept) > WINDOW:
            self._kept.popitem(last=False)
        if self._after_reply:
            after, self._after_reply = self._after_reply, None
            after()
        return reply

    def _hello(self, seq: int, job: int, payload: bytes) -> bytes:
        if len(payload) != HelloRequest.FORMAT.size:
            return self._nak(NakCode.LENGTH, MessageType.HELLO, seq, job)
        if payload != HelloRequest().magic:
            return self._nak(NakCode.RANGE, MessageType.HELLO, seq, job)
        self._session, self._expected = True, (seq + 1) & 0xFFFF
        self._kept.clear()
        own = self.identity
        hello = HelloReply(
            magic=own.magic, protocol=own.protocol, boot_nonce=own.boot_nonce,
            build_hash=own.build_hash, clock_hz=own.clock_hz,
            confirm_clocks=round(own.confirm_s * own.clock_hz), features=int(own.features),
            divisor=self.divisor, lanes=2, coefficients=2048, taps=256, coefficient_bits=16,
            sample_bits=16,
        )  # fmt: skip
        return self._frame(MessageType.HELLO | 0x80, seq, job, hello.pack())

    def _execute(self, kind: int, seq: int, job: int, payload: bytes) -> bytes:
        handlers: dict[int, Handler] = {
            MessageType.STATUS: self._status,
            MessageType.SET_BAUD: self._set_baud,
            MessageType.CONFIRM_BAUD: self._confirm_baud,
            MessageType.RESET: self._reset_request,
            MessageType.ABORT: self._abort,
            MessageType.LOAD_COEFFS: self._load_coeffs,
            MessageType.LOAD_FILTERS: self._load_filters,
            MessageType.FIR_START: self._fir_start,
            MessageType.FIR_IO: self._fir_io,
            MessageType.SELFTEST: self._selftest,
            MessageType.MC_START: self._mc_start,
            MessageType.MC_HISTOGRAM: self._mc_histogram,
        }
        self._job = job
        try:
            if kind not in handlers or not self._has(kind):
                raise RefusalError(NakCode.TYPE)
            try:
                reply = handlers[kind](payload)
            except (struct.error, ValueError):
                raise RefusalError(NakCode.LENGTH) from None
        except RefusalError as refusal:
            return self._nak(refusal.code, kind, seq, job)
        self.executed.append(MessageType(kind))
        return self._frame(kind | 0x80, seq, job, reply)

    def _has(self, kind: int) -> bool:
        features = Feature(self.identity.features)
        needed = {
            MessageType.SET_BAUD: Feature.BAUD,
            MessageType.CONFIRM_BAUD: Feature.BAUD,
            MessageType.FIR_START: Feature.FIR,
            MessageType.FIR_IO: Feature.FIR,
            MessageType.SELFTEST: Feature.SELFTEST,
            MessageType.MC_START: Feature.MC,
            MessageType.MC_HISTOGRAM: Feature.MC,
        }
        return kind not in needed or needed[MessageType(kind)] in features

    # -- requests -----------------------------------------------------------------------------

    def _status(self, payload: bytes) -> bytes:
        _empty(payload)
        self.work.go_on()
        work = self.work
        return Status(
            boot_nonce=self.identity.boot_nonce, state=work.state, job=work.job,
            bad_frames=min(self._bad, 0xFFFF), saturations=work.saturations, done=work.done,
            total=work.total, outputs=work.made, signature=work.signature, sample_room=1024,
            outputs_ready=min(len(work.outputs), 512),
        ).pack()  # fmt: skip

    def _set_baud(self, payload: bytes) -> bytes:
        divisor = SetBaud(divisor=struct.unpack("<H", payload)[0]).divisor
        if divisor < 8:
            raise RefusalError(NakCode.RANGE)

        def change() -> None:
            self._unconfirmed = (self.divisor, self._now + self.identity.confirm_s)
            self.divisor = divisor

        self._after_reply = change
        return b""

    def _confirm_baud(self, payload: bytes) -> bytes:
        _empty(payload)
        self._unconfirmed = None
        return b""

    def _reset_request(self, payload: bytes) -> bytes:
        _empty(payload)
        self._after_reply = self.reset
        return b""

    def _abort(self, payload: bytes) -> bytes:
        _empty(payload)
        self.work.abort()
        return b""

    def _load_coeffs(self, payload: bytes) -> bytes:
        first = LoadCoeffs.unpack(payload).first
        values = np.frombuffer(payload[4:], "<i2").reshape(-1, 2)
        self.work.load_coefficients(first, values)
        return b""

    def _load_filters(self, payload: bytes) -> bytes:
        first = LoadFilters.unpack(payload).first
        size = FilterEntry.FORMAT.size
        if (len(payload) - 4) % size:
            raise ValueError(payload)
        entries = [FilterEntry.unpack(payload[at:]) for at in range(4, len(payload), size)]
        self.work.load_filters(first, entries)
        return b""

    def _fir_start(self, payload: bytes) -> bytes:
        start = FirStart.unpack(payload)
        self.work.fir_start(self._job, start.octaves, start.rows, start.decimator)
        return b""

    def _fir_io(self, payload: bytes) -> bytes:
        first = FirIo.unpack(payload).first
        samples = np.frombuffer(payload[4:], "<i2")
        at, room, outputs = self.work.fir_io(self._job, first, samples)
        return FirReply(first=at, sample_room=room).pack() + outputs.astype("<i2").tobytes()

    def _selftest(self, payload: bytes) -> bytes:
        self.work.selftest(self._job, Selftest.unpack(payload))
        return b""

    def _mc_start(self, payload: bytes) -> bytes:
        self.work.mc_start(self._job, McStart.unpack(payload))
        return b""

    def _mc_histogram(self, payload: bytes) -> bytes:
        asked = Histogram.unpack(payload)
        counts = self.work.mc_counts(self._job, asked.row, asked.first, asked.count)
        return asked.pack() + counts.astype("<u4").tobytes()

    # -- frames -------------------------------------------------------------------------------

    def _frame(self, kind: int, seq: int, job: int, payload: bytes) -> bytes:
        return seal(struct.pack("<BBHH", self.identity.version, kind, seq, job) + payload)

    def _nak(self, code: NakCode, kind: int, seq: int, job: int) -> bytes:
        nak = Nak(code=code, type=kind, expected=self._expected)
        return self._frame(NAK, seq, job, nak.pack())


def _empty(payload: bytes) -> None:
    if payload:
        raise ValueError(payload)
