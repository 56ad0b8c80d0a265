"""From windows to results."""

from __future__ import annotations

from collections.abc import Callable
from itertools import repeat

import numpy as np
import pytest
from numpy.typing import NDArray

import pycwt_mod
from cwt_compute.live.windows import Provenance, compute_window, drop_window
from cwt_schemas.analysis import AnalysisSpec, SignificanceSpec
from cwt_schemas.codec import ContentType, encode
from cwt_schemas.errors import Unprocessable
from cwt_schemas.live import AnalysisResult, AnalysisWindow
from cwt_schemas.stream import Channel, StreamDefinition
from tests import pipeline

FS, N = 64.0, 4096
Compute = Callable[[AnalysisWindow, Provenance], tuple[AnalysisResult, ...]]
ME = Provenance(worker="me", computed_ns=5)


def definition(names: str = "xy", /, **changes: object) -> StreamDefinition:
    fields: dict[str, object] = {
        "name": "a", "op": "wct", "pairs": [("x", "y")], "fmin_hz": 1, "fmax_hz": 8,
        "voices_per_octave": 12, "hop_s": 1, "quantity": "coherence", **changes,
    }  # fmt: skip
    return StreamDefinition(
        name="s",
        fs_hz=FS,
        channels=tuple(Channel(name=name) for name in names),
        analyses=(AnalysisSpec.model_validate(fields),),
    )


def signals() -> NDArray[np.float64]:
    rng = np.random.default_rng(3)
    common: NDArray[np.float64] = np.sin(2 * np.pi * 3 * np.arange(N) / FS)
    noise: NDArray[np.float64] = rng.standard_normal((N, 2))
    noise += common[:, None]
    return noise


def results(spec: StreamDefinition, samples: NDArray[np.float64]) -> list[AnalysisResult]:
    return list(pipeline.results(spec, pipeline.chunks_of(samples, repeat(333))).values())


def a_window_of(spec: StreamDefinition) -> AnalysisWindow:
    samples = np.resize(signals(), (N, len(spec.channels)))
    for output in pipeline.outputs(spec, pipeline.chunks_of(samples, [N])):
        if isinstance(output, AnalysisWindow):
            return output
    raise AssertionError


def a_window(**changes: object) -> AnalysisWindow:
    return a_window_of(definition()).model_copy(update=changes)


def test_live_coherence_equals_the_offline_coherence_where_nothing_is_masked() -> None:
    found = results(definition(), signals())
    x, y = signals().T
    s0 = 1 / (pycwt_mod.Morlet().fourier_factor * 8)
    offline = pycwt_mod.wct(x, y, 1 / FS, dj=1 / 12, s0=s0, J=36, wavelet="morlet", sig=False)
    compared = 0
    for result in found:
        rows = result.octave * 12 + np.arange(len(result.freqs_hz))
        np.testing.assert_allclose(offline.freqs[rows], result.freqs_hz)
        columns = result.t.first_sample + result.t.step * np.arange(result.t.n)
        masked = np.zeros(result.values.shape, np.bool_) if result.mask is None else result.mask
        free = ~masked & (columns < N)
        expected = offline.coherence[rows][:, np.minimum(columns, N - 1)]
        np.testing.assert_allclose(result.values[free], expected[free], atol=1e-5)
        compared += int(free.sum())
    assert compared > 4000


@pytest.mark.parametrize("op", ["pwct", "mwct"])
def test_live_coherence_of_several_channels_equals_the_offline_one(op: str) -> None:
    rng = np.random.default_rng(5)
    samples = rng.standard_normal((N, 4)) + rng.standard_normal((N, 1))
    if op == "pwct":
        sets: dict[str, object] = {"pairs": [("x", "y"), ("y", "v")], "given": ["z"]}
    else:
        sets = {"pairs": [], "target": "y", "given": ["x", "z"]}
    spec = definition("xyzv", op=op, **sets, significance={"level": 0.95})
    y = dict(zip("xyzv", samples.T, strict=True))
    s0 = 1 / (pycwt_mod.Morlet().fourier_factor * 8)
    compared = set()
    for result in results(spec, samples):
        one, other, *others = (y[name] for name in result.channels)
        if op == "pwct":
            offline = pycwt_mod.pwct(
                one, other, others, 1 / FS, 1 / 12, s0, 36, sig=False
            ).coherence
        else:
            offline = pycwt_mod.mwct(
                one, [other, *others], 1 / FS, 1 / 12, s0, 36, sig=False
            ).coherence
        rows = result.octave * 12 + np.arange(len(result.freqs_hz))
        masked = np.zeros(result.values.shape, np.bool_) if result.mask is None else result.mask
        free = ~masked & (result.positions < N)
        expected = offline[rows][:, np.minimum(result.positions, N - 1)]
        np.testing.assert_allclose(result.values[free], expected[free], atol=1e-4)
        assert (result.phase is None) == (op == "mwct")
        assert result.signif is not None
        assert 0.6 < result.signif.mean() < 0.95
        compared.add(result.channels)
        if len(compared) == (2 if op == "pwct" else 1) and result.octave > 1:
            break
    assert compared == ({("x", "y", "z"), ("y", "v", "z")} if op == "pwct" else {("y", "x", "z")})
    window = a_window_of(spec)
    assert all(each.mask is not None and each.mask.all() for each in drop_window(window, ME))


