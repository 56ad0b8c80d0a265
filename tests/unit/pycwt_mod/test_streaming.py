"""What a stream gives block by block is the transform of the whole recording."""

from __future__ import annotations

from typing import Any, Literal

import msgpack  # type: ignore[import-untyped]
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pycwt_mod import (
    Convention,
    LiveBlock,
    StreamingCwt,
    StreamingWct,
    StreamingXwt,
    assemble,
    block_level,
    cwt,
    rednoise,
    wct,
)
from pycwt_mod.engine.layout import support_radius

Array = NDArray[Any]
Stream = StreamingCwt | StreamingXwt | StreamingWct
Op = Literal["cwt", "xwt", "wct"]
Dtype = Literal["float32", "float64"]

FS, N = 50.0, 2400
RTOL = 1e-5
OPS: tuple[Op, ...] = ("cwt", "xwt", "wct")
CONVENTIONS: tuple[Convention, ...] = ("standard", "pycwt")
AXIS: dict[str, Any] = {
    "fs_hz": FS, "fmin_hz": 1.2, "fmax_hz": 6.0, "hop_s": 0.7, "voices_per_octave": 6,
}  # fmt: skip


def recording() -> Array:
    common = rednoise(N, 0.8, rng=1)
    x = np.stack([common + 40.0, rednoise(N, 0.4, rng=2) + 0.7 * common - 3.0], axis=1)
    return np.round(x * 4096) / 4096  # exact in single precision


def a_stream(op: Op, convention: Convention = "standard", dtype: Dtype = "float64") -> Stream:
    options: dict[str, Any] = {**AXIS, "convention": convention, "dtype": dtype}
    if op == "cwt":
        return StreamingCwt(channels=2, **options)
    return StreamingXwt(**options) if op == "xwt" else StreamingWct(**options)


def offline(x: Array, stream: Stream, op: Op, convention: Convention) -> Array:
    grid = stream.grid
    if op == "wct":
        dj, s0, J = 1 / grid.voices_per_octave, grid.scales_s[0], grid.n_voices - 1
        found = wct(x[:, 0], x[:, 1], 1 / FS, dj, s0, J, sig=False, convention=convention)
        return found.coherence
    freqs = grid.freqs_hz
    centred = x - np.nanmean(x, axis=0)
    one, other = (cwt(c, 1 / FS, freqs=freqs, convention=convention).coefs for c in centred.T)
    return other if op == "cwt" else one * np.conj(other)


TRUTH = {
    (op, convention): offline(recording(), a_stream(op), op, convention)
    for op in OPS
    for convention in CONVENTIONS
}


def fed(stream: Stream, x: Array, lengths: list[int]) -> list[LiveBlock]:
    blocks: list[LiveBlock] = []
    for piece in np.split(x, np.cumsum(lengths)):
        blocks += stream.push(piece)
    return [*blocks, *stream.flush()]


def check(blocks: list[LiveBlock], op: Op, convention: Convention) -> None:
    """Compare what is not masked with the offline transform."""
    first_row = 0
    for octave in assemble(blocks, (1,) if op == "cwt" else (0, 1)).octaves:
        expected = TRUTH[op, convention][first_row : first_row + len(octave.freqs_hz)]
        first_row += len(octave.freqs_hz)
        rms = np.sqrt((np.abs(expected) ** 2).mean(axis=1, keepdims=True))
        at = octave.first_sample + octave.step * np.arange(octave.values.shape[1])
        inside = at < N
        assert octave.mask[:, ~inside].all()
        error = np.abs(octave.values[:, inside] - expected[:, at[inside]]) / rms
        assert error[~octave.mask[:, inside]].max(initial=0.0) < RTOL
    assert first_row == len(TRUTH[op, convention])


def free_share(blocks: list[LiveBlock]) -> float:
    return float(np.mean(np.concatenate([block.mask.ravel() == 0 for block in blocks])))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("op", OPS)
@settings(max_examples=5, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 700), max_size=9),
    order=st.randoms(use_true_random=False),
    cut=st.integers(0, N),
)
def test_however_samples_come_and_wherever_it_is_interrupted_blocks_equal_the_offline_transform(
    op: Op, convention: Convention, dtype: Dtype, lengths: list[int], order: Any, cut: int
) -> None:
    x, stream, again = recording(), *(a_stream(op, convention, dtype) for _ in range(2))
    blocks: list[LiveBlock] = list(stream.push(x[:cut]))
    again.restore(msgpack.unpackb(msgpack.packb(stream.snapshot())))
    assert again.n_samples == cut
    blocks += fed(again, x[cut:], lengths)
    assert len({(b.channels, b.octave, b.first_sample) for b in blocks}) == len(blocks)
    order.shuffle(blocks)
    check(blocks, op, convention)
    assert free_share(blocks) > 0.4


@pytest.mark.parametrize("op", OPS)
def test_sample_by_sample_gives_the_very_same_blocks(op: Op) -> None:
    x = recording()
    whole, single = (
        {(b.channels, b.octave, b.first_sample): b.values.tobytes() for b in found}
        for found in (fed(a_stream(op), x, []), fed(a_stream(op), x, [1] * (N - 1)))
    )
    assert whole == single


