"""What requests consist of, and which features they need."""

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
    """Of a request's payload: the fixed part, then items of some bytes, at least `least`."""

    fixed: type[Layout] | None = None
    item_bytes: int = 0
    least: int = 0

    @property
    def fixed_bytes(self) -> int:
        """Bytes of the fixed part."""
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

#: A request that is not here needs no feature, or one of several.
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

#: Requests that start a job: their fixed part is the job's settings, and stays as long as it runs.
STARTS = (MessageType.FIR_START, MessageType.SELFTEST, MessageType.MC_START)
SETTINGS_BYTES = McStart.FORMAT.size
SEED_BYTES = 16

#: Bytes of the longest item, and of the longest fixed part that starts no job.
ITEM_BYTES = FilterEntry.FORMAT.size


def offered(features: Feature) -> list[MessageType]:
    """Return the requests that a design with these features answers."""
    return [message for message in MessageType if message not in NEEDS or features & NEEDS[message]]
