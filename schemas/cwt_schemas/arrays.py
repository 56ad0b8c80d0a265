"""Array fields of messages: their types, which pydantic validates, and their forms on the wire.

A field annotated with one of the types accepts a numpy array or any of these forms, and holds a
C-contiguous, read-only array of a dtype in `WIRE_DTYPES`. The axes are (time, channel) for samples,
(scale, time) for transforms, and (pair, scale, time) for those of many pairs.

============  =========================================================  ==========
form          example                                                    written by
============  =========================================================  ==========
nested lists  ``[1.5, null]``, ``[[1, 2], [3, 4]]``                      to_json
parts         ``{"re": [...], "im": [...]}``, complex in JSON            to_json
packed        ``{"dtype": "<f4", "shape": [2, 3], "data": bytes}``       to_packed
============  =========================================================  ==========

Nested lists become float64. A missing value is NaN in arrays and ``null`` in lists. Infinity is
refused in every form, because JSON has no infinity and both encodings carry the same messages.
Samples of a device are the exception: infinity becomes NaN there, so that one value does not
invalidate the others. Empty arrays are refused unless the type allows them, because the shape of an
empty nested list is ambiguous. Invalid values raise ``ValueError`` with a message for the sender.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Annotated, Any, Final

import numpy as np
import numpy.typing as npt
from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

Array = npt.NDArray[Any]

#: The dtypes of arrays on the bus, each kind from the narrowest to the widest.
WIRE_DTYPES: Final = ("<i2", "<i4", "<f4", "<f8", "<c8", "<c16")
#: The dtypes of raw signal chunks.
RAW_DTYPES: Final = WIRE_DTYPES[:4]

_INTEGERS: Final = WIRE_DTYPES[:2]
_FLOATS: Final = WIRE_DTYPES[2:4]
_COMPLEX: Final = WIRE_DTYPES[4:]

_MAX_AXES: Final = 3

#: List elements that are converted at a time. numpy holds the interpreter's lock during a
#: conversion, so converting a long list in one piece in a thread would stop the event loop.
_BLOCK_ITEMS: Final = 64 * 1024

#: The empty array, with one axis.
_EMPTY: Array = np.zeros(0, dtype="<f4")
_EMPTY.flags.writeable = False


@dataclass(frozen=True, kw_only=True)
class ArrayType:
    """Type of an array field.

    Attributes
    ----------
    axes : tuple of int
        Allowed numbers of axes.
    dtypes : tuple of str
        Allowed dtypes. Other dtypes are widened to one in which they are exact: integers become
        float64 if only floats are allowed, and float64 becomes complex128 if only complex is.
    mask : bool
        Values are 0 and 1, bool in memory and ``<i2`` on the wire.
    may_be_empty : bool
        Empty arrays are allowed; in any form and dtype, they become float32 with one axis.
    whole : bool
        Floats with integer values become integers, because nested lists are read as floats.
    infinite_is_missing : bool
        Infinite values become NaN instead of being refused.
    """

    axes: tuple[int, ...]
    dtypes: tuple[str, ...]
    mask: bool = False
    may_be_empty: bool = False
    whole: bool = False
    infinite_is_missing: bool = False

    def validate(self, value: object) -> Array:
        """Return the array; raise ``ValueError`` if it is invalid."""
        if self.may_be_empty and _is_empty(value):
            return _EMPTY
        if self.mask:
            array = self._mask(value)
        else:
            array = self._cast(_checked(_read(value), infinite_is_missing=self.infinite_is_missing))
        if array.ndim not in self.axes:
            allowed = " or ".join(map(str, self.axes))
            raise ValueError(f"expected {allowed} axes, got {array.ndim}")
        return array

    def _cast(self, array: Array) -> Array:
        if self.whole and array.dtype.kind == "f":
            array = _integers(array)
        if array.dtype.str in self.dtypes:
            return array
        for name in self.dtypes:
            # 16-bit integers are exact in float32, but the arithmetic that follows would not be.
            integers_in_float32 = array.dtype.kind == "i" and name == "<f4"
            if np.can_cast(array.dtype, name, casting="safe") and not integers_in_float32:
                return from_numpy(array.astype(name))
        raise ValueError(f"dtype {array.dtype.str} must be one of {', '.join(self.dtypes)}")

    def _mask(self, value: object) -> Array:
        if isinstance(value, np.ndarray) and value.dtype == np.bool_:
            value = value.view(np.uint8)
        array = _checked(_read(value))
        mask: Array = np.equal(array, 1)
        if not np.array_equal(mask, array):
            raise ValueError("a mask must contain only 0 and 1")
        mask.flags.writeable = False
        return mask

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.validate)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        if handler.mode == "serialization":
            return self._http_schema()
        return {"oneOf": [*self._list_schemas(), *self._parts_schemas(), self._packed_schema()]}

    def _http_schema(self) -> dict[str, Any]:
        """Return the schema of the output of `cwt_schemas.http.to_json`."""
        number: dict[str, Any] = {"enum": [0, 1]} if self.mask else {"type": ["number", "null"]}
        pair = {"type": "array", "items": number, "minItems": 2, "maxItems": 2}
        elements = [pair] if set(_COMPLEX) & set(self.dtypes) else []
        elements += [] if self.dtypes == _COMPLEX else [number]
        nested = [_nested(axes, element) for axes in self.axes for element in elements]
        return nested[0] if len(nested) == 1 else {"oneOf": nested}

    def _list_schemas(self) -> list[dict[str, Any]]:
        if self.dtypes == _COMPLEX:
            return []
        element = {"enum": [0, 1]} if self.mask else {"type": ["number", "null"]}
        nested = [_nested(axes, element) for axes in self.axes]
        return [{"type": "array", "maxItems": 0}, *nested] if self.may_be_empty else nested

    def _parts_schemas(self) -> list[dict[str, Any]]:
        if not set(_COMPLEX) & set(self.dtypes):
            return []
        numbers = [_nested(axes, {"type": ["number", "null"]}) for axes in self.axes]
        part = numbers[0] if len(numbers) == 1 else {"oneOf": numbers}
        return [
            {
                "description": "Complex array in JSON: real and imaginary parts.",
                "type": "object",
                "properties": {"re": part, "im": part},
                "required": ["re", "im"],
                "additionalProperties": False,
            }
        ]

    def _packed_schema(self) -> dict[str, Any]:
        return {
            "description": "Array in msgpack: C order, little-endian; data is a bin value.",
            "type": "object",
            "properties": {
                "dtype": {"enum": ["<i2"] if self.mask else list(self.dtypes)},
                "shape": {
                    "type": "array",
                    "items": {"type": "integer", "minimum": 0 if self.may_be_empty else 1},
                    "minItems": min(self.axes),
                    "maxItems": max(self.axes),
                },
                "data": {"type": "string", "format": "binary"},
            },
            "required": ["dtype", "shape", "data"],
            "additionalProperties": False,
        }


RealVector = Annotated[npt.NDArray[np.floating[Any]], ArrayType(axes=(1,), dtypes=_FLOATS)]
RealMatrix = Annotated[npt.NDArray[np.floating[Any]], ArrayType(axes=(2,), dtypes=_FLOATS)]
ComplexVector = Annotated[
    npt.NDArray[np.complexfloating[Any, Any]], ArrayType(axes=(1,), dtypes=_COMPLEX)
]
ComplexMatrix = Annotated[
    npt.NDArray[np.complexfloating[Any, Any]], ArrayType(axes=(2,), dtypes=_COMPLEX)
]
#: Counts; float64 if read from JSON, which has no dtypes.
CountMatrix = Annotated[
    npt.NDArray[np.integer[Any] | np.float64], ArrayType(axes=(2,), dtypes=("<i4", "<f8"))
]
#: Real or complex, depending on the quantity.
ValueMatrix = Annotated[
    npt.NDArray[np.inexact[Any]], ArrayType(axes=(2,), dtypes=_FLOATS + _COMPLEX)
]
#: (time,) or (time, channel); converter counts stay integers. May be empty, for a final chunk.
SampleArray = Annotated[
    npt.NDArray[np.floating[Any] | np.integer[Any]],
    ArrayType(axes=(1, 2), dtypes=_INTEGERS + _FLOATS, may_be_empty=True, infinite_is_missing=True),
]
#: (time,) of one channel.
SampleVector = Annotated[
    npt.NDArray[np.floating[Any]],
    ArrayType(axes=(1,), dtypes=_FLOATS, infinite_is_missing=True),
]
#: (time, channel), in a dtype that is exact.
SampleMatrix = Annotated[
    npt.NDArray[np.floating[Any] | np.integer[Any]],
    ArrayType(axes=(2,), dtypes=_INTEGERS + _FLOATS),
]
#: (pair, scale, time)
RealCube = Annotated[npt.NDArray[np.floating[Any]], ArrayType(axes=(3,), dtypes=_FLOATS)]
#: 1 where missing data or an edge affects the value; bool in memory.
MaskMatrix = Annotated[npt.NDArray[np.bool_], ArrayType(axes=(2,), dtypes=_INTEGERS, mask=True)]
#: (channel, scale, time)
MaskCube = Annotated[npt.NDArray[np.bool_], ArrayType(axes=(3,), dtypes=_INTEGERS, mask=True)]
#: Counts, and results of integer arithmetic of a device.
IntegerMatrix = Annotated[
    npt.NDArray[np.integer[Any]], ArrayType(axes=(2,), dtypes=_INTEGERS, whole=True)
]


def from_numpy(value: Array) -> Array:
    """Return the array in the narrowest wire dtype that holds it exactly.

    A read-only array is used as it is. Other arrays are copied, so that later writes by their owner
    do not change a frozen message.
    """
    return _checked(_as_wire(value))


def _as_wire(value: Array) -> Array:
    if isinstance(value, np.ma.MaskedArray):
        raise ValueError("masked arrays are not supported; use NaN for missing values")
    if not 1 <= value.ndim <= _MAX_AXES:
        raise ValueError(f"expected one to {_MAX_AXES} axes, got {value.ndim}")
    dtype = _wire_dtype(value.dtype)
    if value.dtype == dtype and value.flags.c_contiguous and not value.flags.writeable:
        return np.asarray(value)
    return np.array(value, dtype=dtype, order="C", copy=True, subok=False)


def to_packed(array: Array) -> dict[str, Any]:
    """Return the msgpack form, whose data is a view of the array; a mask becomes ``<i2``."""
    wire = array.astype("<i2") if array.dtype == np.bool_ else array
    data = np.ascontiguousarray(wire).reshape(-1).view(np.uint8).data
    return {"dtype": wire.dtype.str, "shape": list(wire.shape), "data": data}


def to_json(array: Array) -> Array | dict[str, Array]:
    """Return the array for orjson, which writes nested lists; a complex array as two parts."""
    if array.dtype == np.bool_:
        return array.view(np.uint8)
    if array.dtype.kind == "c":
        return {"re": np.ascontiguousarray(array.real), "im": np.ascontiguousarray(array.imag)}
    return array


def from_packed(value: Mapping[str, Any]) -> Array:
    """Return the array of ``{"dtype", "shape", "data"}`` as a view of the bytes, without a copy.

    Raises
    ------
    ValueError
        The three are inconsistent.
    """
    dtype, shape, data = value["dtype"], value["shape"], value["data"]
    if not isinstance(dtype, str) or dtype not in WIRE_DTYPES:
        raise ValueError(f"dtype must be one of {', '.join(WIRE_DTYPES)}")
    if not isinstance(shape, list | tuple) or not 1 <= len(shape) <= _MAX_AXES:
        raise ValueError(f"shape must be a list of one to {_MAX_AXES} lengths")
    if not all(type(length) is int and length >= 1 for length in shape):
        raise ValueError("shape must consist of positive integers")
    if not isinstance(data, bytes | memoryview):
        raise ValueError("data must be bytes")
    # Python integers do not overflow, so the product for a wrong shape cannot be small.
    needed = np.dtype(dtype).itemsize
    for length in shape:
        needed *= length
    if needed != len(data):
        raise ValueError(f"shape and dtype need {_brief(needed)} bytes, data has {len(data)}")
    return np.ndarray(tuple(shape), dtype=dtype, buffer=data)


def _read(value: object) -> Array:
    """Return the array in any of the wire forms, for `_checked`."""
    if isinstance(value, np.ndarray):
        return _as_wire(value)
    if isinstance(value, list | tuple):
        return _from_lists(value)
    if isinstance(value, dict):
        if value.keys() == {"dtype", "shape", "data"}:
            return from_packed(value)
        if value.keys() == {"re", "im"}:
            return _from_parts(value)
        raise ValueError("an array object must have the keys dtype, shape and data, or re and im")
    raise ValueError("expected an array")


def _from_lists(value: Sequence[Any]) -> Array:
    """Return numbers and nulls, nested up to three times, as float64."""
    if _is_nested(value) and any(map(_is_nested, value)):
        return _from_matrices(value)
    nested = len(value) > 0 and isinstance(value[0], list | tuple)
    if nested:
        if not all(isinstance(row, list | tuple) for row in value):
            raise ValueError("cannot mix rows and numbers")
        lengths = set(map(len, value))
        if len(lengths) > 1:
            raise ValueError(f"rows must have equal lengths, not {min(lengths)} to {max(lengths)}")
    # One pass in C over the types: numpy itself would read true as 1 and "1" as 1.
    types = set(map(type, chain.from_iterable(value) if nested else value))
    if not all(map(_is_number_or_none, types)):
        raise ValueError("must contain only numbers and null")
    rows = max(_BLOCK_ITEMS // max(len(value[0]), 1), 1) if nested else _BLOCK_ITEMS
    try:
        # numpy converts None to NaN for a float dtype.
        if len(value) <= rows:
            return np.array(value, dtype=np.float64)
        blocks = (value[i : i + rows] for i in range(0, len(value), rows))
        return np.concatenate([np.array(block, dtype=np.float64) for block in blocks])
    except OverflowError as error:
        raise ValueError("a number is too large for float64") from error


def _is_nested(value: object) -> bool:
    return isinstance(value, list | tuple) and len(value) > 0 and isinstance(value[0], list | tuple)


def _from_matrices(value: Sequence[Any]) -> Array:
    """Return a list of equally many rows each, as one array with three axes."""
    if not all(map(_is_nested, value)):
        raise ValueError("cannot mix matrices and rows")
    lengths = set(map(len, value))
    if len(lengths) > 1:
        raise ValueError(f"matrices must have equal lengths, not {min(lengths)} to {max(lengths)}")
    rows = list(chain.from_iterable(value))
    if any(map(_is_nested, rows)):
        raise ValueError(f"expected one to {_MAX_AXES} axes")
    return _from_lists(rows).reshape(len(value), len(value[0]), -1)


def _from_parts(value: Mapping[str, Any]) -> Array:
    """Return ``{"re", "im"}`` as complex128."""
    re, im = (_part(value, name) for name in ("re", "im"))
    if re.shape != im.shape:
        raise ValueError(f"re has shape {list(re.shape)}, im has {list(im.shape)}")
    out = np.empty(re.shape, dtype=np.complex128)
    # Not re + 1j * im: a NaN in one part would spread to the other.
    out.real, out.imag = re, im
    return out


def _part(value: Mapping[str, Any], name: str) -> Array:
    part = value[name]
    if isinstance(part, np.ndarray) and part.dtype.kind != "c":
        return _as_wire(part)
    if not isinstance(part, list | tuple):
        raise ValueError(f"{name} must be a list")
    return _from_lists(part)


def _integers(array: Array) -> Array:
    limits = np.iinfo(np.int32)
    whole = (array == np.floor(array)) & (array >= limits.min) & (array <= limits.max)
    if not whole.all():
        raise ValueError("must contain only 32-bit integers")
    return from_numpy(array.astype(np.int32))


def _is_empty(value: object) -> bool:
    if isinstance(value, np.ndarray):
        return value.size == 0
    if isinstance(value, dict):
        return value.get("data") == b"" and value.get("shape") in ([0], [0, 0])
    return isinstance(value, list | tuple) and len(value) == 0


def _wire_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    if dtype.kind not in "iufc":
        raise ValueError(f"dtype {dtype} is not supported; use one of {', '.join(WIRE_DTYPES)}")
    if dtype.str in WIRE_DTYPES:
        return dtype
    for name in WIRE_DTYPES:
        if np.can_cast(dtype, name, casting="safe"):
            return np.dtype(name)
    raise ValueError(f"cannot represent dtype {dtype} exactly; use one of {', '.join(WIRE_DTYPES)}")


def _checked(array: Array, *, infinite_is_missing: bool = False) -> Array:
    if array.size == 0:
        raise ValueError("empty; at least one element is required")
    if array.dtype.kind in "fc" and (infinite := np.isinf(array)).any():
        if not infinite_is_missing:
            raise ValueError(
                "infinity is not supported; use NaN for a missing value (null in JSON)"
            )
        array = np.where(infinite, array.dtype.type(np.nan), array)
    array.flags.writeable = False
    return array


def _is_number_or_none(kind: type) -> bool:
    numbers = (int, float, np.integer, np.floating, type(None))
    return issubclass(kind, numbers) and kind is not bool


def _brief(count: int) -> str:
    return str(count) if count < 10**15 else f"about 10^{len(str(count)) - 1}"


def _nested(axes: int, element: dict[str, Any]) -> dict[str, Any]:
    for _ in range(axes):
        element = {"type": "array", "items": element, "minItems": 1}
    return element
