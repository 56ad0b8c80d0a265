"""Chunk bytes to window bytes to result bytes: what comes out is what a notebook gets."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cwt_compute.live.windows import Provenance, compute_window
from cwt_schemas.analysis import AnalysisSpec
from cwt_schemas.codec import ContentType, decode, encode
from cwt_schemas.live import AnalysisResult, AnalysisWindow
from cwt_schemas.stream import Channel, StreamDefinition
from pycwt_mod import Convention, LiveBlock, StreamingCwt, StreamingWct, StreamingXwt, rednoise
from tests import pipeline

Op = Literal["cwt", "xwt", "wct"]
FS, N, NAMES = 50.0, 1500, ("x", "y", "z")
AXIS: dict[str, Any] = {"fmin_hz": 1.2, "fmax_hz": 6.0, "hop_s": 0.7, "voices_per_octave": 6}
PAIRS = ((0, 1), (2, 1))


def recording(dtype: str) -> NDArray[Any]:
    x = np.stack([rednoise(N, 0.7, rng=seed) + 9.0 for seed in range(3)], axis=1)
    x[700:707, 1] = np.nan
    return x.astype(dtype)


def definition(op: Op, convention: Convention) -> StreamDefinition:
    sets: dict[str, Any] = {"channels": NAMES}
    if op != "cwt":
        sets = {"pairs": [[NAMES[i] for i in pair] for pair in PAIRS]}
    spec = {"name": "a", "op": op, "convention": convention, **sets, **AXIS}
    spec["quantity"] = "coherence" if op == "wct" else "complex"
    return StreamDefinition(
        name="s",
        fs_hz=FS,
        channels=tuple(Channel(name=name) for name in NAMES),
        analyses=(AnalysisSpec.model_validate(spec),),
    )


def notebook(op: Op, convention: Convention, x: NDArray[Any]) -> list[LiveBlock]:
    common: dict[str, Any] = {
        "fs_hz": FS, "channels": 3, "convention": convention, "dtype": x.dtype.name, **AXIS,
    }  # fmt: skip
    if op == "cwt":
        return list(StreamingCwt(**common).push(x))
    make = StreamingXwt if op == "xwt" else StreamingWct
    return list(make(pairs=PAIRS, **common).push(x))


def carried(windows: list[AnalysisWindow]) -> list[AnalysisResult]:
    """Return the results as a reader decodes them from what a worker stored."""
    found = []
    for window in windows:
        taken = decode(AnalysisWindow, encode(window, ContentType.MSGPACK), ContentType.MSGPACK)
        for result in compute_window(taken, Provenance(worker="w", computed_ns=1)):
            body = encode(result, ContentType.MSGPACK)
            found.append(decode(AnalysisResult, body, ContentType.MSGPACK))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["<f4", "<f8"])
@pytest.mark.parametrize("convention", ["standard", "pycwt"])
@pytest.mark.parametrize("op", ["cwt", "xwt", "wct"])
@settings(max_examples=3, deadline=None)
@given(lengths=st.lists(st.integers(1, 300), max_size=12), order=st.randoms(use_true_random=False))
def test_results_are_the_blocks_of_a_notebook_however_chunks_are_cut_and_windows_are_shared_out(
    op: Op, convention: Convention, dtype: str, lengths: list[int], order: Any
) -> None:
    x = recording(dtype)
    made = pipeline.outputs(definition(op, convention), pipeline.chunks_of(x, [*lengths, N]))
    windows = [output for output in made if isinstance(output, AnalysisWindow)]
    order.shuffle(windows)
    results = {(r.channels, r.octave, r.t.first_sample): r for r in carried(windows)}
    blocks = notebook(op, convention, x)
    assert len(results) == len(blocks)
    for block in blocks:
        names = tuple(NAMES[channel] for channel in block.channels)
        result = results[names, block.octave, block.first_sample]
        rms = np.sqrt((np.abs(block.values) ** 2).mean())
        assert result.values.dtype == block.values.dtype
        assert np.abs(result.values - block.values).max() <= 1e-5 * rms
        masked = np.zeros(block.mask.shape, np.bool_) if result.mask is None else result.mask
        np.testing.assert_array_equal(masked, block.mask)
