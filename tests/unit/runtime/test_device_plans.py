"""What devices are given to compute, computed on the integer model, against the library."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

import pycwt_mod
from cwt_hwbridge.model import run_bank, run_mc
from cwt_runtime.devices.plans import bank_job, null_job
from cwt_schemas.analysis import Wavelet
from cwt_schemas.errors import Unprocessable
from cwt_schemas.hwlink import HISTOGRAM_BINS
from cwt_schemas.hwops import HwCwtRequest, HwMcRequest

SIGNAL = np.cumsum(np.random.default_rng(0).standard_normal(1024))


@pytest.mark.parametrize(
    ("mother", "s0", "part"),
    [("morlet", 4.0, 1 / 300), ("paul", 6.5, 1 / 40), ("dog", 2.5, 1 / 300)],
)
def test_the_bank_gives_the_librarys_transform_up_to_its_cut_off_taps(
    mother: Wavelet, s0: float, part: float
) -> None:
    job = bank_job(HwCwtRequest(data=SIGNAL, dt=0.5, s0=s0 / 2, voices=4, octaves=3, mother=mother))
    result = run_bank(job.plan, job.samples)
    whole = pycwt_mod.cwt(SIGNAL, dt=0.5, dj=0.25, s0=s0 / 2, J=11, wavelet=mother)
    assert result.saturations == 0
    for k, (rows, found) in enumerate(zip(job.octaves, job.split(result.outputs), strict=True)):
        values = found.reshape(4, -1, 2) * rows.scale[:, None, None]
        times = rows.first_sample + rows.step * np.arange(values.shape[1])
        inside = (times >= 0) & (times < len(SIGNAL))
        expected = whole.coefs[4 * k : 4 * k + 4, times[inside].astype(int)]
        error = values[:, inside, 0] + 1j * values[:, inside, 1] - expected
        assert inside.sum() >= len(SIGNAL) // rows.step
        off = np.linalg.norm(error) / np.linalg.norm(expected)
        assert off < part
        assert np.allclose(rows.scales, whole.scales[4 * k : 4 * k + 4])
        assert np.allclose(rows.freqs, whole.freqs[4 * k : 4 * k + 4])


def levels(histograms: NDArray[np.uint32]) -> NDArray[np.float64]:
    edges = np.arange(1, HISTOGRAM_BINS + 1) / HISTOGRAM_BINS
    return np.array([np.interp(0.95, row.cumsum() / row.sum(), edges) for row in histograms])


@pytest.mark.slow
@pytest.mark.parametrize(("al1", "al2"), [(0.0, 0.0), (0.95, 0.6)])
def test_the_null_gives_the_librarys_levels(al1: float, al2: float) -> None:
    request = HwMcRequest(al1=al1, al2=al2, dj=0.25, s0=8.0, rows=4, pairs=150, seed=3)
    job = null_job(request)
    table = pycwt_mod.wct_significance(al1, al2, 1.0, 0.25, 2.0, 40, method="table")[8:12]
    assert np.abs(levels(run_mc(job.plan).histograms) - table).max() < 0.02
    assert np.allclose(job.scales, 8.0 * 2 ** (np.arange(4) / 4))


def test_a_row_more_would_be_seen_by_the_level() -> None:
    ends = HwMcRequest(al1=0.0, al2=0.0, dj=0.25, s0=8.0, pairs=150, below=0, above=0)
    middle = HwMcRequest(al1=0.0, al2=0.0, dj=0.25, s0=8.0, pairs=150)
    alone, among = (levels(run_mc(null_job(each).plan).histograms)[0] for each in (ends, middle))
    assert alone > among + 0.02


def test_another_seed_is_another_simulation_and_the_same_is_the_same() -> None:
    plans = [
        null_job(HwMcRequest(al1=0.5, al2=0.5, dj=0.25, s0=8.0, seed=seed)).plan
        for seed in (1, 1, 2)
    ]
    first, again, other = (run_mc(plan).histograms for plan in plans)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (HwMcRequest(al1=0.0, al2=0.0, dj=0.02, s0=8.0, rows=12), "rows"),
        (HwCwtRequest(data=SIGNAL, dt=1.0, s0=1.0, octaves=3), "s0"),
        (HwCwtRequest(data=SIGNAL, dt=1.0, s0=500.0), "s0"),
        (HwCwtRequest(data=np.array([1.0, np.nan]), dt=1.0, s0=8.0), "data"),
    ],
)
def test_plan_larger_than_device_memory_is_refused(
    request_: HwMcRequest | HwCwtRequest, field: str
) -> None:
    with pytest.raises(Unprocessable) as refusal:
        _ = null_job(request_) if isinstance(request_, HwMcRequest) else bank_job(request_)
    assert refusal.value.fields == (field,)
