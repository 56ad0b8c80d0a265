"""From windows to results with all pairs of channels."""

from __future__ import annotations

from itertools import repeat
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import pycwt_mod
from cwt_compute.live.windows import Provenance, compute_window, drop_window
from cwt_schemas.analysis import AnalysisSpec
from cwt_schemas.codec import ContentType, encode
from cwt_schemas.live import AnalysisWindow
from cwt_schemas.pair_result import PairsResult, decode_result
from cwt_schemas.stream import Channel, StreamDefinition
from pycwt_mod.streaming import band_rows
from tests import pipeline

FS, N = 64.0, 4096
NAMES = tuple("pqrst")
GAP = slice(2000, 2007)
ME = Provenance(worker="me", computed_ns=5)


def definition(**changes: object) -> StreamDefinition:
    fields: dict[str, object] = {
        "name": "a", "op": "wct", "pairs": "all", "fmin_hz": 1, "fmax_hz": 8,
        "voices_per_octave": 12, "hop_s": 1, "quantity": "coherence", **changes,
    }  # fmt: skip
    return StreamDefinition(
        name="s",
        fs_hz=FS,
        channels=tuple(Channel(name=name) for name in NAMES),
        analyses=(AnalysisSpec.model_validate(fields),),
    )


def signals() -> NDArray[np.float64]:
    common: NDArray[np.float64] = np.sin(2 * np.pi * 3 * np.arange(N) / FS)
    noise: NDArray[np.float64] = np.random.default_rng(3).standard_normal((N, len(NAMES)))
    noise += common[:, None]
    return noise


def windows(spec: StreamDefinition, samples: NDArray[Any]) -> list[AnalysisWindow]:
    outputs = pipeline.outputs(spec, pipeline.chunks_of(samples, repeat(333)))
    return [output for output in outputs if isinstance(output, AnalysisWindow)]


def results(spec: StreamDefinition, samples: NDArray[Any]) -> list[PairsResult]:
    """Return the results as a reader decodes them from what a worker stored."""
    decoded = []
    for window in windows(spec, samples):
        for result in compute_window(window, ME):
            body = encode(result, ContentType.MSGPACK)
            decoded.append(decode_result(body, ContentType.MSGPACK))
    assert all(isinstance(each, PairsResult) for each in decoded)
    return [each for each in decoded if isinstance(each, PairsResult)]


def mask_of(result: PairsResult) -> NDArray[np.bool_]:
    return np.ma.getmaskarray(result.masked)


def test_a_result_has_all_pairs_and_equals_the_offline_coherence_where_nothing_is_masked() -> None:
    s0 = 1 / (pycwt_mod.Morlet().fourier_factor * 8)
    offline = pycwt_mod.wct_pairs(signals().T.copy(), 1 / FS, 1 / 12, s0, 36)
    rows = {hz: (octave, k) for octave in offline.octaves for k, hz in enumerate(octave.freqs)}
    compared = 0
    for result in results(definition(phase=True), signals()):
        assert result.names == tuple((NAMES[i], NAMES[j]) for i, j in offline.pairs)
        free = ~mask_of(result) & (result.positions < N)
        for row, hz in enumerate(result.freqs_hz):
            octave, k = next(rows[each] for each in rows if abs(each / hz - 1) < 1e-9)
            at = np.minimum(result.positions, N - 1) // octave.step
            # The offline octaves have their own steps.
            valid = free[:, row] & (result.positions % octave.step == 0)
            np.testing.assert_allclose(
                result.values[:, row][valid], octave.coherence[:, k][:, at][valid], atol=1e-5
            )
            assert octave.phase is not None
            assert result.phase is not None
            turn = np.exp(1j * result.phase[:, row]) - np.exp(1j * octave.phase[:, k][:, at])
            assert np.abs(turn * result.values[:, row])[valid].max(initial=0) < 1e-4
            compared += int(valid.sum())
    assert compared > 30_000


def test_a_pair_is_masked_where_either_channel_is_as_its_own_analysis_would_be() -> None:
    samples = signals()
    samples[GAP, 2] = np.nan
    alone = definition(pairs=[["q", "r"]], channels=[], significance={"level": 0.95})
    expected = {
        (each.octave, each.t.first_sample): each
        for each in pipeline.results(alone, pipeline.chunks_of(samples, repeat(333))).values()
    }
    together = results(definition(phase=True, significance={"level": 0.95}), samples)
    assert len(together) == len(expected)
    for result in together:
        other = expected[result.octave, result.t.first_sample]
        pair = result.pair("r", "q")
        assert pair.channels == other.channels == ("q", "r")
        np.testing.assert_array_equal(
            np.ma.getmaskarray(pair.masked), np.ma.getmaskarray(other.masked)
        )
        free = ~np.ma.getmaskarray(pair.masked)
        np.testing.assert_allclose(pair.values[free], other.values[free], atol=1e-5)
        assert pair.signif == pytest.approx(other.signif, rel=1e-6)
        assert pair.signif_method == "table"
    with pytest.raises(KeyError, match="q, x"):
        together[0].pair("q", "x")


