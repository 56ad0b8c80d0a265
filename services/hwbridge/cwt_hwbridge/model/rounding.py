"""Rounding and saturation, applied after every sum of the data path."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["SATURATIONS_MAX", "Integers", "limit", "rnd"]

#: Value at which the device's count of saturated numbers stays.
SATURATIONS_MAX = 0xFFFF

Integers = npt.NDArray[np.int64]


def rnd(values: Integers, shift: int | Integers) -> Integers:
    """Return ``floor((values + 2**(shift - 1)) / 2**shift)``; `values` for a shift of 0."""
    half = np.left_shift(1, shift) >> 1
    return (values + half) >> shift


def limit(values: Integers, bits: int) -> tuple[Integers, int]:
    """Saturate to signed numbers of `bits` bits; also return how many were saturated."""
    limited = np.clip(values, -(1 << (bits - 1)), (1 << (bits - 1)) - 1)
    return limited, int(np.count_nonzero(limited != values))