@pytest.mark.parametrize(
    ("carried", "scale", "floats"),
    [("<i2", 1, "<f4"), ("<i4", 1, "<f4"), ("<i4", 16_777_217, "<f8")],
)
@pytest.mark.parametrize("compute", [compute_window, drop_window])
def test_whole_numbers_give_bit_by_bit_what_the_floats_give_that_hold_them(
    carried: str, scale: int, floats: str, compute: Compute
) -> None:
    window = a_window_of(definition(significance={"level": 0.95}))
    counts = np.rint(20 * window.samples).astype(np.int64) * scale
    whole = compute(window.model_copy(update={"samples": counts.astype(carried)}), ME)
    same = compute(window.model_copy(update={"samples": counts.astype(floats)}), ME)
    assert encode(whole[0], ContentType.MSGPACK) == encode(same[0], ContentType.MSGPACK)


def test_result_has_provenance() -> None:
    window = a_window()
    (result,) = compute_window(window, ME)
    assert result.fs_hz == FS
    assert result.spec_hash == window.analysis.spec_hash(fs_hz=FS, channels=("x", "y"))
    assert result.id == f"s/e/a/{result.spec_hash}/{window.octave}/{window.tile.first_sample}"
    assert (result.engine.library, result.engine.version) == ("pycwt_mod", pycwt_mod.__version__)
    assert (result.engine.worker, result.times_ns.computed) == ("me", 5)
    assert (result.input.first_sample, result.input.n_samples) == (
        window.first_sample,
        window.n_samples,
    )
    assert result.t.step * result.t.n == window.tile.n


def test_the_level_comes_when_asked_for_and_is_between_chance_and_one() -> None:
    with_level = definition(significance={"level": 0.95})
    for result in results(with_level, signals()):
        assert result.signif is not None
        assert np.all((result.signif > 0.5) & (result.signif < 1))
        assert result.signif_method == "table"
    assert results(definition(), signals())[0].signif is None


@pytest.mark.parametrize("samples", [np.ones((N, 2)), np.full((N, 2), np.nan)])
def test_signals_without_variance_or_value_give_finite_results(
    samples: NDArray[np.float64],
) -> None:
    for result in results(definition(significance={"level": 0.95}), samples):
        assert np.all(np.isfinite(result.signif if result.signif is not None else 0))
        assert np.all(np.isfinite(result.values))


def test_a_result_has_a_mask_only_where_something_is_masked() -> None:
    found = results(definition(), signals())
    begin = [result for result in found if result.t.first_sample == 0]
    assert all(result.mask is not None and result.mask.any() for result in begin)
    assert any(result.mask is None for result in found)


def test_all_missing_is_all_masked() -> None:
    for result in results(definition(), np.full((N, 2), np.nan)):
        assert result.mask is not None
        assert result.mask.all()


@pytest.mark.parametrize(
    ("op", "quantity", "kind"),
    [
        ("cwt", "complex", "c"),
        ("cwt", "power", "f"),
        ("cwt", "phase", "f"),
        ("xwt", "complex", "c"),
    ],
)
def test_every_quantity_is_what_it_says(op: str, quantity: str, kind: str) -> None:
    sets = {"channels": ["x"], "pairs": []} if op == "cwt" else {"pairs": [("x", "y")]}
    spec = definition(op=op, quantity=quantity, **sets)
    assert {result.values.dtype.kind for result in results(spec, signals())} == {kind}
    (dropped,) = drop_window(a_window_of(spec), ME)
    (computed,) = compute_window(a_window_of(spec), ME)
    assert (dropped.values.dtype, dropped.values.shape, dropped.id) == (
        computed.values.dtype, computed.values.shape, computed.id,
    )  # fmt: skip


def test_channel_sets_in_one_window_give_what_each_gives_alone() -> None:
    sets = {"op": "cwt", "pairs": [], "quantity": "power"}
    alone = [results(definition(channels=[name], **sets), signals()) for name in "xy"]
    together = results(definition(channels=["x", "y"], **sets), signals())
    expected = {result.id: result for each in alone for result in each}
    assert {result.id for result in together} == set(expected)
    for result in together:
        rms = np.sqrt((np.abs(expected[result.id].values) ** 2).mean())
        error = np.abs(result.values - expected[result.id].values)
        assert error.max() < 1e-12 * rms
        assert result.channels == expected[result.id].channels


def test_a_window_that_does_not_fit_its_analysis_is_refused_by_field() -> None:
    with pytest.raises(Unprocessable, match="octave"):
        compute_window(a_window(octave=40), ME)
    tile = a_window().tile.model_copy(update={"n": 7})
    with pytest.raises(Unprocessable, match=r"tile\.n"):
        compute_window(a_window(tile=tile), ME)


def test_many_pairs_of_one_window_have_the_results_of_each_pair() -> None:
    rng = np.random.default_rng(4)
    samples = rng.standard_normal((1200, 7)) + np.sin(np.arange(1200) / 4)[:, None]
    samples[500:520, 2] = np.nan
    names = [f"c{k}" for k in range(7)]
    pairs = [(a, b) for k, a in enumerate(names) for b in names[k + 1 :]]
    spec = definition().analyses[0].narrowed(*pairs)
    spec = spec.model_copy(update={"significance": SignificanceSpec(), "fmin_hz": 2.0})
    channels = tuple(Channel(name=name) for name in names)
    many = StreamDefinition(name="s", fs_hz=FS, channels=channels, analyses=(spec,))
    some = many.model_copy(update={"analyses": (spec.narrowed(("c0", "c3"), ("c2", "c6")),)})
    together, alone = results(many, samples), results(some, samples)
    by_id = {result.id: result for result in together}
    assert len(together) == len(alone) * len(pairs) / 2
    for one in alone:
        same = by_id[one.id]
        np.testing.assert_allclose(same.values, one.values, atol=1e-7)
        assert same.signif is not None
        assert one.signif is not None
        np.testing.assert_array_equal(same.signif, one.signif)
        assert (same.mask is None) == (one.mask is None)
        if one.mask is not None:
            np.testing.assert_array_equal(same.mask, one.mask)
