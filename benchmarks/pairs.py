"""Benchmark of the coherence of all pairs: ``python -m benchmarks.pairs`` prints its table."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from threadpoolctl import threadpool_limits

import pycwt_mod as ours
from benchmarks import peers
from benchmarks.clock import peak_bytes, rounds
from benchmarks.measurement import Measurement, Work
from benchmarks.report import terminal_tables

FS_HZ = 250.0
#: Smallest scale at 64 Hz; 4 octaves of 8 voices.
S0, DJ, J = 1 / (64 * ours.Morlet().fourier_factor), 1 / 8, 31
US = f"pycwt_mod {ours.__version__}"


def pairs_work(channels: int, n: int, repeats: int, *, sample: int, pycwt_sample: int) -> Work:
    """Measure `wct_pairs` against `wct` and pycwt, which compute a sample of the pairs."""
    x = signals(channels, n)
    total = channels * (channels - 1) // 2
    works: list[Callable[[], object]] = [
        partial(all_pairs, x, 2), partial(all_pairs, x, 1), partial(_one_by_one, x, sample)
    ]  # fmt: skip
    pycwt = peers.load("pycwt")
    if pycwt is not None:
        wavelet = pycwt.Morlet(6)

        def theirs() -> None:
            for one, other in _sample(channels, pycwt_sample):
                pycwt.wct(x[one], x[other], 1 / FS_HZ, DJ, S0, J, sig=False, wavelet=wavelet)

        works.append(theirs)
    two, one, single, *rest = rounds(works, repeats)
    lines = [
        Measurement(
            who=US, seconds=two, peak_bytes=peak_bytes(partial(_once, channels, n)),
            note="wct_pairs with phase and thresholds from the table, 2 threads",
        ),
        Measurement(who=US, seconds=one, note="the same, 1 thread"),
        Measurement(
            who=US, seconds=single, scaled=total / sample,
            note=f"wct with thresholds from the table, 2 threads: {sample} pairs, scaled",
        ),
        Measurement(
            who=peers.who("pycwt"), seconds=rest[0], scaled=total / pycwt_sample,
            note=f"wct without thresholds, 1 thread: {pycwt_sample} pairs, scaled",
        )
        if rest
        else peers.missing("pycwt"),
    ]  # fmt: skip
    title = f"coherence of {total:,} pairs of {channels} channels, n={n:,}, 32 scales, float32"
    return Work(title=title, measurements=tuple(lines))


def signals(channels: int, n: int) -> NDArray[np.float32]:
    """Return red noise with a part that all channels have in common, shape (channels, n)."""
    common = ours.rednoise(n, 0.9, rng=0)
    noise = (ours.rednoise(n, 0.5 + 0.4 * k / channels, rng=k + 1) for k in range(channels))
    return np.array([each + 0.5 * common for each in noise], np.float32)


def all_pairs(x: NDArray[np.float32], workers: int) -> ours.WctPairsResult:
    """Return the coherence of all pairs."""
    return ours.wct_pairs(x, 1 / FS_HZ, DJ, S0, J, workers=workers)


def _one_by_one(x: NDArray[np.float32], sample: int) -> None:
    for one, other in _sample(len(x), sample):
        ours.wct(x[one], x[other], 1 / FS_HZ, DJ, S0, J, workers=2, significance="table")


def _sample(channels: int, count: int) -> NDArray[np.intp]:
    pairs = np.array(np.triu_indices(channels, 1)).T
    return pairs[:: max(1, len(pairs) // count)][:count]


def _once(channels: int, n: int) -> object:
    return all_pairs(signals(channels, n), 2)


def main() -> None:
    """Measure 64 channels over 40 s."""
    console = Console(width=132)
    with threadpool_limits(1):
        for table in terminal_tables([pairs_work(64, 10_000, 3, sample=24, pycwt_sample=4)]):
            console.print(table, markup=False)


if __name__ == "__main__":
    from benchmarks import pairs  # by the name under which another interpreter finds it

    pairs.main()