def test_every_fourth_column_is_a_column_of_the_whole_result() -> None:
    samples = signals()
    samples[GAP, 2] = np.nan
    whole: dict[tuple[int, int], Any] = {}
    for result in results(definition(), samples):
        for column, position in enumerate(result.positions):
            whole[result.octave, position] = result.masked[..., column]
    some = results(definition(decimate=4), samples)
    assert sum(result.t.n for result in some) < len(whole) / 3
    for result in some:
        for column, position in enumerate(result.positions):
            expected = whole[result.octave, position]
            np.testing.assert_array_equal(mask_of(result)[..., column], expected.mask)
            np.testing.assert_allclose(
                result.masked[..., column].filled(0), expected.filled(0), atol=1e-5
            )


def test_a_band_is_the_mean_over_the_scales_that_are_in_it() -> None:
    samples = signals()
    samples[GAP, 2] = np.nan
    bands = [[2.5, 3.5], [1, 8]]
    level = {"level": 0.95}
    whole = {(each.octave, each.t.first_sample): each
             for each in results(definition(phase=True, significance=level), samples)}  # fmt: skip
    banded = results(definition(phase=True, significance=level, bands=bands), samples)
    assert {each.octave for each in banded} == {0, 1, 2, 3}
    for result in banded:
        full = whole[result.octave, result.t.first_sample]
        assert result.bands is not None
        assert full.signif is not None
        assert result.signif is not None
        assert len(result.bands) == (2 if result.octave == 1 else 1)
        for row, band in enumerate(result.bands):
            (rows,) = band_rows(full.freqs_hz, [band.band_hz])
            assert band.n_scales == rows.stop - rows.start
            masked = mask_of(full)[:, rows].any(axis=1)
            np.testing.assert_array_equal(mask_of(result)[:, row], masked)
            mean = full.values[:, rows].mean(axis=1)
            np.testing.assert_allclose(result.values[:, row], mean, atol=1e-5)
            np.testing.assert_allclose(
                result.signif[:, row], full.signif[:, rows].mean(axis=1), atol=1e-6
            )
            assert full.phase is not None
            assert result.phase is not None
            vectors = np.sqrt(full.values[:, rows]) * np.exp(1j * full.phase[:, rows])
            sums = vectors.sum(axis=1)
            error = np.abs(sums) - (sums * np.exp(-1j * result.phase[:, row])).real
            assert error.max() < 1e-4


@pytest.mark.parametrize(("bands", "low", "high"), [([], 4.2, 5.8), ([[4.1, 8]], 0.3, 2.5)])
def test_unrelated_noise_exceeds_the_threshold_of_a_scale_at_its_rate_and_that_of_a_band_less_often(
    bands: list[list[float]], low: float, high: float
) -> None:
    x = np.random.default_rng(1).standard_normal((12_000, len(NAMES))).astype(np.float32)
    spec = definition(bands=bands, fmin_hz=4.1, hop_s=16, significance={"level": 0.95})
    above = valid = 0
    for result in results(spec, x):
        assert result.signif is not None
        exceeds = result.masked > result.signif[..., None]
        above, valid = above + int(exceeds.sum()), valid + int(exceeds.count())
    # About 10 pairs of 500 independent values each: the standard error of 5 % is 0.3 %.
    assert low < 100 * above / valid < high


def test_a_result_too_large_for_a_message_comes_in_parts_with_ids_of_their_own() -> None:
    (window, *_) = windows(definition(significance={"level": 0.95}), signals())
    (whole,) = compute_window(window, ME)
    cut = window.model_copy(update={"pairs_per_message": 4})
    parts = compute_window(cut, ME)
    assert [len(part.values) for part in parts] == [4, 4, 2]
    assert isinstance(whole, PairsResult)
    stacked: dict[str, list[Any]] = {}
    for part in parts:
        assert isinstance(part, PairsResult)
        assert part.total_pairs == 10
        assert part.first_pair == len(np.concatenate(stacked.get("pairs", [np.empty(0)])))
        for name in ("pairs", "values", "signif"):
            stacked.setdefault(name, []).append(getattr(part, name))
    for name, arrays in stacked.items():
        np.testing.assert_array_equal(np.concatenate(arrays), getattr(whole, name))
    assert len({each.id for each in (whole, *parts)}) == len({whole.spec_hash}) + 3
    assert [part.id for part in compute_window(cut, ME)] == [part.id for part in parts]


@pytest.mark.parametrize("changes", [{}, {"bands": [[2, 4]], "decimate": 2, "phase": True}])
def test_a_dropped_window_has_the_same_results_all_masked(changes: dict[str, Any]) -> None:
    for window in windows(definition(**changes), signals())[:8]:
        for dropped, computed in zip(
            drop_window(window, ME), compute_window(window, ME), strict=True
        ):
            assert isinstance(dropped, PairsResult)
            assert dropped.id == computed.id
            assert dropped.values.shape == computed.values.shape
            assert dropped.mask is not None
            assert dropped.mask.all()
            assert dropped.engine.backend == "none"
