"""Results own their arrays: what a caller changes in place changes no later result."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import pytest

import pycwt_mod as pm
from pycwt_mod.significance.table import LevelTable
from pycwt_mod.streaming import compute_blocks, window_level

X, Y = pm.rednoise(365, 0.5, rng=1), pm.rednoise(365, 0.5, rng=2)
GAPPY = np.where(np.arange(365) % 97 == 5, np.nan, X)
AXIS: dict[str, Any] = {"dt": 1.0, "dj": 1 / 4, "s0": 2.0, "J": 20}
GRID = pm.VoiceGrid(fs_hz=10, fmin_hz=0.5, fmax_hz=2, voices_per_octave=4, wavelet=pm.Morlet())
LAYOUT = pm.octave_layouts(GRID, op="wct", hop_s=2, convention="standard")[1]
PLAN = pm.plan(365, 1.0)
CACHE: dict[Any, Any] = {}


def arrays_of(result: object) -> Iterator[np.ndarray[Any, Any]]:
    """Yield every array that can be reached from a result."""
    if isinstance(result, np.ndarray):
        yield result
    if isinstance(result, tuple | list):
        for each in result:
            yield from arrays_of(each)
    if is_dataclass(result):
        for field in fields(result):
            if not field.name.startswith("_"):
                yield from arrays_of(getattr(result, field.name))
    for each in getattr(result, "__dict__", {}).values() if isinstance(result, tuple) else ():
        yield from arrays_of(each)
    if isinstance(result, pm.MonteCarloLevels):
        yield from arrays_of(list(vars(result).values()))


def live(stream: pm.StreamingCwt | pm.StreamingXwt | pm.StreamingWct) -> Any:
    channels = 1 if isinstance(stream, pm.StreamingCwt) else 2
    blocks = stream.push(np.stack([X, Y], axis=1)[:, :channels]) + stream.skip(3) + stream.flush()
    return blocks, pm.assemble(blocks)


LIVE: dict[str, Any] = {"fs_hz": 10, "fmin_hz": 0.5, "fmax_hz": 2, "hop_s": 2}
BLOCK: dict[str, Any] = {
    "window_first": 0, "tile_first": LAYOUT.margin, "grid": GRID, "layout": LAYOUT, "op": "wct",
    "quantity": "coherence", "convention": "standard",
}  # fmt: skip
LEVEL: dict[str, Any] = {"grid": GRID, "layout": LAYOUT, "convention": "standard", "level": 0.95}
PAIR = np.stack([X, Y, GAPPY], axis=1)

#: Every public way to a result with arrays.
CALLS: dict[str, Callable[[], object]] = {
    "cwt": lambda: pm.cwt(X, 1.0),
    "cwt with gaps": lambda: pm.cwt(GAPPY, 1.0),
    "cwt at own freqs": lambda: pm.cwt(X, 1.0, freqs=[0.1, 0.2]),
    "multirate": lambda: pm.multirate(GAPPY, 1.0),
    "xwt": lambda: pm.xwt(X, Y, 1.0),
    "wct": lambda: pm.wct(X, Y, 1.0, sig=False),
    "wct with a level": lambda: pm.wct(X, Y, **AXIS, mc_count=4, rng=1, cache=CACHE),
    "wct with a table": lambda: pm.wct(X, Y, 1.0, method="table"),
    "wct_significance": lambda: pm.wct_significance(
        0.5, 0.5, **AXIS, mc_count=4, rng=1, cache=CACHE
    ),
    "wct_significance by table": lambda: pm.wct_significance(
        0.5, 0.5, 1.0, 1 / 12, 2.0, 80, method="table"
    ),
    "significance": lambda: pm.significance(X, 1.0, [2.0, 4.0]),
    "plan": lambda: (PLAN.scales, PLAN.freqs, PLAN.coi),
    "plan.cwt": lambda: PLAN.cwt(X),
    "plan.multirate": lambda: PLAN.multirate(X),
    "plan.xwt": lambda: PLAN.xwt(X, Y),
    "plan.wct": lambda: PLAN.wct(X, Y, signif=PLAN.freqs),
    "grid": lambda: (GRID.freqs_hz, GRID.scales_s),
    "compute_block": lambda: pm.compute_block(PAIR[:, :2], **BLOCK),
    "compute_block with gaps": lambda: pm.compute_block(PAIR[:, 1:], **BLOCK),
    "compute_blocks": lambda: compute_blocks(PAIR, ((0, 2), (1, 2)), **BLOCK),
    "block_level": lambda: pm.block_level(**LEVEL, al1=0.5, al2=0.5),
    "block_significance": lambda: pm.block_significance(
        **LEVEL, al1=0.5, al2=0.5, mc_count=4, seed=1
    ),
    "window_level": lambda: window_level(PAIR[:, :2], **LEVEL),
    "StreamingCwt": lambda: live(pm.StreamingCwt(**LIVE)),
    "StreamingXwt": lambda: live(pm.StreamingXwt(**LIVE)),
    "StreamingWct": lambda: live(pm.StreamingWct(**LIVE, level=0.95)),
    "LevelTable": lambda: LevelTable.of(pm.Morlet(), 1 / 12, "standard"),
    "LevelTable.record": lambda: LevelTable.of(pm.Morlet(), 1 / 12, "standard").record(2, 80, 0.9),
    "wavelet": lambda: (pm.Morlet().psi(X), pm.Morlet().psi_ft(X), pm.ar1_spectrum([0.1], 0.5)),
}


@pytest.mark.parametrize("name", CALLS)
def test_changing_a_result_in_place_changes_no_later_result(name: str) -> None:
    call = CALLS[name]
    before = [array.copy() for array in arrays_of(call())]
    first = list(arrays_of(call()))
    assert first

    for array in first:
        if array.flags.writeable:
            array[...] = 77

    again = list(arrays_of(call()))
    for old, new in zip(before, again, strict=True):
        np.testing.assert_array_equal(new, old)
    shared = [new for new in again for old in first if np.shares_memory(new, old)]
    assert not any(array.flags.writeable for array in shared)


@pytest.mark.parametrize("name", ["cwt", "multirate", "xwt", "wct", "wct_significance"])
def test_the_arrays_of_a_result_are_writable(name: str) -> None:
    assert all(array.flags.writeable for array in arrays_of(CALLS[name]()))


def test_frequencies_scaled_to_years_do_not_change_the_next_transform() -> None:
    _, scales, freqs, coi, *_ = pm.cwt(X, 1.0)
    freqs *= 365.25
    scales /= 365.25
    coi /= 365.25

    result = pm.cwt(Y, 1.0)
    assert result.freqs[0] == pytest.approx(0.5)
    assert result.coi.max() == pytest.approx(182.5 * 1.03304 / np.sqrt(2), rel=1e-4)


def test_scales_changed_in_place_do_not_change_a_later_coherence() -> None:
    pm.cwt(X, 1.0).scales[...] /= 365.25
    assert pm.wct(X, Y, 1.0, sig=False).coherence.mean() == pytest.approx(0.465, abs=0.001)


def test_the_callers_frequencies_can_change_after_a_plan_was_made() -> None:
    freqs = np.array([0.1, 0.2])
    plan = pm.plan(64, 1.0, freqs=freqs)
    freqs *= 365.25
    assert plan.freqs.tolist() == [0.1, 0.2]


def test_the_axes_of_a_plan_are_read_only() -> None:
    with pytest.raises(ValueError, match="read-only"):
        PLAN.freqs[...] *= 365.25
