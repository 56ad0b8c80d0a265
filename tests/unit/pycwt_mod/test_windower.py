"""From samples as they come to windows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pycwt_mod.streaming import CutWindow, Windower

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Octave:
    tile: int
    margin: int


LANES = (Octave(8, 20), Octave(16, 41))


def signal(n: int) -> Array:
    return np.arange(2 * n, dtype=np.float64).reshape(n, 2)


def seen(windows: list[CutWindow]) -> list[tuple[int, int, int, bytes]]:
    return sorted((w.lane, w.tile.first, w.first, w.samples.tobytes()) for w in windows)


def cut(windower: Windower, pieces: list[Array]) -> list[tuple[int, int, int, bytes]]:
    found = []
    for piece in pieces:
        found += [seen([w])[0] for w in windower.push(windower.end, piece)]
    return sorted(found)


@given(st.lists(st.integers(1, 90), max_size=12))
def test_however_the_samples_come_the_windows_are_the_same(lengths: list[int]) -> None:
    x = signal(sum(lengths))
    pieces = np.split(x, np.cumsum(lengths)[:-1]) if lengths else []
    assert cut(Windower(LANES, 2), list(pieces)) == cut(Windower(LANES, 2), [x])


def test_a_window_holds_the_tile_and_its_margins_as_far_as_there_are_samples() -> None:
    x = signal(100)
    for window in Windower(LANES, 2).push(0, x):
        lane = LANES[window.lane]
        assert window.first == max(window.tile.first - lane.margin, 0)
        end = window.tile.first + lane.tile + lane.margin
        np.testing.assert_array_equal(window.samples, x[window.first : end])


def test_flushing_hands_out_the_tiles_that_have_begun_and_no_tile_twice() -> None:
    windower = Windower(LANES, 2)
    due = [w.tile.first for w in windower.push(0, signal(50)) if w.lane == 0]
    rest = [w.tile.first for w in windower.flush() if w.lane == 0]
    assert due + rest == list(range(0, 50, 8))
    assert not list(windower.flush())


def test_what_windows_to_come_do_not_need_is_not_held() -> None:
    windower = Windower(LANES, 2)
    for _ in range(1000):
        list(windower.push(windower.end, signal(10)))
    assert windower.end - windower.needed_from <= 2 * LANES[1].margin + LANES[1].tile + 10


def test_after_a_restart_the_tiles_stay_on_their_grid() -> None:
    windower = Windower(LANES, 2)
    list(windower.push(0, signal(50)))
    windower.restart(1000)
    found = list(windower.push(1000, signal(100)))
    assert found[0].tile.first == 1000 // 8 * 8
    assert all(w.first >= 1000 for w in found)


def test_a_windower_that_resumes_hands_out_what_was_still_to_come() -> None:
    x, first, second = signal(300), Windower(LANES, 2), Windower(LANES, 2)
    before = seen(list(first.push(0, x[:130])))
    second.restart(max(first.needed_from, 0), keep_tiles=True)
    second.resume(first.next_tiles)
    assert not list(second.push(second.end, x[second.end : 130]))
    after = seen(list(second.push(130, x[130:])))
    assert sorted(before + after) == cut(Windower(LANES, 2), [x])


def test_samples_from_before_the_end_are_refused() -> None:
    windower = Windower(LANES, 2, first=10)
    with pytest.raises(ValueError, match=r"first=9.*10"):
        list(windower.push(9, signal(1)))


def test_without_lanes_no_sample_is_held_and_a_gap_takes_no_memory() -> None:
    windower = Windower((), 2)
    assert not list(windower.push(0, signal(5)))
    assert not list(windower.push(10**15, signal(5)))
    assert windower.end == windower.needed_from == 10**15 + 5
    assert len(windower.held()[1]) == 0
    with pytest.raises(ValueError, match="first=3"):
        list(windower.push(3, signal(5)))
