"""The FFT length that a record is padded to."""

from __future__ import annotations

import math

from pycwt_mod.arrays.checks import Convention


def padded_length(n: int, convention: Convention) -> int:
    """Return the FFT length: TC98's, at least 1.4 n, or pycwt's next power of two."""
    if convention == "pycwt":
        return int(2 ** math.ceil(math.log2(n)))
    return int(2 ** (int(math.log2(n) + 0.4999) + 1))
