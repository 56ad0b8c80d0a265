"""Partial and multiple coherence of a signal that is still being recorded."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pycwt_mod import (
    LiveBlock,
    StreamingMwct,
    StreamingPwct,
    StreamingWct,
    assemble,
    mwct,
    pwct,
    wct_significance,
)
from tests.thorough import cases

Array = np.ndarray[Any, np.dtype[Any]]
Op = Literal["pwct", "mwct"]
FS, N = 64.0, 1500
AXIS: dict[str, Any] = {
    "fs_hz": FS, "fmin_hz": 2, "fmax_hz": 16, "hop_s": 1, "voices_per_octave": 6,
}  # fmt: skip
#: 1e-5 of `docs/library.md`, times what the given channels leave of the others here.
RTOL = 1e-4


def recording() -> Array:
    """Return four channels with a common part."""
    noise = np.random.default_rng(3).standard_normal((N, 5))
    return noise[:, :4] + 0.8 * noise[:, 4:]


X = recording()


def a_stream(op: Op, **options: Any) -> StreamingPwct | StreamingMwct:
    if op == "pwct":
        return StreamingPwct(**AXIS, channels=4, pairs=[(0, 1), (3, 0)], given=[2], **options)
    return StreamingMwct(**AXIS, channels=4, target=1, given=[0, 2], **options)


def offline(op: Op, x: Array) -> dict[tuple[int, ...], Array]:
    grid = a_stream(op).grid
    axis = (1 / FS, 1 / 6, grid.scales_s[0], grid.n_voices - 1)
    y = x.T
    if op == "mwct":
        return {(1, 0, 2): mwct(y[1], [y[0], y[2]], *axis, sig=False).coherence}
    return {
        (i, j, 2): pwct(y[i], y[j], y[2], *axis, sig=False).coherence for i, j in ((0, 1), (3, 0))
    }


TRUTH: dict[Op, dict[tuple[int, ...], Array]] = {
    "pwct": offline("pwct", X),
    "mwct": offline("mwct", X),
}


def check(blocks: list[LiveBlock], truth: dict[tuple[int, ...], Array]) -> float:
    """Compare what is not masked with the offline result; return its share."""
    free = []
    for channels, expected in truth.items():
        row = 0
        for octave in assemble(blocks, channels).octaves:
            rows = slice(row, row + len(octave.freqs_hz))
            row = rows.stop
            at = octave.first_sample + octave.step * np.arange(octave.values.shape[1])
            inside = at < N
            error = np.abs(octave.values[:, inside] - expected[rows, at[inside]])
            mask = octave.mask[:, inside]
            assert error[~mask].max(initial=0) < RTOL
            free.append(mask.mean())
        assert row == len(expected)
    return 1 - float(np.mean(free))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("op", ["pwct", "mwct"])
@settings(max_examples=cases(20), deadline=None)
@given(lengths=st.lists(st.integers(0, 700), max_size=9), cut=st.integers(0, N))
def test_however_samples_come_blocks_equal_the_offline_result(
    op: Op, dtype: str, lengths: list[int], cut: int
) -> None:
    stream = a_stream(op, dtype=dtype)
    blocks: list[LiveBlock] = list(stream.push(X[:cut]))
    again = a_stream(op, dtype=dtype)
    again.restore(stream.snapshot())
    for piece in np.split(X[cut:], np.cumsum(lengths)):
        blocks += again.push(piece)
    blocks += again.flush()
    assert check(blocks, TRUTH[op]) > 0.4
    assert all((block.phase is None) == (op == "mwct") for block in blocks)


def test_sample_by_sample_is_the_same() -> None:
    for op, truth in TRUTH.items():
        stream = a_stream(op)
        blocks = [block for sample in X[:900] for block in stream.push(sample)]
        check([*blocks, *stream.push(X[900:]), *stream.flush()], truth)


def test_a_gap_in_a_given_channel_masks_its_surroundings() -> None:
    x = X.copy()
    x[700:720, 2] = np.nan
    for op, truth in TRUTH.items():
        stream = a_stream(op)
        blocks = [*stream.push(x), *stream.flush()]
        assert 0.2 < check(blocks, truth) < 0.95
        top = assemble(blocks, next(iter(truth))).octaves[0]
        assert top.mask[:, (710 - top.first_sample) // top.step].all()


def test_a_copy_of_a_channel_and_a_constant_mask_everything() -> None:
    for broken in (X[:, 0] * 2 - 1, np.full(N, 7.0)):
        x = X.copy()
        x[:, 2] = broken
        for op in TRUTH:
            stream = a_stream(op)
            for block in stream.push(x):
                assert block.mask.all()
                assert not block.values.any()


@pytest.mark.slow
def test_blocks_have_the_level_of_as_many_noises_which_a_wider_smoothing_lowers() -> None:
    levels = {}
    for width in (None, 2.0):
        block = a_stream("mwct", level=0.95, deltaj0=width).push(X[:400])[0]
        assert (block.octave, block.signif_method) == (0, "monte-carlo")
        assert block.signif is not None
        levels[width] = block.signif
    grid = a_stream("mwct").grid
    expected = wct_significance(
        0.3, 0.3, 1 / FS, 1 / 6, grid.scales_s[0], grid.n_voices - 1, seed=1,
        n=100_000, others=[0.3], statistic="multiple",
    )  # fmt: skip
    assert levels[None] == pytest.approx(expected[:6], abs=0.03)
    assert np.mean(levels[2.0]) < np.mean(levels[None]) - 0.1


def test_given_channels_may_be_an_array() -> None:
    stream = StreamingPwct(**AXIS, channels=4, given=np.array([2, 3]))  # type: ignore[arg-type]
    assert stream.push(np.zeros((0, 4))) == ()


def test_impossible_sets_are_refused() -> None:
    with pytest.raises(ValueError, match="must be different"):
        StreamingPwct(**AXIS, pairs=[(0, 1)], given=[1])
    with pytest.raises(ValueError, match="given="):
        StreamingPwct(**AXIS, given=[])
    with pytest.raises(ValueError, match=r"cannot use 5 given signals: .* 0\.98"):
        StreamingMwct(**AXIS, channels=6, target=0, given=[1, 2, 3, 4, 5])
    with pytest.raises(ValueError, match="channel 3 must be below"):
        StreamingPwct(**AXIS, given=[3])
    with pytest.raises(ValueError, match="op="):
        StreamingWct(**AXIS).restore(StreamingPwct(**AXIS, given=[2]).snapshot())
