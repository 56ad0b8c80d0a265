"""The shapes of requests, and the features that they need."""

from __future__ import annotations

from dataclasses import dataclass

from cwt_schemas.hwlink import Feature, MessageType
from cwt_schemas.hwlink_layouts import (
    FilterEntry,
    FirIo,
    FirStart,
    HelloRequest,
    Histogram,
    Layout,
    LoadCoeffs,
    LoadFilters,
    McStart,
    Selftest,
    SetBaud,
)

__all__ = ["ITEM_BYTES", "SEED_BYTES", "SETTINGS_BYTES", "SHAPES", "STARTS", "Shape", "offered"]


@dataclass(frozen=True)
class Shape:
    """Shape of a payload: a fixed part, then at least `least` items of a fixed size."""

    fixed: type[Layout] | None = None
    item_bytes: int = 0
    least: int = 0

    @property
    def fixed_bytes(self) -> int:
        """Size of the fixed part in bytes."""
        return self.fixed.FORMAT.size if self.fixed else 0


SHAPES = {
    MessageType.HELLO: Shape(HelloRequest),
    MessageType.STATUS: Shape(),
    MessageType.SET_BAUD: Shape(SetBaud),
    MessageType.CONFIRM_BAUD: Shape(),
    MessageType.RESET: Shape(),
    MessageType.ABORT: Shape(),
    MessageType.LOAD_COEFFS: Shape(LoadCoeffs, 4, 1),
    MessageType.LOAD_FILTERS: Shape(LoadFilters, FilterEntry.FORMAT.size, 1),
    MessageType.FIR_START: Shape(FirStart),
    MessageType.FIR_IO: Shape(FirIo, 2),
    MessageType.SELFTEST: Shape(Selftest),
    MessageType.MC_START: Shape(McStart),
    MessageType.MC_HISTOGRAM: Shape(Histogram),
}

#: Features that requests need; other requests need none, or one of several.
NEEDS = {
    MessageType.SET_BAUD: Feature.BAUD,
    MessageType.CONFIRM_BAUD: Feature.BAUD,
    MessageType.LOAD_COEFFS: Feature.FIR | Feature.MC,
    MessageType.LOAD_FILTERS: Feature.FIR | Feature.MC,
    MessageType.FIR_START: Feature.FIR,
    MessageType.FIR_IO: Feature.FIR,
    MessageType.SELFTEST: Feature.SELFTEST,
    MessageType.MC_START: Feature.MC,
    MessageType.MC_HISTOGRAM: Feature.MC,
}

#: Requests that start a job; their fixed part has the settings, which stay stable during the job.
STARTS = (MessageType.FIR_START, MessageType.SELFTEST, MessageType.MC_START)
SETTINGS_BYTES = McStart.FORMAT.size
SEED_BYTES = 16

#: Bytes of the longest item, and of the longest fixed part of a request that does not start a job.
ITEM_BYTES = FilterEntry.FORMAT.size


def offered(features: Feature) -> list[MessageType]:
    """Return the requests that a design with these features supports."""
    return [message for message in MessageType if message not in NEEDS or features & NEEDS[message]]
