"""Which windows are complete."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pycwt_mod.streaming.windower import Tiling


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