@pytest.mark.parametrize("op", OPS)
@settings(max_examples=8, deadline=None)
@given(
    gaps=st.lists(st.tuples(st.integers(50, N - 100), st.integers(1, 30)), min_size=1, max_size=2),
    skipped=st.booleans(),
)
def test_every_gap_has_its_own_cone_and_outside_of_it_nothing_knows_of_it(
    op: Op, gaps: list[tuple[int, int]], skipped: bool
) -> None:
    x = recording()
    for first, n in gaps:
        x[first : first + n] = np.nan
    stream = a_stream(op)
    blocks: list[LiveBlock] = []
    missing: Array = np.isnan(x[:, 0])
    for piece in np.split(x, np.flatnonzero(np.diff(missing)) + 1):
        gap = skipped and np.isnan(piece[0, 0])
        blocks += stream.skip(len(piece)) if gap else stream.push(piece)
    blocks += stream.flush()
    octaves = assemble(blocks, blocks[0].channels).octaves
    radius = support_radius(stream.grid.wavelet, op, RTOL)
    for octave, layout in zip(octaves, stream.layouts, strict=True):
        reach = np.ceil(radius * stream.grid.scales_s[layout.rows.stop - 1] * FS)
        at = octave.first_sample + layout.step * np.arange(octave.mask.shape[1])
        touched: NDArray[np.bool_] = np.logical_or.reduce(octave.mask)
        assert touched[np.isin(at, np.flatnonzero(missing))].all()
        nowhere = np.concatenate([[-1], np.flatnonzero(missing), [N]])
        far = np.abs(at[:, None] - nowhere).min(axis=1) > reach
        assert not touched[far & (at < N)].any()
    check(blocks, op, "standard")


def test_many_pairs_share_their_channels() -> None:
    x = np.column_stack([recording(), rednoise(N, 0.5, rng=9)])
    pairs = ((0, 1), (1, 2), (0, 2))
    together = StreamingWct(channels=3, pairs=pairs, **AXIS)
    blocks = fed(together, x, [500])
    for pair in pairs:
        alone = fed(StreamingWct(**AXIS), x[:, list(pair)], [])
        for one, other in zip(assemble(blocks, pair).octaves, assemble(alone).octaves, strict=True):
            np.testing.assert_allclose(one.values, other.values, atol=1e-9)


def test_coherence_carries_the_tabulated_level_of_each_voice() -> None:
    stream = StreamingWct(level=0.95, **{**AXIS, "fmin_hz": 0.4})
    block = fed(stream, recording(), [])[0]
    expected = block_level(
        grid=stream.grid, layout=stream.layouts[0], convention="standard", al1=0.4, al2=0.8,
        level=0.95,
    )  # fmt: skip
    assert block.signif_method == "table"
    assert block.signif == pytest.approx(expected, abs=0.01)


def test_where_the_table_has_no_level_it_is_simulated_and_the_block_says_so() -> None:
    stream = StreamingWct(level=0.95, **{**AXIS, "voices_per_octave": 7})
    block = fed(stream, recording(), [])[0]
    assert block.signif_method == "monte-carlo"
    assert block.signif is not None
    assert ((block.signif > 0.5) & (block.signif < 1)).all()


def test_a_matrix_has_every_octave_at_every_instant_and_nan_where_nothing_came() -> None:
    stream = StreamingCwt(quantity="power", **AXIS)
    whole = assemble(fed(stream, recording()[:, 0], []))
    samples, values, mask = whole.matrix()
    assert values.shape == mask.shape == (len(whole.freqs_hz), len(samples))
    exact = samples % whole.octaves[-1].step == 0
    last = whole.octaves[-1]
    columns = samples[exact] // last.step
    np.testing.assert_array_equal(values[-1, exact], last.values[-1, columns])
    _, beyond, masked = whole.matrix(np.array([-(10**6), 10**6]))
    assert np.isnan(beyond).all()
    assert masked.all()


@pytest.mark.parametrize(
    ("samples", "problem"),
    [
        (np.zeros((5, 3)), r"\(5, 3\).*\(n, 2\)"),
        (np.zeros(5), "every channel"),
        ([[np.inf, 0.0]], "infinite"),
        ([["a", "b"]], "dtype"),
    ],
)
def test_samples_that_do_not_fit_are_refused_and_nothing_is_taken(
    samples: Any, problem: str
) -> None:
    stream = a_stream("wct")
    with pytest.raises(ValueError, match=problem):
        stream.push(samples)
    assert stream.n_samples == 0


def test_a_snapshot_of_another_transform_or_version_is_refused() -> None:
    snapshot = a_stream("xwt").snapshot()
    with pytest.raises(ValueError, match=r"op='xwt'.*op='wct'"):
        a_stream("wct").restore(snapshot)
    with pytest.raises(ValueError, match="format="):
        a_stream("xwt").restore({**snapshot, "format": "pycwt_mod.streaming/9"})


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: StreamingXwt(pairs=[(0, 2)], **AXIS), r"\b2\b.*channels=2"),
        (lambda: StreamingWct(pairs=[], **AXIS), "pairs"),
        (lambda: StreamingWct(level=1.5, **AXIS), "level=1.5"),
        (lambda: StreamingCwt(channels=0, **AXIS), "channels=0"),
        (lambda: StreamingCwt(dtype="int16", **AXIS), "dtype='int16'"),  # type: ignore[arg-type]
    ],
)
def test_arguments_out_of_range_are_named(make: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        make()


def test_blocks_of_several_channels_are_assembled_one_at_a_time() -> None:
    blocks = fed(a_stream("cwt"), recording(), [])
    with pytest.raises(ValueError, match="say which"):
        assemble(blocks)
    with pytest.raises(ValueError, match="no block"):
        assemble([])
