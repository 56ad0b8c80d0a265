"""The device's self-test: a filter bank on generated samples, verified by a signature."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cwt_hwbridge.model.bank import FilterBank
from cwt_schemas.hwplan import BankPlan

__all__ = ["SelftestSignature", "run_selftest", "selftest_samples"]

_SAMPLES_AT_A_TIME = 1 << 15
_WORD = 0xFFFFFFFF


@dataclass(frozen=True, kw_only=True)
class SelftestSignature:
    """The result of the self-test in STATUS."""

    #: CRC-32 of the outputs.
    signature: int
    outputs: int
    saturations: int


def run_selftest(plan: BankPlan, *, seed: int, samples: int) -> SelftestSignature:
    """Run a filter bank on `samples` samples generated from `seed`.

    Raises
    ------
    ValueError
        `seed` is 0 or exceeds 32 bits, `samples` is 0, or as for `FilterBank`.
    """
    if not 1 <= seed <= _WORD:
        raise ValueError(f"{seed=} must be from 1 to {_WORD}")
    if not 1 <= samples <= _WORD:
        raise ValueError(f"{samples=} must be from 1 to {_WORD}")
    bank = FilterBank(plan)
    crc, outputs = 0, 0
    for piece in _pieces(seed, samples):
        made = bank.push(piece)
        crc = zlib.crc32(made.astype("<i2").tobytes(), crc)
        outputs = (outputs + len(made)) & _WORD
    return SelftestSignature(signature=crc, outputs=outputs, saturations=bank.saturations)


def selftest_samples(seed: int) -> Iterator[int]:
    """Yield the infinite samples of a seed: the upper halves of a 32-bit xorshift."""
    state = seed
    while True:
        state ^= state << 13 & _WORD
        state ^= state >> 17
        state ^= state << 5 & _WORD
        upper = state >> 16
        yield upper - 0x10000 if upper >= 0x8000 else upper


def _pieces(seed: int, samples: int) -> Iterator[npt.NDArray[np.int16]]:
    made = selftest_samples(seed)
    for first in range(0, samples, _SAMPLES_AT_A_TIME):
        count = min(_SAMPLES_AT_A_TIME, samples - first)
        yield np.fromiter(made, dtype=np.int16, count=count)
