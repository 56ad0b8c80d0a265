"""Benchmarks of coherence and its significance."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

import pycwt_mod as ours
from benchmarks import peers
from benchmarks.clock import once_s, peak_bytes, rounds
from benchmarks.measurement import Measurement, Work

AR1 = (0.7, 0.3)
DJ = 1 / 12
#: pycwt's default number of surrogate pairs.
PAIRS = 300
US = f"pycwt_mod {ours.__version__}"


def coherence_work(n: int, repeats: int) -> Work:
    """Measure coherence without significance."""
    x, y = (ours.rednoise(n, 0.7, rng=seed) for seed in (1, 2))
    works: list[Any] = [
        partial(ours.wct, x, y, 1.0, sig=False, workers=2),
        partial(ours.wct, x, y, 1.0, sig=False, workers=1),
    ]
    pycwt = peers.load("pycwt")
    if pycwt is not None:
        works.append(partial(pycwt.wct, x, y, 1.0, sig=False, wavelet=pycwt.Morlet(6)))
    two, one, *theirs = rounds(works, repeats)
    peak = peak_bytes(partial(_coherence_once, n))
    lines = [
        Measurement(who=US, seconds=two, peak_bytes=peak, note="2 FFT threads"),
        Measurement(who=US, seconds=one, note="1 thread"),
        Measurement(who=peers.who("pycwt"), seconds=theirs[0], note="1 thread")
        if theirs
        else peers.missing("pycwt"),
    ]
    title = f"wct without significance, n={n:,}, dj=1/12, float64"
    return Work(title=title, measurements=tuple(lines))


def significance_work(n: int, pairs: int, repeats: int, peer_runs: int) -> Work:
    """Measure the Monte Carlo level, with as many pairs as pycwt and with the same error."""
    arguments = axis_arguments(n)
    theirs, error = _pycwt_significance(arguments, pairs, peer_runs)
    works = [partial(ours.wct_significance, *arguments, mc_count=pairs, rng=1)]
    if error is not None:
        works.append(
            partial(ours.wct_significance, *arguments, mc_count=pairs, rng=1, precision=error)
        )
    lines = []
    for work, seconds in zip(works, rounds(list(works), repeats), strict=True):
        levels = work()
        assert levels.standard_error is not None
        assert levels.pairs is not None
        note = (
            f"{levels.pairs.min()} to {levels.pairs.max()} pairs, 1 thread; largest standard "
            f"error {np.nanmax(levels.standard_error):.4f} (between its tasks)"
        )
        lines.append(Measurement(who=US, seconds=seconds, note=note))
    memory = peak_bytes(partial(_significance_once, n, pairs))
    lines[0] = replace(lines[0], peak_bytes=memory)
    if error is not None:  # compare the peer with the measurement of the same error
        lines.reverse()
    title = f"wct_significance, n={n:,}, dj=1/12, {pairs} pairs of pycwt's"
    return Work(title=title, measurements=(*lines, theirs))


def instant_work(n: int, repeats: int) -> Work:
    """Measure the level from the table."""
    arguments = axis_arguments(n)
    table = partial(ours.wct_significance, *arguments, method="table")
    simulated = partial(ours.wct_significance, *arguments, mc_count=PAIRS, rng=1)
    quick, slow = rounds([table, simulated], repeats)
    levels = table()
    largest = 0.0 if levels.standard_error is None else float(levels.standard_error.max())
    lines = (
        Measurement(
            who=US, seconds=quick, note=f"method='table'; largest standard error {largest:.4f}"
        ),
        Measurement(who=US, seconds=slow, note=f"method='montecarlo', {PAIRS} pairs"),
    )
    return Work(title=f"instant level of a whole axis, n={n:,}, dj=1/12", measurements=lines)


def axis_arguments(n: int) -> tuple[float, float, float, float, float, int]:
    """Return al1, al2, dt, dj, s0, J as `wct` would for a record of `n` samples."""
    s0 = 2 / ours.Morlet().fourier_factor
    return (*AR1, 1.0, DJ, s0, round(np.log2(n / s0) / DJ))


def _coherence_once(n: int) -> object:
    x, y = (ours.rednoise(n, 0.7, rng=seed) for seed in (1, 2))
    return ours.wct(x, y, 1.0, sig=False, workers=2)


def _significance_once(n: int, pairs: int) -> object:
    return ours.wct_significance(*axis_arguments(n), mc_count=pairs, rng=1)


def _pycwt_significance(
    arguments: tuple[float, float, float, float, float, int], pairs: int, runs: int
) -> tuple[Measurement, float | None]:
    """Return pycwt's time, scaled from one pair, and the standard error of its default level.

    The standard error of a level from all pairs is the standard deviation of levels from single
    pairs, over the runs, divided by the root of the number of pairs.
    """
    pycwt = peers.load("pycwt")
    if pycwt is None:
        return peers.missing("pycwt"), None
    seconds, levels = [], []
    for run in range(runs):
        np.random.seed(run)  # noqa: NPY002 - pycwt draws from the global state

        def one() -> None:
            levels.append(
                pycwt.wct_significance(
                    *arguments, wavelet=pycwt.Morlet(6), mc_count=1, progress=False, cache=False
                )
            )

        seconds.append(once_s(one))
    scatter = np.std(np.array(levels)[:, :-1], axis=0, ddof=1)
    error = float(np.nanmax(scatter)) / np.sqrt(pairs)
    line = Measurement(
        who=peers.who("pycwt"),
        seconds=tuple(seconds),
        scaled=pairs,
        note=(
            f"{runs} runs of 1 pair, time times {pairs}; largest standard error {error:.4f} "
            f"(scatter of those runs over the root of {pairs})"
        ),
    )
    return line, error
