"""Long records: rows in overlapping segments, time and memory in proportion to the length."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pycwt_mod as ours
from pycwt_mod import DOG, Convention, Morlet, Paul, Wavelet, cwt, multirate, rednoise
from pycwt_mod.engine.filter_bank import TransformSpec
from pycwt_mod.engine.inputs import PaddedSignal
from pycwt_mod.engine.overlap_save import LONG_POINTS
from pycwt_mod.engine.schedule import group_scales
from tests.formula import direct, loud_elsewhere, row_error
from tests.thorough import cases

Array = np.ndarray[Any, np.dtype[Any]]
N = 90_000
#: Beside its result, a transform has parts of the signal and its spectrum at once, and segments.
BLOCK = 16 * 2**20


@pytest.mark.slow
@pytest.mark.parametrize("wavelet", [Morlet(), Paul(), DOG(2), DOG(3)], ids=repr)
@pytest.mark.parametrize("convention", ["standard", "pycwt"])
@pytest.mark.parametrize("kind", ["random walk", "blue", "line"])
def test_rows_in_segments_equal_the_direct_formula(
    wavelet: Wavelet, convention: Convention, kind: str
) -> None:
    x = loud_elsewhere(N)[kind]
    analysis = ours.plan(N, 1.0, 1 / 2, J=6, wavelet=wavelet, convention=convention)
    expected = direct(x, wavelet, analysis.scales, analysis.length, convention)

    for dtype, bound in ((np.float64, 1e-6), (np.float32, 1e-4)):
        found = multirate(x.astype(dtype), 1.0, 1 / 2, J=6, wavelet=wavelet, convention=convention)
        assert row_error(found.full(), expected) < bound
        assert row_error(analysis_rows(found, expected.shape), expected) < bound


def analysis_rows(result: ours.MultirateResult, shape: tuple[int, ...]) -> Array:
    """The full matrix with every octave's own samples in it."""
    rows = result.full()
    for octave in result.octaves:
        places = np.searchsorted(result.scales, octave.scales)
        rows[places[:, None], np.arange(0, shape[1], octave.step)] = octave.coefs
    return rows


@pytest.mark.parametrize("full_rate", [True, False])
@pytest.mark.parametrize("convention", ["standard", "pycwt"])
def test_whole_ffts_of_long_records_stay_in_the_cache(
    full_rate: bool, convention: Convention
) -> None:
    n, scales = 400_000, 2 * 2 ** (np.arange(60) / 4)
    spec = TransformSpec(
        wavelet=Morlet(), scales=scales, n=n, length=2**20, convention=convention,
        dtype=np.dtype(np.float32), rtol=1e-6,
    )  # fmt: skip
    shared = group_scales(spec, full_rate=full_rate)
    assert any(kind.segmented for kind in shared)
    for kind in shared:
        assert kind.segmented or kind.upsampled or kind.points(n) <= LONG_POINTS


@pytest.mark.parametrize("convention", ["standard", "pycwt"])
def test_threads_and_batches_change_no_bit_of_long_rows(convention: Convention) -> None:
    x = np.stack([rednoise(N, 0.5, rng=seed) for seed in (1, 2)])
    arguments = 1.0, 1 / 3, -1, 9
    one = cwt(x, *arguments, convention=convention).coefs
    assert np.array_equal(one, cwt(x, *arguments, convention=convention, workers=2).coefs)
    assert np.array_equal(one[1], cwt(x[1], *arguments, convention=convention).coefs)
    halves = multirate(x, *arguments, convention=convention, workers=2)
    assert row_error(halves.full(workers=2)[1], one[1]) < 1e-10


def test_gaps_are_masked_in_long_records() -> None:
    x = rednoise(N, 0.5, rng=1)
    x[40_000:40_010] = np.nan
    whole, result = cwt(x, 1.0, 1 / 2, J=6), multirate(x, 1.0, 1 / 2, J=6)
    assert np.isfinite(whole.coefs).all()
    for octave in result.octaves:
        places = np.searchsorted(result.scales, octave.scales)
        assert octave.mask.any()
        assert np.array_equal(octave.mask, whole.mask[places][:, :: octave.step])


@settings(max_examples=cases(60), deadline=None)
@given(
    given_samples=st.integers(1, 30),
    period=st.integers(1, 40),
    reach=st.integers(0, 90),
    start=st.integers(-100, 100),
    count=st.integers(1, 60),
)
def test_pieces_are_those_of_a_circle(
    given_samples: int, period: int, reach: int, start: int, count: int
) -> None:
    x = np.arange(1.0, min(given_samples, period) + 1)
    padded = PaddedSignal.periodic(x, period, reach, period)
    piece = padded.segment(start, count)
    for k, value in enumerate(piece, start):
        inside = -reach <= k < period + reach
        assert value == (np.pad(x, (0, period - len(x)))[k % period] if inside else 0)


def peak_beside(work: Callable[[], Any], size: Callable[[Any], int]) -> tuple[int, int]:
    """Return the bytes of a result, and what there was beside it at most."""
    tracemalloc.start()
    try:
        result = work()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    return size(result), peak - size(result)


@pytest.mark.parametrize("n", [100_000, 400_000])
def test_multirate_needs_less_beside_its_result_than_that_and_a_block(n: int) -> None:
    x = rednoise(n, 0.5, rng=1).astype(np.float32)
    size, beside = peak_beside(
        lambda: multirate(x, 1.0), lambda r: sum(o.coefs.nbytes + o.mask.nbytes for o in r.octaves)
    )
    assert size < 25 * 8 * n
    assert beside < size + BLOCK


def test_full_matrix_needs_little_beside_its_result() -> None:
    x = rednoise(200_000, 0.5, rng=1).astype(np.float32)
    size, beside = peak_beside(lambda: cwt(x, 1.0, 1 / 4), lambda r: r.coefs.nbytes + r.mask.nbytes)
    assert beside < 0.3 * size + BLOCK
