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
    """Fixed fields, in wire order."""

    FORMAT: ClassVar[struct.Struct]

    def pack(self) -> bytes:
        """Return the bytes; raise `struct.error` for a value outside the range of its field."""
        return self.FORMAT.pack(*astuple(self))

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """Return the fields at the beginning of `data`; raise `struct.error` if it is too short."""
        names = [field.name for field in fields(cls)]
        return cls(**dict(zip(names, cls.FORMAT.unpack_from(data), strict=True)))


@dataclass(frozen=True, kw_only=True)
class Header(Layout):
    """Header of every frame."""

    FORMAT: ClassVar = struct.Struct("<BBHH")
    version: int = PROTOCOL_VERSION
    type: int
    seq: int
    job: int = 0


@dataclass(frozen=True, kw_only=True)
class HelloRequest(Layout):
    """Identification of the host."""

    FORMAT: ClassVar = struct.Struct("<4s")
    magic: bytes = MAGIC


@dataclass(frozen=True, kw_only=True)
class HelloReply(Layout):
    """Identification and capacities of the device."""

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
    """A refusal: the code, the refused type, and the sequence number that the device expects."""

    FORMAT: ClassVar = struct.Struct("<BBH")
    code: int
    type: int
    expected: int


@dataclass(frozen=True, kw_only=True)
class Status(Layout):
    """State and counters of the device."""

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
    """Position of the coefficients that follow."""

    FORMAT: ClassVar = struct.Struct("<HH")
    first: int
    reserved: int = 0


@dataclass(frozen=True, kw_only=True)
class LoadFilters(Layout):
    """Position of the filters that follow."""

    FORMAT: ClassVar = struct.Struct("<HH")
    first: int
    reserved: int = 0


@dataclass(frozen=True, kw_only=True)
class FilterEntry(Layout):
    """One filter: its coefficients, the shift of the sum, and log2 of its step."""

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
    """Self-test: the filter bank with samples that the device generates."""

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
    """Bins `first` to `first` + `count` - 1 of a row; the reply repeats this before the counts."""

    FORMAT: ClassVar = struct.Struct("<HBB")
    row: int
    first: int
    count: int
