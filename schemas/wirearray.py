"""The forms in which an array travels, and the way from each of them to numpy and back.

============  =========================================================  ====================
form          looks like                                                 read by, written by
============  =========================================================  ====================
nested lists  ``[1.5, null]``, ``[[1, 2], [3, 4]]``                      from_lists, to_json
parts         ``{"re": [...], "im": [...]}``, complex in JSON            from_parts, to_json
packed        ``{"dtype": "<f4", "shape": [2, 3], "data": bytes}``       from_packed, to_packed
============  =========================================================  ====================

Nested lists are float64. A missing value is NaN here and ``null`` there. Infinity is refused in
every form, because JSON can't say it and both encodings carry the same messages. Empty arrays are
refused too: no message has a use for one, and the shape of an empty nested list is ambiguous.

Every array that leaves this module is C-contiguous, read-only and of a dtype of ``WIRE_DTYPES``.
Every problem is a ``ValueError`` whose message is fit for the sender.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

#: Everything an array may be made of on the bus, from the narrowest to the widest of its kind.
WIRE_DTYPES: Final = ("<i2", "<i4", "<f4", "<f8", "<c8", "<c16")
#: The dtypes whose name is allowed in the header of a raw signal chunk.
RAW_DTYPES: Final = WIRE_DTYPES[:4]

MAX_AXES: Final = 2


def from_numpy(value: Array) -> Array:
    """Return the array in the narrowest wire dtype that holds it exactly.

    An array that is read-only already is taken as it is, everything else is copied, so that the
    owner's later writes don't reach a frozen message.
    """
    if isinstance(value, np.ma.MaskedArray):
        raise ValueError("masked arrays don't travel: write NaN where a value is missing")
    if not 1 <= value.ndim <= MAX_AXES:
        raise ValueError(f"{value.ndim} axes, one or two are possible")
    dtype = _wire_dtype(value.dtype)
    if value.dtype == dtype and value.flags.c_contiguous and not value.flags.writeable:
        return _checked(np.asarray(value))
    return _checked(np.array(value, dtype=dtype, order="C", copy=True, subok=False))


def from_lists(value: Sequence[Any]) -> Array:
    """Return numbers and nulls, nested once or twice, as float64."""
    nested = len(value) > 0 and isinstance(value[0], list | tuple)
    if nested:
        if not all(isinstance(row, list | tuple) for row in value):
            raise ValueError("rows and numbers are mixed")
        lengths = set(map(len, value))
        if len(lengths) > 1:
            raise ValueError(f"ragged: rows of {min(lengths)} to {max(lengths)} elements")
    # One pass in C over the types: numpy itself would read true as 1 and "1" as 1.
    types = set(map(type, chain.from_iterable(value) if nested else value))
    if not all(map(_is_number_or_none, types)):
        raise ValueError("only numbers and null are possible")
    try:
        # numpy reads None as NaN when a float dtype is asked for.
        return _checked(np.array(value, dtype=np.float64))
    except OverflowError as error:
        raise ValueError("a number is too large for float64") from error


def from_parts(value: Mapping[str, Any]) -> Array:
    """Return ``{"re", "im"}`` as complex128."""
    re, im = (_part(value, name) for name in ("re", "im"))
    if re.shape != im.shape:
        raise ValueError(f"re has shape {list(re.shape)}, im has {list(im.shape)}")
    out = np.empty(re.shape, dtype=np.complex128)
    # Not re + 1j * im: a NaN in one part would spread to the other.
    out.real, out.imag = re, im
    return _checked(out)


def from_packed(value: Mapping[str, Any]) -> Array:
    """Return ``{"dtype", "shape", "data"}`` as a view on the bytes, nothing is copied."""
    dtype, shape, data = value["dtype"], value["shape"], value["data"]
    if not isinstance(dtype, str) or dtype not in WIRE_DTYPES:
        raise ValueError(f"dtype has to be one of {', '.join(WIRE_DTYPES)}")
    if not isinstance(shape, list | tuple) or not 1 <= len(shape) <= MAX_AXES:
        raise ValueError("shape has to be a list of one or two lengths")
    if not all(type(length) is int and length >= 1 for length in shape):
        raise ValueError("shape has to be positive integers")
    if not isinstance(data, bytes | memoryview):
        raise ValueError("data has to be bytes")
    # Python integers don't overflow, so a lying shape can't slip through as a small product.
    needed = np.dtype(dtype).itemsize
    for length in shape:
        needed *= length
    if needed != len(data):
        raise ValueError(f"shape and dtype need {_brief(needed)} bytes, data has {len(data)}")
    return _checked(np.ndarray(tuple(shape), dtype=dtype, buffer=data))


def to_packed(array: Array) -> dict[str, Any]:
    """Return the msgpack form, its data a view of the array; a mask travels as ``<i2``."""
    wire = array.astype("<i2") if array.dtype == np.bool_ else array
    data = np.ascontiguousarray(wire).reshape(-1).view(np.uint8).data
    return {"dtype": wire.dtype.str, "shape": list(wire.shape), "data": data}


def to_json(array: Array) -> Array | dict[str, Array]:
    """Return what orjson writes as nested lists: the array, or its two parts if complex."""
    if array.dtype == np.bool_:
        return array.view(np.uint8)
    if array.dtype.kind == "c":
        return {"re": np.ascontiguousarray(array.real), "im": np.ascontiguousarray(array.imag)}
    return array


def _wire_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    if dtype.kind not in "iufc":
        raise ValueError(f"dtype {dtype} doesn't travel: {', '.join(WIRE_DTYPES)} do")
    if dtype.str in WIRE_DTYPES:
        return dtype
    for name in WIRE_DTYPES:
        if np.can_cast(dtype, name, casting="safe"):
            return np.dtype(name)
    raise ValueError(f"dtype {dtype} has no wire dtype that holds it exactly")


def _checked(array: Array) -> Array:
    if array.size == 0:
        raise ValueError("empty: at least one element is needed")
    if array.dtype.kind in "fc" and np.isinf(array).any():
        raise ValueError("infinity doesn't travel: a missing value is NaN, null in JSON")
    array.flags.writeable = False
    return array


def _part(value: Mapping[str, Any], name: str) -> Array:
    part = value[name]
    if isinstance(part, np.ndarray) and part.dtype.kind != "c":
        return from_numpy(part)
    if not isinstance(part, list | tuple):
        raise ValueError(f"{name} has to be a list")
    return from_lists(part)


def _is_number_or_none(kind: type) -> bool:
    numbers = (int, float, np.integer, np.floating, type(None))
    return issubclass(kind, numbers) and kind is not bool


def _brief(count: int) -> str:
    return str(count) if count < 10**15 else f"about 10^{len(str(count)) - 1}"
