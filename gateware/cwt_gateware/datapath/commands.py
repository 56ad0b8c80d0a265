"""Commands from the sequencers to the engine, and its results."""

from __future__ import annotations

from enum import IntEnum

from amaranth.hdl import signed, unsigned
from amaranth.lib import data

__all__ = ["Command", "Result", "Source", "Sum", "Target"]


class Source(IntEnum):
    """The history to which a filter is applied."""

    #: One series; an octave has 256 places.
    BANK = 0
    #: Two series; a level has 128 places.
    PAIRS = 1
    #: Four products, or four smoothed products; a row has 32 places. Real parts only.
    PRODUCTS = 2


class Target(IntEnum):
    """The destination of a sum."""

    OUTPUT = 0
    SAMPLE = 1
    ROW = 2
    PRODUCT = 3
    SMOOTHED = 4
    BOXCAR = 5


#: One filter at one instant. `newest` is the place of its newest sample in the ring of `slot`, an
#: octave, level or row. The sums are the real and imaginary parts of the first series, then of the
#: second, or those of the four products.
Command = data.StructLayout(
    {
        "start": unsigned(11),
        "length": unsigned(9),
        "shift": unsigned(5),
        "newest": unsigned(8),
        "slot": unsigned(5),
        "source": Source,
        "target": Target,
    }
)

#: A sum for the rounder. `last` marks the last sum of its command.
Sum = data.StructLayout(
    {
        "value": signed(40),
        "shift": unsigned(5),
        "wide": unsigned(1),
        "index": unsigned(2),
        "last": unsigned(1),
        "target": Target,
    }
)

#: A rounded number of 16 or (`wide`) 18 bits.
Result = data.StructLayout(
    {
        "value": signed(18),
        "limited": unsigned(1),
        "index": unsigned(2),
        "last": unsigned(1),
        "target": Target,
    }
)
