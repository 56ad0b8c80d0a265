"""The library against pycwt, in the same process, one FFT thread, one after the other."""

from __future__ import annotations

import contextlib
import io
import statistics
import time
import warnings
from collections.abc import Callable

import numpy as np

import pycwt_mod as ours
from benchmarks.row import BenchRow

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "Please import `hermitenorm`", DeprecationWarning)
    import pycwt as theirs

PEER = "pycwt 0.5.0b0"
#: pycwt takes seconds per pair, and time in proportion to their number.
PEER_PAIRS = 3
PAIRS = 300


def median_s(work: Callable[[], object], repeats: int) -> float:
    """Return the median wall time of `work`, after one run that isn't counted."""
    work()
    return statistics.median(once_s(work) for _ in range(repeats))


def once_s(work: Callable[[], object]) -> float:
    """Return the wall time of one run; what pycwt prints is kept off the report."""
    with contextlib.redirect_stdout(io.StringIO()):
        start = time.perf_counter()
        work()
        return time.perf_counter() - start


def significance_row() -> BenchRow:
    n = 1000
    s0 = 2 / ours.Morlet().fourier_factor
    J = round(np.log2(n / s0) * 12)
    mine = median_s(lambda: ours.wct_significance(0.7, 0.3, 1.0, 1 / 12, s0, J, rng=1), 5)
    peer = once_s(
        lambda: theirs.wct_significance(
            0.7, 0.3, 1.0, 1 / 12, s0, J, wavelet=theirs.Morlet(6),
            mc_count=PEER_PAIRS, progress=False, cache=False,
        )
    )  # fmt: skip
    note = (
        f"{PAIRS} pairs; pycwt once with {PEER_PAIRS}, times {PAIRS // PEER_PAIRS}; "
        "octaves far below the record's length are simulated on shorter records here"
    )
    return BenchRow(
        "wct_significance, n=1000, dj=1/12", mine, PEER, peer * PAIRS / PEER_PAIRS, note
    )


def coherence_row() -> BenchRow:
    x, y = (ours.rednoise(10_000, 0.7, rng=seed) for seed in (1, 2))
    mother = theirs.Morlet(6)
    mine = median_s(lambda: ours.wct(x, y, 1.0, sig=False), 5)
    peer = median_s(lambda: theirs.wct(x, y, 1.0, sig=False, wavelet=mother), 3)
    return BenchRow("wct without significance, n=10,000, dj=1/12", mine, PEER, peer, "float64")


def transform_row(dtype: type[np.floating]) -> BenchRow:
    x = ours.rednoise(100_000, 0.7, rng=1)
    mine = median_s(lambda: ours.cwt(x.astype(dtype), 1.0, convention="pycwt"), 3)
    peer = median_s(lambda: theirs.cwt(x, 1.0), 2)
    note = f"{dtype.__name__} here, float64 there; full rate, the same padding"
    return BenchRow("cwt, n=100,000, dj=1/12", mine, PEER, peer, note)


def rows() -> list[BenchRow]:
    """Measure everything; takes about a minute."""
    return [
        significance_row(),
        coherence_row(),
        transform_row(np.float64),
        transform_row(np.float32),
    ]
