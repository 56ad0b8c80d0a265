"""The checks of the ELM11's self-test, each compared with the integer model."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cwt_hwbridge.driver import Check, FftResult, McResult
from cwt_hwbridge.elm11.fourier import spectrum
from cwt_hwbridge.model import run_mc
from cwt_schemas.hwlink import SMOOTHING_BASE
from cwt_schemas.hwlink_layouts import FilterEntry, McStart
from cwt_schemas.hwplan import FilterTable, McPlan

__all__ = ["fft_check", "mc_check", "number_check", "trial_plan"]

#: Expected values of: 2^53 + 2 minus 2^53; -7 // 2 of integers and of floats; the sign bit shifted
#: right; -1 in 32 bits; CRC-32 of "123456789", the standard check value.
_NUMBERS = "2 -4 fffffffc 1 ffffffff cbf43926"

_ROWS, _TAPS, _SMOOTHING, _BOXCAR, _DECIMATOR = 4, 12, 5, 100, 101


def number_check(reply: str) -> Check:
    """Check integers, floats and shifts."""
    return Check(name="numbers", passed=reply == _NUMBERS, detail=f"{reply}; expected {_NUMBERS}")


def fft_check(samples: npt.NDArray[np.int16], actual: FftResult) -> Check:
    """Check a transform, bit for bit."""
    expected = spectrum(samples)
    wrong = int((actual.values[: len(expected)] != expected).any(axis=1).sum())
    return Check(name="fft", passed=wrong == 0, detail=f"{wrong} of {len(expected)} points differ")


def mc_check(plan: McPlan, actual: McResult) -> Check:
    """Check a simulation, bit for bit."""
    expected = run_mc(plan)
    wrong = int((actual.histograms != expected.histograms).sum())
    same = wrong == 0 and actual.saturations == expected.saturations
    return Check(
        name="mc", passed=same, detail=f"{wrong} of {expected.histograms.size} bins differ"
    )


def trial_plan(seed: int) -> McPlan:
    """Return a simulation with random filters that takes a microcontroller seconds.

    Some intermediate sums saturate, which is part of the comparison.
    """
    rng = np.random.default_rng(seed)
    taps = rng.integers(-4000, 4000, (_ROWS * _TAPS, 2))
    smoothing = np.full((_SMOOTHING, 2), 32767 // _SMOOTHING)
    boxcar = np.full((3, 2), 32767 // 3)
    table = np.concatenate((taps, smoothing, boxcar)).astype(np.int16)
    first = len(taps)
    filters = [
        (row, FilterEntry(start=row * _TAPS, length=_TAPS, shift=14)) for row in range(_ROWS)
    ]
    filters += [
        (SMOOTHING_BASE + row, FilterEntry(start=first, length=_SMOOTHING, shift=15))
        for row in range(_ROWS)
    ]
    filters.append((_BOXCAR, FilterEntry(start=first + _SMOOTHING, length=3, shift=15)))
    filters.append((_DECIMATOR, FilterEntry(start=first, length=_SMOOTHING, shift=15)))
    start = McStart(
        seed=rng.bytes(15) + b"\x01",
        warmup=8,
        instants=32,
        a1=26214,
        a2=-9830,
        noise_shift=3,
        decimations=1,
        step=0,
        rows=_ROWS,
        first=1,
        count=2,
        product_shift=11,
        decimator=_DECIMATOR,
        boxcar=_BOXCAR,
    )
    return McPlan(table=FilterTable(coefficients=table, filters=tuple(filters)), start=start)
