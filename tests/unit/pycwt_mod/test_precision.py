"""Simulations that stop at a precision, and bits that don't depend on how they are run."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from pycwt_mod import wct_significance
from pycwt_mod.significance.simulation import (
    MAX_PAIRS,
    MonteCarloPlan,
    OctaveTally,
    chunked,
    standard_error,
)
from pycwt_mod.significance.surrogates import BINS, run_task
from pycwt_mod.wavelets import DOG, Morlet, Wavelet

AXIS = (0.5, 0.2, 1.0, 1 / 4, 2.0, 16)


def plan(wavelet: Wavelet = Morlet()) -> MonteCarloPlan:  # noqa: B008 - an immutable value
    return MonteCarloPlan(
        al1=0.5, al2=0.2, dj=1 / 4, s0=2.0, J=12, wavelet=wavelet, mc_count=40,
        convention="standard", entropy=1,
    )  # fmt: skip


def test_every_level_reaches_the_precision_and_no_octave_works_much_longer() -> None:
    levels = wct_significance(*AXIS, mc_count=60, rng=1, precision=0.01)
    assert levels.standard_error is not None
    assert levels.pairs is not None
    assert (levels.standard_error <= 0.01).all()
    assert levels.pairs[0] == 60  # the smallest scales had reached it from the start
    assert levels.pairs[-1] > 60
    assert levels.pairs[-1] < 60 * 30


@pytest.mark.slow
def test_precision_is_what_the_scatter_between_seeds_shows() -> None:
    runs = [
        np.asarray(
            wct_significance(0.5, 0.5, 1.0, 1 / 2, 2.0, 6, mc_count=40, rng=k, precision=0.02)
        )
        for k in range(24)
    ]
    scatter = np.std(runs, axis=0, ddof=1)
    # 24 runs know their scatter to 15 %; estimates that end too early add a little.
    assert (scatter < 0.02 * 1.6).all()
    assert scatter.max() > 0.02 / 2


@pytest.mark.slow
def test_precision_runs_give_the_same_bits_on_any_backend() -> None:
    one = wct_significance(*AXIS, mc_count=30, rng=4, precision=0.02)
    two = wct_significance(*AXIS, mc_count=30, rng=4, precision=0.02, backend="joblib", n_jobs=2)
    assert np.array_equal(one, two)
    assert one.pairs is not None
    assert two.pairs is not None
    assert np.array_equal(one.pairs, two.pairs)


def test_progress_of_a_precision_run_ends_at_its_total() -> None:
    seen: list[tuple[int, int]] = []

    def report(done: int, total: int) -> None:
        seen.append((done, total))

    wct_significance(*AXIS, mc_count=30, rng=4, precision=0.02, progress=report)
    assert [done for done, _ in seen] == list(range(1, len(seen) + 1))
    assert seen[-1][0] == seen[-1][1]
    assert seen[0][1] < seen[-1][1]


def test_a_precision_out_of_reach_ends_at_the_most_pairs() -> None:
    task = chunked(plan().octaves()[0], 0, 1, 1)[0]
    tally = OctaveTally((task,))
    histogram = np.ones((4, BINS), np.int64)
    tally.add(task, histogram)
    assert sum(each.pairs for each in tally.more(1e-9, 0.95)) >= 7
    tally.pairs = MAX_PAIRS
    assert tally.more(1e-9, 0.95) == ()


def test_rows_inside_cone_need_no_pairs() -> None:
    task = chunked(plan().octaves()[0], 0, 1, 1)[0]
    tally = OctaveTally((task,))
    tally.add(task, np.zeros((4, BINS), np.int64))
    assert tally.more(0.01, 0.95) == ()


@pytest.mark.parametrize("wavelet", [Morlet(), DOG(2)])
@pytest.mark.parametrize("points", [1, 3000, 2**20])
def test_histograms_do_not_depend_on_the_batch_size(wavelet: Wavelet, points: int) -> None:
    tasks = [tasks[0] for tasks in plan(wavelet).tasks()]
    usual = [run_task(task) for task in tasks]
    other = [run_task(task, batch_points=points) for task in tasks]
    assert all(np.array_equal(a, b) for a, b in zip(usual, other, strict=True))


def test_histograms_do_not_depend_on_threads() -> None:
    tasks = [task for tasks in plan().tasks() for task in tasks]
    one_by_one = [run_task(task) for task in tasks]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(run_task, tasks))
    assert all(np.array_equal(a, b) for a, b in zip(one_by_one, together, strict=True))


def test_standard_error_weighs_chunks_by_their_counts() -> None:
    rng = np.random.default_rng(3)

    def histogram(n: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
        return np.histogram(rng.random(n), BINS, (0, 1))[0].astype(np.int64)

    stated = [
        standard_error(np.stack([histogram(n) for n in (400, 400, 4000, 4000) * 5]), 0.9)
        for _ in range(40)
    ]
    # The 90 % quantile of 44,000 uniform numbers: √(0.9 · 0.1 / 44,000).
    assert np.mean(stated) == pytest.approx(np.sqrt(0.09 / 44_000), rel=0.1)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"precision": 0.0}, "precision=0.0"),
        ({"method": "guess"}, "method='guess'"),
        ({"method": "table", "precision": 0.001}, "precision=0.001 with method='table'"),
    ],
)
def test_arguments_out_of_range_are_named(options: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        wct_significance(*AXIS, rng=1, **options)  # type: ignore[arg-type]
