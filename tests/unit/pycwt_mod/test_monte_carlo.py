"""Monte Carlo levels: reproducible, correct, and wherever the tasks may run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pycwt_mod import (
    WctResult,
    backend_info,
    get_backend,
    list_backends,
    rednoise,
    register_backend,
    wct,
    wct_significance,
)
from pycwt_mod.backends import GROUP
from pycwt_mod.significance.simulation import MonteCarloPlan
from pycwt_mod.significance.surrogates import run_task
from pycwt_mod.wavelets import DOG, Morlet
from tests.backends import Backwards


def plan(**changes: Any) -> MonteCarloPlan:
    options: dict[str, Any] = {
        "al1": 0.5, "al2": 0.2, "dj": 1 / 4, "s0": 2.0, "J": 12, "wavelet": Morlet(),
        "mc_count": 50, "convention": "standard", "entropy": 1,
    }  # fmt: skip
    return MonteCarloPlan(**{**options, **changes})


@pytest.mark.slow
def test_levels_agree_with_coherence_of_simulated_records() -> None:
    """The slow way: whole records, the offline transform, what lies outside the cone."""
    J, dj, s0 = 10, 1 / 2, 2.0
    n = int(np.ceil(6 * s0 * 2 ** (J * dj)))
    found = []
    for k in range(150):
        x, y = rednoise(n, 0.7, rng=2 * k), rednoise(n, 0.3, rng=2 * k + 1)
        result = wct(x, y, 1.0, dj, s0, J, sig=False)
        outside = 1 / result.freqs[:, None] <= result.coi
        found.append(np.where(outside, result.coherence, np.nan))
    slow = np.nanquantile(np.stack(found), 0.95, axis=(0, 2))

    quick = wct_significance(0.7, 0.3, 1.0, dj, s0, J, mc_count=1500, rng=1)

    assert quick.standard_error is not None
    # The slow way has a tenth of the pairs: √11 standard errors of the quick one for both.
    assert (np.abs(slow - np.asarray(quick)) < 4 * np.sqrt(11) * quick.standard_error).all()


@pytest.mark.slow
def test_standard_error_is_the_scatter_between_seeds() -> None:
    runs = [wct_significance(0.5, 0.5, 1.0, 1 / 2, 2.0, 6, mc_count=60, rng=k) for k in range(30)]
    scatter = np.std([np.asarray(run) for run in runs], axis=0)
    stated = np.mean([run.standard_error for run in runs if run.standard_error is not None], axis=0)
    assert stated == pytest.approx(scatter, rel=0.5)


@pytest.mark.slow
def test_same_seed_gives_same_bits_whatever_the_backend() -> None:
    arguments = (0.5, 0.2, 1.0, 1 / 4, 2.0, 12)
    one = wct_significance(*arguments, mc_count=50, seed=9)
    two = wct_significance(*arguments, mc_count=50, rng=9, backend="joblib", n_jobs=2)
    other = wct_significance(*arguments, mc_count=50, seed=10)
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)
    assert (one.seed, one.mc_count) == (9, 50)
    again = wct_significance(*arguments, mc_count=50, seed=np.random.default_rng(3))
    assert np.array_equal(again, wct_significance(*arguments, mc_count=50, seed=again.seed))


def test_tasks_give_the_same_histograms_in_any_order() -> None:
    tasks = [task for octave in plan().tasks() for task in octave]
    forwards = [run_task(task) for task in tasks]
    backwards = [run_task(task) for task in reversed(tasks)][::-1]
    assert all(np.array_equal(a, b) for a, b in zip(forwards, backwards, strict=True))
    assert sum(task.pairs for task in plan().tasks()[0]) == 50


def test_plans_differ_whenever_the_numbers_would() -> None:
    changes: tuple[dict[str, Any], ...] = (
        {"al1": 0.1}, {"al2": 0.1}, {"dj": 0.1}, {"s0": 1.0}, {"J": 3}, {"wavelet": DOG(2)},
        {"mc_count": 3}, {"convention": "pycwt"}, {"entropy": 3}, {"version": 0},
    )  # fmt: skip
    assert len({plan(), *(plan(**change) for change in changes)}) == 1 + len(changes)


def test_progress_counts_to_the_end_and_nothing_is_printed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    seen: list[tuple[int, int]] = []

    def report(done: int, total: int) -> None:
        seen.append((done, total))

    wct_significance(0.1, 0.1, 1.0, 1 / 2, 2.0, 4, mc_count=5, rng=1, progress=report)
    wct_significance(0.1, 0.1, 1.0, 1 / 2, 2.0, 4, mc_count=5, rng=1, progress=True)
    assert [done for done, _ in seen] == list(range(1, seen[-1][1] + 1))
    assert capsys.readouterr() == ("", "")


def test_the_coherence_is_told_before_its_level_is_simulated() -> None:
    x, y = np.random.default_rng(1).standard_normal((2, 200))
    told: list[object] = []
    found = wct(
        x, y, 1.0, 0.5, mc_count=4, rng=1, on_coherence=told.append,
        progress=lambda *_done: told.append("simulated"),
    )  # fmt: skip
    first, *rest = told
    assert set(rest) == {"simulated"}
    assert isinstance(first, WctResult)
    assert first.coherence is found.coherence
    expected = wct(x, y, 1.0, 0.5, mc_count=4, rng=1)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(found.smoothed, expected.smoothed)


@pytest.mark.parametrize("wrong", [{"phase_of": "typo"}, {"workers": 0}, {"max_bytes": 1}], ids=str)
def test_wrong_arguments_are_reported_before_a_level_is_simulated(wrong: dict[str, Any]) -> None:
    x, y = np.random.default_rng(1).standard_normal((2, 200))
    seen: list[tuple[int, int]] = []
    with pytest.raises(ValueError, match=next(iter(wrong))):
        wct(x, y, 1.0, 0.5, mc_count=4, rng=1, progress=lambda *done: seen.append(done), **wrong)
    assert seen == []


def test_derived_arrays_do_not_carry_the_facts_of_another() -> None:
    levels = wct_significance(0.1, 0.1, 1.0, 1 / 2, 2.0, 4, mc_count=5, rng=1)
    assert levels.standard_error is not None
    assert getattr(levels[1:], "standard_error", 0) is None


def test_built_in_backends_are_listed_and_available() -> None:
    infos = {info.name: info for info in list_backends()}
    assert {"sequential", "joblib"} <= set(infos)
    assert infos["joblib"].available
    assert infos["joblib"].error is None
    assert backend_info("joblib") == infos["joblib"]
    assert list(get_backend("joblib").map(abs, [-1, -2], n_jobs=1)) == [1, 2]
    assert get_backend("sequential").is_available()


def test_a_registered_backend_simulates_until_its_registration_ends() -> None:
    axis = 0.5, 0.2, 1.0, 0.5, 2.0, 6
    before = list_backends()
    with register_backend(Backwards()) as backend:
        assert get_backend("backwards") is backend
        assert list_backends() == (*before[:2], backend_info("backwards"), *before[2:])
        levels = wct_significance(*axis, mc_count=20, rng=1, backend="backwards")
    assert np.array_equal(levels, wct_significance(*axis, mc_count=20, rng=1))
    assert list_backends() == before
    with pytest.raises(ValueError, match="backend='backwards'"):
        get_backend("backwards")


def test_a_registration_ends_once_and_leaves_a_later_one_of_its_name_alone() -> None:
    first = register_backend(Backwards())
    first.close()
    with register_backend(Backwards()) as later:
        first.close()
        assert get_backend("backwards") is later


@pytest.mark.parametrize("name", ["sequential", "joblib", "backwards"])
def test_a_name_is_registered_once(name: str) -> None:
    with (
        register_backend(Backwards()),
        pytest.raises(ValueError, match=f"backend='{name}'"),
    ):
        register_backend(Backwards(name))


def install(folder: Path, backends: dict[str, str]) -> None:
    """Put an installed package into `folder`, as far as its metadata go."""
    package = folder / "other-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1.0\n")
    lines = [f"[{GROUP}]", *(f"{name} = {place}" for name, place in backends.items())]
    (package / "entry_points.txt").write_text("\n".join(lines))


def test_a_registered_backend_that_cannot_be_imported_is_listed_with_its_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    before = list_backends()
    install(
        tmp_path,
        {
            "broken": "no_such_module:Backend",
            "own": "pycwt_mod.backends:SequentialBackend",
        },
    )
    os.utime(tmp_path, (0, 0))  # a folder's time is as coarse as the clock of the kernel
    found = list_backends()
    assert len(found) == len(before) + 2
    broken, own = (next(i for i in found[2:] if i.name == n) for n in ("broken", "sequential"))
    assert not broken.available
    assert "no_such_module" in str(broken.error)
    assert own.available
    assert backend_info("broken") == broken
    assert get_backend("own").is_available()
    with register_backend(Backwards("own")) as nearer:
        assert get_backend("own") is nearer
    axis = 0.5, 0.2, 1.0, 0.5, 2.0, 6
    mine = wct_significance(*axis, mc_count=20, rng=1, backend="own")
    assert np.array_equal(mine, wct_significance(*axis, mc_count=20, rng=1), equal_nan=True)
    with pytest.raises(ValueError, match=r"backend='broken'.*no_such_module"):
        get_backend("broken")
