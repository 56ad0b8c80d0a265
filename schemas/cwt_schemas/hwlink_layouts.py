"""The payloads of the serial link to the FPGA, field by field; all integers little endian.

Lists of samples, coefficients, outputs and counts follow the fixed part of their message and are
plain arrays (``<i2``, ``<i2`` pairs, ``<i2`` pairs, ``<u4``); ``docs/hardware-link.md`` shows them.
"""

from __future__ import annotations

import struct
from dataclasses import astuple, dataclass, fields
from typing import ClassVar, Self

from cwt_schemas.hwlink import MAGIC, MAX_PAYLOAD_BYTES, PROTOCOL_VERSION, RECEIVE_CREDIT, WINDOW

__all__ = [
    "FilterEntry",
    "FirIo",
    "FirReply",
    "FirStart",
    "Header",
    "HelloReply",
    "HelloRequest",
    "Histogram",
    "Layout",
    "LoadCoeffs",
    "LoadFilters",
    "McStart",
    "Nak",
    "Selftest",
    "SetBaud",
    "Status",
]


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Fixed fields, in the order in which they travel."""

    FORMAT: ClassVar[struct.Struct]

    def pack(self) -> bytes:
        """Return the bytes; `struct.error` for a value that its field cannot hold."""
        return self.FORMAT.pack(*astuple(self))

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """Read the fields from the beginning of `data`; `struct.error` when it is too short."""
        names = [field.name for field in fields(cls)]
        return cls(**dict(zip(names, cls.FORMAT.unpack_from(data), strict=True)))


@dataclass(frozen=True, kw_only=True)
class Header(Layout):
    """Before every payload."""

    FORMAT: ClassVar = struct.Struct("<BBHH")
    version: int = PROTOCOL_VERSION
    type: int
    seq: int
    job: int = 0


@dataclass(frozen=True, kw_only=True)
class HelloRequest(Layout):
    """Who is asking."""

    FORMAT: ClassVar = struct.Struct("<4s")
    magic: bytes = MAGIC


@dataclass(frozen=True, kw_only=True)
class HelloReply(Layout):
    """What answers, and what it can hold."""

    FORMAT: ClassVar = struct.Struct("<4sHHI8sIIIHHHHHHHH")
    magic: bytes = MAGIC
    protocol: int = PROTOCOL_VERSION
    max_payload: int = MAX_PAYLOAD_BYTES
    boot_nonce: int
    build_hash: bytes
    clock_hz: int
    confirm_clocks: int
    features: int
    divisor: int
    window: int = WINDOW
    credit: int = RECEIVE_CREDIT
    lanes: int
    coefficients: int
    taps: int
    coefficient_bits: int
    sample_bits: int


@dataclass(frozen=True, kw_only=True)
class Nak(Layout):
    """A refusal: the code, the type refused, and the number that the device expects next."""

    FORMAT: ClassVar = struct.Struct("<BBH")
    code: int
    type: int
    expected: int


@dataclass(frozen=True, kw_only=True)
class Status(Layout):
    """What the device is doing and has done."""

    FORMAT: ClassVar = struct.Struct("<IHHHHIIIIHH")
    boot_nonce: int
    state: int
    job: int
    bad_frames: int
    saturations: int
    done: int
    total: int
    outputs: int
    signature: int
    sample_room: int
    outputs_ready: int


@dataclass(frozen=True, kw_only=True)
class SetBaud(Layout):
    """Clocks per bit."""

    FORMAT: ClassVar = struct.Struct("<H")
    divisor: int


@dataclass(frozen=True, kw_only=True)
class LoadCoeffs(Layout):
    """Where the coefficients that follow go."""

    FORMAT: ClassVar = struct.Struct("<HH")
    first: int
    reserved: int = 0


@dataclass(frozen=True, kw_only=True)
class LoadFilters(Layout):
    """Where the filters that follow go."""

    FORMAT: ClassVar = struct.Struct("<HH")
    first: int
    reserved: int = 0


@dataclass(frozen=True, kw_only=True)
class FilterEntry(Layout):
    """One filter: which coefficients, how far the sum is shifted, log2 of its step."""

    FORMAT: ClassVar = struct.Struct("<HHBBH")
    start: int
    length: int
    shift: int
    step: int = 0
    reserved: int = 0


@dataclass(frozen=True, kw_only=True)
class FirStart(Layout):
    """Filters 0 to `rows` - 1 in every octave, and the filter that halves the rate."""

    FORMAT: ClassVar = struct.Struct("<HHH")
    octaves: int
    rows: int
    decimator: int


@dataclass(frozen=True, kw_only=True)
class FirIo(Layout):
    """The position of the first sample that follows; modulo 2**32."""

    FORMAT: ClassVar = struct.Struct("<I")
    first: int


@dataclass(frozen=True, kw_only=True)
class FirReply(Layout):
    """The position of the first output that follows, and the room for samples."""

    FORMAT: ClassVar = struct.Struct("<IHH")
    first: int
    sample_room: int
    reserved: int = 0


@dataclass(frozen=True, kw_only=True)
class Selftest(Layout):
    """The filter bank on samples that the device makes itself."""

    FORMAT: ClassVar = struct.Struct("<HHHHII")
    octaves: int
    rows: int
    decimator: int
    reserved: int = 0
    seed: int
    samples: int


@dataclass(frozen=True, kw_only=True)
class McStart(Layout):
    """One octave of the null distribution of coherence."""

    FORMAT: ClassVar = struct.Struct("<16sIIhhHHHHHHHHH")
    seed: bytes
    warmup: int
    instants: int
    a1: int
    a2: int
    noise_shift: int
    decimations: int
    step: int
    rows: int
    first: int
    count: int
    product_shift: int
    decimator: int
    boxcar: int


@dataclass(frozen=True, kw_only=True)
class Histogram(Layout):
    """Bins `first` to `first` + `count` - 1 of a binned row; the reply repeats it, then counts."""

    FORMAT: ClassVar = struct.Struct("<HBB")
    row: int
    first: int
    count: int
