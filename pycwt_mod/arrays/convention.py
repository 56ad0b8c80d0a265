"""The two conventions: numbers as in the papers, or as in pycwt."""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

#: ``"standard"`` agrees with the papers, ``"pycwt"`` with the package of that name.
Convention: TypeAlias = Literal["standard", "pycwt"]

CONVENTIONS: tuple[Convention, ...] = ("standard", "pycwt")


def check_convention(convention: str) -> None:
    """Raise ValueError unless `convention` is one of `CONVENTIONS`."""
    if convention not in CONVENTIONS:
        raise ValueError(f"{convention=} must be one of {CONVENTIONS}")


def padded_length(n: int, convention: Convention) -> int:
    """Return the FFT length: TC98's, at least 1.4 n, or pycwt's next power of two."""
    if convention == "pycwt":
        return int(2 ** math.ceil(math.log2(n)))
    return int(2 ** (int(math.log2(n) + 0.4999) + 1))
