"""The modules that a script for pycwt imports: helpers, mothers, wavelet and sample."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pycwt_mod as ours
from pycwt_mod.sample.dataset import Dataset
from tests.coherence_formula import coherence

with warnings.catch_warnings():
    # pycwt imports a SciPy namespace that is about to go.
    warnings.filterwarnings("ignore", "Please import `hermitenorm`", DeprecationWarning)
    import pycwt as theirs

DATA = Path(__file__).parents[2] / "data"


def test_modules_are_there_after_importing_the_package_alone() -> None:
    # AttributeError: module 'pycwt_mod' has no attribute 'helpers'.
    code = "import pycwt_mod as p; print(p.helpers.find([0, 1]), p.mothers.Morlet, p.wavelet.cwt)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("[1] <class")


@pytest.mark.parametrize(
    "x", [[3.0, 1.0, 3.0, 7.0], np.arange(9)[::-1], np.random.default_rng(1).integers(0, 9, 50)]
)
def test_boxpdf_and_find_are_those_of_pycwt(x: Any) -> None:
    for found, expected in zip(
        ours.helpers.boxpdf(x), theirs.helpers.boxpdf(np.asarray(x)), strict=True
    ):
        assert found == pytest.approx(expected, rel=1e-15)
    condition = np.asarray(x) > 2
    assert np.array_equal(ours.find(condition), theirs.find(condition))


def test_boxpdf_leaves_missing_values_out() -> None:
    boxed, values, _ = ours.helpers.boxpdf([2.0, np.nan, 1.0])
    assert np.array_equal(boxed, [0.75, np.nan, 0.25], equal_nan=True)
    assert values.tolist() == [1.0, 2.0]


@pytest.mark.parametrize("x", [5, [4], [4, 3], np.zeros(6), np.zeros((3, 2))])
@pytest.mark.parametrize("normalize", [True, False])
def test_rect_is_that_of_pycwt(x: Any, normalize: bool) -> None:
    found, expected = ours.helpers.rect(x, normalize), theirs.helpers.rect(x, normalize)
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("n", [1, 2, 5, 64, 100])
def test_padded_transforms_by_hand_are_those_of_pycwt(n: int) -> None:
    x = np.random.default_rng(n).standard_normal(n)
    assert ours.fft_kwargs(x, overwrite_x=True) == theirs.fft_kwargs(x, overwrite_x=True)
    found = ours.fft.fft(x, **ours.fft_kwargs(x))
    assert np.array_equal(found, theirs.fft.fft(x, **theirs.fft_kwargs(x)))


def test_cache_folder_is_named_but_not_created(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert ours.get_cache_dir() == f"{tmp_path}/.cache/pycwt/"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("n", [64, 100])
def test_smooth_is_that_of_pycwt_by_its_convention(n: int) -> None:
    W, scales, *_ = ours.cwt(ours.rednoise(n, 0.5, rng=1), 0.5, 1 / 8, convention="pycwt")
    for rows in (W, np.abs(W) ** 2):
        found = ours.Morlet(6).smooth(rows, 0.5, 1 / 8, scales, convention="pycwt")
        expected = theirs.Morlet(6).smooth(rows, 0.5, 1 / 8, scales)
        assert np.iscomplexobj(found) == np.iscomplexobj(expected)
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("mother", [ours.Morlet(), ours.Paul(), ours.DOG()], ids=repr)
def test_coherence_step_by_step_with_smooth_is_that_of_the_papers(mother: Any) -> None:
    x, y = ours.rednoise(120, 0.5, rng=1), ours.rednoise(120, 0.5, rng=2)
    dt, dj = 1.0, 1 / 6
    (w1, scales, *_), (w2, *_) = (
        ours.cwt((v - v.mean()) / v.std(), dt, dj, wavelet=mother) for v in (x, y)
    )
    s1, s2, s12 = (
        mother.smooth(rows / scales[:, None], dt, dj, scales)
        for rows in (np.abs(w1) ** 2, np.abs(w2) ** 2, w1 * w2.conj())
    )
    expected = coherence(x, y, dj, mother, "standard").r2
    well_known = (s1 > 1e-3 * s1.max()) & (s2 > 1e-3 * s2.max())
    found = np.abs(s12) ** 2 / (s1 * s2)
    assert found[well_known] == pytest.approx(expected[well_known], abs=1e-6)


@pytest.mark.parametrize(
    ("rows", "scales", "message"),
    [(np.ones((3, 8)), np.ones(4), "W has shape"), (np.ones(8), np.ones(8), "W has shape")],
)
def test_smooth_names_what_does_not_fit(rows: Any, scales: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ours.Morlet().smooth(rows, 1.0, 0.1, scales)


@pytest.mark.parametrize(
    ("name", "file", "skip"),
    [("NINO3", "nino3_sst.csv", 2), ("JAO", "jao.csv", 1), ("BMI", "jbaltic.csv", 1)],
)
def test_sample_series_are_those_of_the_papers(name: str, file: str, skip: int) -> None:
    series = Dataset(name)
    expected = np.loadtxt(DATA / file, delimiter=",", skiprows=skip, ndmin=2)
    assert np.array_equal(series.load(), expected[:, -1])
    if expected.shape[1] == 2:
        years = series.t0 + series.dt * np.arange(len(expected))
        assert np.array_equal(expected[:, 0], years)


def test_a_copy_of_dataset_next_to_a_script_finds_the_series(tmp_path: Path) -> None:
    # pycwt's sample.py says "from dataset import Dataset"; ValueError: Empty module name.
    shutil.copy(Path(ours.__file__).parent / "sample" / "dataset.py", tmp_path)
    code = "from dataset import Dataset; print(Dataset('NINO3').load().size)"
    script = tmp_path / "script.py"
    script.write_text(code)
    root = str(Path(ours.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": root},
    )  # fmt: skip
    assert done.stdout == "504\n"


def test_units_of_sample_series_are_those_of_pycwt() -> None:
    from pycwt.sample.dataset import Dataset as Theirs

    for usetex in (True, False):
        found, expected = Dataset("NINO3", usetex), Theirs("NINO3", usetex)
        for name in ("fname", "title", "label", "t0", "dt", "units", "units2"):
            assert getattr(found, name) == getattr(expected, name)


def test_series_that_are_not_distributed_are_refused_with_advice() -> None:
    with pytest.raises(ValueError, match=r"cannot load name='SUNSPOTS'.*numpy\.loadtxt"):
        Dataset("SUNSPOTS")
    with pytest.raises(ValueError, match="name='nino' must be one of"):
        Dataset("nino")
