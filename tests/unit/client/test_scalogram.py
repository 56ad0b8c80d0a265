"""Blocks become one picture, however they come."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwt_schemas.live import AnalysisResult
from pycwt_client import Scalogram
from tests.unit.client.blocks import block

BLOCKS = [block(k, first, n=16 >> k) for k in range(3) for first in (0, 16, 32)]


def assembled(blocks: list[AnalysisResult]) -> Scalogram:
    scalogram = Scalogram("s", "a", ("x", "y"))
    for each in blocks:
        scalogram.add(each)
    return scalogram


@given(st.permutations(BLOCKS), st.lists(st.sampled_from(BLOCKS), max_size=5))
def test_order_and_repetition_do_not_change_the_picture(
    order: list[AnalysisResult], again: list[AnalysisResult]
) -> None:
    expected = assembled(BLOCKS).resample(48)
    found = assembled(order + again).resample(48)
    np.testing.assert_array_equal(found.values, expected.values)
    np.testing.assert_array_equal(found.mask, expected.mask)


def test_frequencies_descend_over_the_octaves() -> None:
    picture = assembled(BLOCKS[::-1]).resample(5)
    np.testing.assert_array_equal(picture.freqs_hz, [8, 6, 4, 3, 2, 1.5])


def test_each_octave_gives_its_nearest_column() -> None:
    picture = assembled(BLOCKS).resample(48)
    np.testing.assert_array_equal(picture.samples, np.arange(48))
    for octave in range(3):
        off = np.abs(picture.values[2 * octave] - picture.samples)[: 48 - 2**octave]
        assert off.max() <= 2**octave / 2


def test_repeated_block_is_discarded_and_reported() -> None:
    scalogram = Scalogram("s", "a", ("x", "y"))
    assert scalogram.add(BLOCKS[0])
    assert not scalogram.add(BLOCKS[0])
    assert len(scalogram) == 1


def test_where_nothing_came_there_is_nan_and_the_mask() -> None:
    picture = assembled([block(0, 0), block(0, 8)]).resample(12)
    np.testing.assert_array_equal(
        np.isnan(picture.values[0]), [False] * 4 + [True] * 4 + [False] * 4
    )
    np.testing.assert_array_equal(picture.mask[0], np.isnan(picture.values[0]))
    assert picture.phase is not None
    assert np.isnan(picture.phase[0, 5])


def test_masked_values_keep_their_value() -> None:
    picture = assembled([block(0, 0, masked=True), block(0, 4)]).resample(8)
    np.testing.assert_array_equal(picture.mask[0], [True] * 4 + [False] * 4)
    assert not np.isnan(picture.values).any()


def test_the_significance_levels_follow_their_rows() -> None:
    picture = assembled([block(1, 0), block(0, 0)]).resample(4)
    assert picture.signif is not None
    np.testing.assert_array_equal(picture.signif, [0.7, 0.8, 0.7, 0.8])


def test_a_single_column_is_a_picture_too() -> None:
    assert assembled([block(0, 0, n=1)]).resample(1).values.shape == (2, 1)


@pytest.mark.parametrize("stranger", [block(0, 0, stream="other"), block(0, 4, epoch="later")])
def test_blocks_of_something_else_are_refused(stranger: AnalysisResult) -> None:
    scalogram = assembled([block(0, 0)])
    with pytest.raises(ValueError, match=r"is not a result|has another epoch"):
        scalogram.add(stranger)


def test_empty_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="no results"):
        Scalogram("s", "a", ("x", "y")).resample(4)


def test_a_picture_can_stop_at_the_end_of_the_recording() -> None:
    whole = assembled([block(0, 0), block(0, 4)])
    picture = whole.resample(6, end=6)
    assert picture.samples.tolist() == [0, 1, 2, 3, 4, 5]
    assert whole.resample(8, end=100).samples[-1] == whole.end_sample - 1


def rolling(keep: int, blocks: list[AnalysisResult]) -> Scalogram:
    scalogram = Scalogram("s", "a", ("x", "y"), keep_samples=keep)
    for each in blocks:
        scalogram.add(each)
    return scalogram


@given(st.permutations(BLOCKS))
def test_a_rolling_picture_is_the_end_of_the_whole_one(order: list[AnalysisResult]) -> None:
    expected = assembled(BLOCKS).resample(48)
    found = rolling(20, order).resample(20)
    np.testing.assert_array_equal(found.samples, expected.samples[-20:])
    np.testing.assert_array_equal(found.values, expected.values[:, -20:])


def test_a_rolling_picture_holds_no_more_however_long_it_rolls() -> None:
    many = [block(k, first, n=16 >> k) for first in range(0, 16_000, 16) for k in range(3)]
    assert len(rolling(40, many)) <= 3 * 4


def test_a_row_of_which_nothing_came_for_long_stays_as_missing() -> None:
    picture = rolling(8, [block(1, 0), block(0, 0), block(0, 96)]).resample(4)
    assert len(picture.freqs_hz) == 4
    assert np.isnan(picture.values[2:]).all()


def test_rolling_picture_restarts_with_epoch_and_drops_rest_of_old_one() -> None:
    scalogram = rolling(100, [block(0, 0), block(0, 4), block(0, 0, epoch="later")])
    assert not scalogram.add(block(0, 8))
    assert len(scalogram) == 1
    assert scalogram.end_sample == 4


def test_a_definition_that_is_taken_up_again_is_shown_and_its_late_blocks_are_not() -> None:
    other = "1" * 16
    scalogram = rolling(100, [block(0, 0), block(0, 4), block(0, 8, spec_hash=other)])
    assert not scalogram.add(block(0, 4))
    assert not scalogram.add(block(0, 8))
    assert scalogram.add(block(0, 12))
    assert scalogram.resample(4).samples.tolist() == [12, 13, 14, 15]
    assert not scalogram.add(block(0, 8, spec_hash=other))


def test_a_rolling_picture_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="keep_samples=0"):
        Scalogram("s", "a", ("x", "y"), keep_samples=0)


def test_picture_has_times_if_results_state_rate() -> None:
    picture = assembled([block(0, 0, fs_hz=8.0)]).resample(4)
    np.testing.assert_array_equal(picture.times_s, [0, 0.125, 0.25, 0.375])
    with pytest.raises(ValueError, match="rate"):
        _ = assembled([block(0, 0)]).resample(4).times_s
