"""Numbers that the papers and the programs of their authors print."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pycwt_mod import Morlet, cwt, icwt, significance, xwt
from pycwt_mod.significance.chi_square import cross_quantile

DATA = Path(__file__).parents[2] / "data"
#: Half a unit of the third printed digit after the point.
PRINTED = 0.000501


@pytest.fixture(scope="module")
def nino3() -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.loadtxt(DATA / "nino3_sst.csv", skiprows=2)


@pytest.fixture(scope="module")
def fortran() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((DATA / "tc98_fortran_nino3.json").read_text())
    return loaded


def test_torrence_and_compos_own_program_is_reproduced(
    nino3: np.ndarray[Any, np.dtype[np.float64]], fortran: dict[str, Any]
) -> None:
    rows = np.array(fortran["rows"])
    result = cwt(nino3, 0.25, 0.25, 0.25, 43)
    power = np.abs(result.coefs) ** 2
    phase = np.degrees(np.angle(result.coefs[:, 251]))
    local = significance(nino3, 0.25, result.scales, alpha=0.72, convention="pycwt")
    # Their program counts n - s points in the average.
    averaged = significance(
        nino3, 0.25, result.scales, 1, alpha=0.72, dof=len(nino3) - result.scales,
        convention="pycwt",
    )  # fmt: skip

    assert result.scales == pytest.approx(rows[:, 1], abs=PRINTED)
    assert 1 / result.freqs == pytest.approx(rows[:, 2], abs=PRINTED)
    assert power[:, 251] == pytest.approx(rows[:, 3], abs=PRINTED)
    assert phase == pytest.approx(rows[:, 4], abs=PRINTED)
    assert local.signif == pytest.approx(rows[:, 5], abs=PRINTED)
    assert power.mean(axis=1) == pytest.approx(rows[:, 6], abs=PRINTED)
    assert averaged.signif == pytest.approx(rows[:, 7], abs=PRINTED)


def test_their_scale_average_and_reconstruction_are_reproduced(
    nino3: np.ndarray[Any, np.dtype[np.float64]], fortran: dict[str, Any]
) -> None:
    result = cwt(nino3, 0.25, 0.25, 0.25, 43)
    averaged = significance(
        nino3, 0.25, result.scales, 2, alpha=0.72, dof=[2.0, 6.7272], convention="pycwt"
    )
    rebuilt = icwt(result.coefs, result.scales, 0.25, 0.25)
    centred = nino3 - nino3.mean()
    density = (np.abs(result.coefs) ** 2).sum(axis=1) / result.scales
    variance = density.sum() * 0.25 * 0.25 / Morlet().cdelta / len(nino3)

    assert averaged.signif == pytest.approx(fortran["scale_avg_sig"], abs=PRINTED)
    assert centred.var() == pytest.approx(fortran["orig_var"], abs=5e-6)
    assert variance == pytest.approx(fortran["recon_var"], abs=5e-6)
    rms = np.sqrt(((rebuilt - centred) ** 2).mean())
    assert rms == pytest.approx(fortran["rms"], abs=5e-7)


def test_cross_quantiles_are_those_of_tc98() -> None:
    assert cross_quantile(0.95, 1) == pytest.approx(2.182, abs=PRINTED)
    assert cross_quantile(0.95, 2) == pytest.approx(3.999, abs=PRINTED)


def test_standard_xwt_level_is_exceeded_by_white_noise_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    result = xwt(rng.standard_normal(8192), rng.standard_normal(8192), 1.0, 1 / 4, 2, 12)
    above = np.abs(result.cross) > result.signif[:, None]
    assert above.mean() == pytest.approx(0.05, abs=0.01)
