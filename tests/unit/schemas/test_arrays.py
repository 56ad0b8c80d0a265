"""What an array field accepts, what it makes of it, and what it refuses."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from cwt_schemas.arrays import (
    Array,
    ComplexMatrix,
    MaskMatrix,
    RealMatrix,
    RealVector,
    SampleArray,
    ValueMatrix,
    to_packed,
)
from tests.unit.schemas import strategies

real_vector: Callable[[object], Array] = TypeAdapter(RealVector).validate_python
real_matrix: Callable[[object], Array] = TypeAdapter(RealMatrix).validate_python
sample_array: Callable[[object], Array] = TypeAdapter(SampleArray).validate_python
complex_matrix: Callable[[object], Array] = TypeAdapter(ComplexMatrix).validate_python
value_matrix: Callable[[object], Array] = TypeAdapter(ValueMatrix).validate_python
mask_matrix: Callable[[object], Array] = TypeAdapter(MaskMatrix).validate_python


def packed(dtype: object = "<f8", shape: object = (2,), data: object = bytes(16)) -> object:
    return {"dtype": dtype, "shape": shape, "data": data}


@given(array=strategies.samples)
def test_packing_keeps_dtype_shape_and_values(array: Array) -> None:
    back = sample_array(to_packed(array))

    assert back.dtype == array.dtype
    assert np.array_equal(back, array, equal_nan=array.dtype.kind == "f")


@given(array=strategies.samples)
def test_what_comes_out_is_read_only_contiguous_and_little_endian(array: Array) -> None:
    for form in (array, array[::-1], array.T, array.tolist(), to_packed(array)):
        out = sample_array(form)

        assert out.flags.c_contiguous
        assert not out.flags.writeable
        assert out.dtype.str[0] == "<"


def test_a_writeable_array_is_copied_and_a_read_only_one_is_not() -> None:
    ours = np.ones(3)
    frozen = np.ones(3)
    frozen.flags.writeable = False

    assert not np.shares_memory(real_vector(ours), ours)
    assert ours.flags.writeable
    assert np.shares_memory(real_vector(frozen), frozen)


@pytest.mark.parametrize(
    ("given_dtype", "sample_dtype", "real_dtype"),
    [
        ("u1", "<i2", "<f8"),
        (">i2", "<i2", "<f8"),
        ("u2", "<i4", "<f8"),
        ("i4", "<i4", "<f8"),
        ("i8", "<f8", "<f8"),
        ("f2", "<f4", "<f4"),
        (">f4", "<f4", "<f4"),
        (">f8", "<f8", "<f8"),
    ],
)
def test_a_numpy_dtype_becomes_the_narrowest_that_holds_it(
    given_dtype: str, sample_dtype: str, real_dtype: str
) -> None:
    array = np.array([1, 2, 3], dtype=given_dtype)

    assert sample_array(array).dtype.str == sample_dtype
    assert real_vector(array).dtype.str == real_dtype
    assert real_vector(array).tolist() == [1, 2, 3]


def test_lists_are_float64_and_null_is_nan() -> None:
    assert real_vector([1, 2.5]).tolist() == [1.0, 2.5]
    assert np.array_equal(real_matrix([[1, None], [None, 4]]), [[1, np.nan], [np.nan, 4]], True)
    assert np.isnan(real_vector([None])).all()
    assert real_vector([np.float32(1.5), np.int16(2)]).tolist() == [1.5, 2.0]


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        1.5,
        "12",
        b"12",
        [],
        ["1"],
        [True],
        [1.0, False],
        [np.True_],
        [1j],
        [{}],
        [1, [2]],
        [[1], 2],
        [[1]],
        [[[1]]],
        [float("inf")],
        [10**400],
        np.array([True]),
        np.array(["a"]),
        np.array([None]),
        np.array([1j]),
        np.array(1.0),
        np.ones((1, 1)),
        np.ones(0),
        np.array([np.inf], dtype="f4"),
        np.array([1], dtype=np.longdouble),
        np.array([1], dtype="M8[ns]"),
        np.ma.masked_array([1.0, 2.0], mask=[True, False]),
        {},
        {"re": [1], "im": [1]},
        {"re": [1], "im": "x"},
    ],
    ids=repr,
)
def test_non_real_vector_is_refused(wrong: object) -> None:
    with pytest.raises(ValidationError):
        real_vector(wrong)


@pytest.mark.parametrize("wrong", [[[1, 2], [3]], [[]], [[], []], [["a"]], [[True]], [[1], None]])
def test_non_real_matrix_is_refused(wrong: object) -> None:
    with pytest.raises(ValidationError):
        real_matrix(wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        packed(dtype=">f8"),
        packed(dtype="|O"),
        packed(dtype="f8"),
        packed(dtype=["<f8"]),
        packed(dtype="<c16", shape=[1]),
        packed(shape=[3]),
        packed(shape=[1]),
        packed(shape=[-2]),
        packed(shape=[-1, -2]),
        packed(shape=[True, 2]),
        packed(shape=[2.0]),
        packed(shape=["2"]),
        packed(shape=[]),
        packed(shape=2),
        packed(shape=[1, 1, 2]),
        packed(shape=[2**62, 2**62]),
        packed(shape=[2**32, 2**32]),
        packed(shape=[2**61 + 2]),
        packed(shape=[10**5000]),
        packed(shape=[0], data=b""),
        packed(shape=[2**31, 0], data=b""),
        packed(data=b"1234567"),
        packed(data="1" * 16),
        packed(data=[0] * 16),
        packed(data=np.array([1, np.inf]).tobytes()),
        {"dtype": "<f8", "shape": [2]},
        {"dtype": "<f8", "shape": [2], "data": bytes(16), "order": "F"},
    ],
)
def test_packed_array_with_wrong_length_is_refused(wrong: object) -> None:
    with pytest.raises(ValidationError):
        real_vector(wrong)


@given(shape=st.lists(st.integers(), max_size=3), data=st.binary(max_size=64))
def test_shape_and_bytes_have_to_agree(shape: list[int], data: bytes) -> None:
    try:
        array = sample_array(packed("<i2", shape, data))
    except ValidationError:
        return
    assert list(array.shape) == shape
    assert array.tobytes() == data


def test_complex_numbers_come_as_two_parts() -> None:
    both = complex_matrix({"re": [[1, None]], "im": [[2, 3]]})

    assert both[0, 0] == 1 + 2j
    assert np.isnan(both[0, 1].real)
    assert both[0, 1].imag == 3


@pytest.mark.parametrize(
    "wrong",
    [
        {"re": [[1]], "im": [[1, 2]]},
        {"re": [[1]]},
        {"re": [[1]], "im": None},
        {"re": [[1]], "im": [[1]], "abs": [[1]]},
        {"re": [["1"]], "im": [[1]]},
        {"re": np.array([[1j]]), "im": np.array([[1j]])},
    ],
)
def test_parts_that_make_no_complex_matrix_are_refused(wrong: object) -> None:
    with pytest.raises(ValidationError):
        complex_matrix(wrong)


def test_values_keep_their_kind() -> None:
    assert value_matrix(np.ones((1, 1), "f4")).dtype == np.float32
    assert value_matrix(np.ones((1, 1), "c8")).dtype == np.complex64
    assert value_matrix([[1]]).dtype == np.float64
    assert value_matrix({"re": [[1]], "im": [[1]]}).dtype == np.complex128
    assert complex_matrix(np.ones((1, 1), "f4")).dtype == np.complex64


def test_a_mask_is_made_of_booleans_or_of_zeros_and_ones() -> None:
    for form in (np.array([[True, False]]), np.array([[1, 0]]), [[1, 0]]):
        assert mask_matrix(form).dtype == np.bool_
        assert mask_matrix(form).tolist() == [[True, False]]
    assert mask_matrix(np.array([[True, False], [True, True]]).T).tolist() == [
        [True, True],
        [False, True],
    ]


@pytest.mark.parametrize("wrong", [[[2]], [[0.5]], [[None]], [[True]], [1, 0]])
def test_invalid_mask_is_refused(wrong: object) -> None:
    with pytest.raises(ValidationError):
        mask_matrix(wrong)
