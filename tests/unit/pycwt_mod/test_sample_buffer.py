"""The samples that windows still need."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycwt_mod.streaming.windower import SampleBuffer


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
