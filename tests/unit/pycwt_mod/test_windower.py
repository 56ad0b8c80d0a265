"""From samples as they come to windows: the windower, its tiles, and its buffer of samples."""

from __future__ import annotations

import tracemalloc
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pycwt_mod.streaming import CutWindow, Windower
from pycwt_mod.streaming.windower import SampleBuffer, Tiling

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


@given(
    tile=st.integers(1, 50),
    margin=st.integers(0, 200),
    start=st.integers(0, 1000),
    chunks=st.lists(st.integers(1, 120), max_size=30),
)
def test_however_the_samples_come_the_tiles_cover_the_axis_once(
    tile: int, margin: int, start: int, chunks: list[int]
) -> None:
    tiling = Tiling(tile, margin)
    tiling.start_at(start)
    end, tiles = start, []
    for n in chunks:
        end += n
        for due in tiling.due(end):
            assert due.first + due.n + margin <= end
            tiles.append(due)
    firsts = [due.first for due in tiles]
    begin = start // tile * tile
    assert firsts == list(range(begin, begin + len(firsts) * tile, tile))
    assert begin + (len(firsts) + 1) * tile + margin > end


def test_the_rest_are_the_tiles_that_have_begun() -> None:
    tiling = Tiling(10, 25)
    assert list(tiling.due(34)) == []
    assert [tile.first for tile in tiling.rest(34)] == [0, 10, 20, 30]
    assert list(tiling.rest(34)) == []


def test_a_window_is_the_tile_with_a_margin_on_either_side() -> None:
    tiling = Tiling(10, 3)
    (tile,) = tiling.due(13)
    assert (tile.window_first, tile.first, tile.n, tile.window_end) == (-3, 0, 10, 13)
    assert tiling.needed_from == 7


def column(first: int, n: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    return np.arange(first, first + n, dtype=np.float64)[:, None]


def test_what_lies_between_two_chunks_is_missing() -> None:
    buffer = SampleBuffer(1)
    buffer.append(0, column(0, 2))
    buffer.append(4, column(4, 2))
    first, samples = buffer.view(0, 6)
    assert first == 0
    np.testing.assert_array_equal(samples[:, 0], [0, 1, np.nan, np.nan, 4, 5])


def test_reading_gives_what_is_held_of_the_range() -> None:
    buffer = SampleBuffer(1, first=10)
    buffer.append(10, column(10, 5))
    assert buffer.view(0, 12)[0] == 10
    np.testing.assert_array_equal(buffer.view(12, 99)[1][:, 0], [12, 13, 14])
    assert buffer.view(50, 60)[1].shape == (0, 1)


def test_what_is_held_cannot_be_written_to() -> None:
    buffer = SampleBuffer(1)
    buffer.append(0, column(0, 4))
    _, samples = buffer.view(0, 4)
    with pytest.raises(ValueError, match="read-only"):
        samples[0] = 9


def test_appending_before_the_end_is_an_error() -> None:
    buffer = SampleBuffer(1, first=5)
    with pytest.raises(ValueError, match=r"first=4.*5"):
        buffer.append(4, column(4, 1))


@pytest.mark.parametrize("types", [("f8",), ("i2", "f4")])
def test_the_memory_stays_that_of_what_is_held(types: tuple[str, ...]) -> None:
    buffer = SampleBuffer(1)
    tracemalloc.start()
    try:
        for i in range(2000):
            buffer.append(i * 100, column(i * 100, 100).astype(types[i % len(types)]))
            buffer.forget(i * 100 - 500)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # 600 samples of 8 bytes are held; the buffer grows by doubling, and copies as it does.
    assert peak < 10 * 600 * 8


@given(st.lists(st.tuples(st.integers(1, 700), st.integers(0, 50), st.integers(0, 900))))
def test_any_order_of_appending_and_forgetting_keeps_the_samples_in_place(
    steps: list[tuple[int, int, int]],
) -> None:
    buffer, truth = SampleBuffer(1), np.empty(0)
    for n, gap, keep in steps:
        first = len(truth) + gap
        buffer.append(first, column(first, n))
        truth = np.concatenate([truth, np.full(gap, np.nan), column(first, n)[:, 0]])
        buffer.forget(len(truth) - keep)
        begin, samples = buffer.view(0, len(truth) + 10)
        assert begin + len(samples) == len(truth) == buffer.end
        np.testing.assert_array_equal(samples[:, 0], truth[begin:])


def test_each_stretch_is_known_by_the_type_that_it_came_in() -> None:
    buffer = SampleBuffer(1)
    buffer.append(0, column(0, 4).astype(np.int16))
    buffer.append(4, column(4, 4).astype(np.int16))
    buffer.append(8, column(8, 4).astype(np.int32))
    buffer.append(14, column(14, 4).astype(np.int16))
    assert buffer.exact_dtype(0, 8) == np.int16
    assert buffer.exact_dtype(7, 9) == np.int32
    assert buffer.exact_dtype(14, 18) == np.int16
    assert buffer.exact_dtype(13, 15) == np.float32
    assert buffer.exact_dtype(11, 13) == np.float64  # no float32 holds every int32
    buffer.forget(15)
    assert buffer.exact_dtype(0, 18) == np.int16
