"""Limit checks as combinational signals."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Const

from cwt_gateware.layouts import unpack
from cwt_schemas.hwlink import (
    COEFFICIENTS,
    COUNTS_PER_FRAME,
    FILTERS,
    HISTOGRAM_BINS,
    MAGIC,
    MAX_DIVISOR,
    MAX_OCTAVES,
    MAX_ROWS,
    MAX_SHIFT,
    MAX_STEP,
    MAX_TAPS,
    MC_MAX_BINNED_ROWS,
    MC_MAX_DECIMATIONS,
    MC_MAX_NOISE_SHIFT,
    MC_MAX_ROWS,
    MIN_DIVISOR,
    MessageType,
)
from cwt_schemas.hwlink_layouts import (
    FirStart,
    HelloRequest,
    Histogram,
    LoadCoeffs,
    McStart,
    Selftest,
    SetBaud,
)

__all__ = ["at_most", "entry_fits", "limits"]


def limits(item: Any, settings: Any, items: Any) -> dict[MessageType, Any]:
    """Return for each request with limits whether it respects them.

    The fixed part is the end of `settings` for requests that start a job, else of `item`; `items`
    follow.
    """
    load = unpack(item[-32:], LoadCoeffs)
    test = unpack(settings, Selftest)
    histogram = unpack(item, Histogram)
    divisor = unpack(item, SetBaud)["divisor"]
    magic = unpack(item, HelloRequest)["magic"]
    return {
        MessageType.HELLO: magic == int.from_bytes(MAGIC, "little"),
        MessageType.SET_BAUD: within(divisor, MIN_DIVISOR, MAX_DIVISOR),
        MessageType.LOAD_COEFFS: ends_in(load["first"], items, COEFFICIENTS),
        MessageType.LOAD_FILTERS: ends_in(load["first"], items, FILTERS),
        MessageType.FIR_START: bank_fits(unpack(settings, FirStart)),
        MessageType.SELFTEST: bank_fits(test) & test["seed"].any() & test["samples"].any(),
        MessageType.MC_START: mc_fits(unpack(settings, McStart)),
        MessageType.MC_HISTOGRAM: at_most(histogram["row"], MC_MAX_BINNED_ROWS - 1)
        & within(histogram["count"], 1, COUNTS_PER_FRAME)
        & ends_in(histogram["first"], histogram["count"], HISTOGRAM_BINS),
    }


def entry_fits(entry: dict[str, Any]) -> Any:
    """Return whether a filter is valid."""
    return (
        within(entry["length"], 1, MAX_TAPS)
        & ends_in(entry["start"], entry["length"][:9], COEFFICIENTS)
        & at_most(entry["shift"], MAX_SHIFT)
        & at_most(entry["step"], MAX_STEP)
    )


def at_most(value: Any, most: int) -> Any:
    """Return whether an unsigned `value` is at most `most`, without a carry chain.

    A comparison with `<` takes a slice of the chip for each bit.
    """
    fine: Any = Const(1, 1)
    for place in range(len(value)):
        bit = value[place]
        fine = ~bit | fine if most >> place & 1 else ~bit & fine
    return fine


def within(value: Any, least: int, most: int) -> Any:
    """Return whether an unsigned `value` is from `least` to `most`."""
    return at_most(value, most) & ~at_most(value, least - 1)


def ends_in(first: Any, count: Any, size: int) -> Any:
    """Return whether `count` places from `first` on are within `size`, a power of two."""
    bits = size.bit_length() - 1
    return ~first[bits:].any() & at_most(first[:bits] + count, size)


def bank_fits(fields: dict[str, Any]) -> Any:
    """Return whether the settings of the bank are valid."""
    return (
        within(fields["octaves"], 1, MAX_OCTAVES)
        & within(fields["rows"], 1, MAX_ROWS)
        & at_most(fields["decimator"], FILTERS - 1)
    )


def mc_fits(fields: dict[str, Any]) -> Any:
    """Return whether the settings of a Monte Carlo pass are valid."""
    return (
        fields["seed"].any()
        & fields["instants"].any()
        & at_most(fields["noise_shift"], MC_MAX_NOISE_SHIFT)
        & at_most(fields["decimations"], MC_MAX_DECIMATIONS)
        & at_most(fields["step"], MAX_STEP)
        & within(fields["rows"], 1, MC_MAX_ROWS)
        & at_most(fields["first"], MC_MAX_ROWS)
        & within(fields["count"], 1, MC_MAX_BINNED_ROWS)
        & at_most(fields["product_shift"], MAX_SHIFT)
        & at_most(fields["decimator"], FILTERS - 1)
        & at_most(fields["boxcar"], FILTERS - 1)
    )
