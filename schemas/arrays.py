"""Array types for the fields of messages: pydantic checks them, numpy holds them.

A field annotated with one of these accepts a numpy array or any form that ``wirearray`` reads, and
gives a C-contiguous, read-only array. Axis order is (time, channel) for samples and (scale, time)
for whatever a transform yields.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from schemas import wirearray
from schemas.wirearray import Array

_FLOATS = ("<f4", "<f8")
_INTEGERS = ("<i2", "<i4")
_COMPLEX = ("<c8", "<c16")

#: The empty array, of one axis.
NOTHING: Array = np.zeros(0, dtype="<f4")
NOTHING.flags.writeable = False


@dataclass(frozen=True, kw_only=True)
class ArrayType:
    """What one kind of field holds.

    Attributes
    ----------
    axes : tuple of int
        Possible numbers of axes.
    dtypes : tuple of str
        Possible dtypes. What is exact in one of them is widened, so integers become float64 where
        only floats are possible, and float64 becomes complex128 where only complex is.
    mask : bool
        Values are 0 and 1, held as bool and carried as ``<i2``.
    may_be_empty : bool
        Nothing at all is possible too; whatever its form and dtype, it becomes `NOTHING`.
    whole : bool
        Floats are taken for the integers that they are equal to, since nested lists give floats.
    """

    axes: tuple[int, ...]
    dtypes: tuple[str, ...]
    mask: bool = False
    may_be_empty: bool = False
    whole: bool = False

    def validate(self, value: object) -> Array:
        """Return the array, or raise ``ValueError`` with what is wrong."""
        if self.may_be_empty and _is_empty(value):
            return NOTHING
        array = self._mask(value) if self.mask else self._cast(_read(value))
        if array.ndim not in self.axes:
            allowed = " or ".join(map(str, self.axes))
            raise ValueError(f"{array.ndim} axes, {allowed} expected")
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
                return wirearray.from_numpy(array.astype(name))
        raise ValueError(f"dtype {array.dtype.str}, one of {', '.join(self.dtypes)} expected")

    def _mask(self, value: object) -> Array:
        if isinstance(value, np.ndarray) and value.dtype == np.bool_:
            value = value.view(np.uint8)
        array = _read(value)
        mask: Array = np.equal(array, 1)
        if not np.array_equal(mask, array):
            raise ValueError("a mask has nothing but 0 and 1")
        mask.flags.writeable = False
        return mask

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.validate)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"oneOf": [*self._list_schemas(), *self._parts_schemas(), self._packed_schema()]}

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
                "description": "Complex numbers in JSON: real and imaginary parts.",
                "type": "object",
                "properties": {"re": part, "im": part},
                "required": ["re", "im"],
                "additionalProperties": False,
            }
        ]

    def _packed_schema(self) -> dict[str, Any]:
        return {
            "description": "The form in msgpack: C order, little endian; data is a bin value.",
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


def _read(value: object) -> Array:
    if isinstance(value, np.ndarray):
        return wirearray.from_numpy(value)
    if isinstance(value, list | tuple):
        return wirearray.from_lists(value)
    if isinstance(value, dict):
        if value.keys() == {"dtype", "shape", "data"}:
            return wirearray.from_packed(value)
        if value.keys() == {"re", "im"}:
            return wirearray.from_parts(value)
        raise ValueError("an array as an object has dtype, shape and data, or re and im")
    raise ValueError("an array is expected")


def _integers(array: Array) -> Array:
    limits = np.iinfo(np.int32)
    whole = (array == np.floor(array)) & (array >= limits.min) & (array <= limits.max)
    if not whole.all():
        raise ValueError("whole numbers of 32 bits are expected")
    return wirearray.from_numpy(array.astype(np.int32))


def _is_empty(value: object) -> bool:
    if isinstance(value, np.ndarray):
        return value.size == 0
    if isinstance(value, dict):
        return value.get("data") == b"" and value.get("shape") in ([0], [0, 0])
    return isinstance(value, list | tuple) and len(value) == 0


def _nested(axes: int, element: dict[str, Any]) -> dict[str, Any]:
    for _ in range(axes):
        element = {"type": "array", "items": element, "minItems": 1}
    return element


RealVector = Annotated[npt.NDArray[np.floating[Any]], ArrayType(axes=(1,), dtypes=_FLOATS)]
RealMatrix = Annotated[npt.NDArray[np.floating[Any]], ArrayType(axes=(2,), dtypes=_FLOATS)]
ComplexVector = Annotated[
    npt.NDArray[np.complexfloating[Any, Any]], ArrayType(axes=(1,), dtypes=_COMPLEX)
]
ComplexMatrix = Annotated[
    npt.NDArray[np.complexfloating[Any, Any]], ArrayType(axes=(2,), dtypes=_COMPLEX)
]
#: Counts; from JSON, which has no dtypes, they come as float64.
CountMatrix = Annotated[
    npt.NDArray[np.integer[Any] | np.float64], ArrayType(axes=(2,), dtypes=("<i4", "<f8"))
]
#: Real or complex, as the quantity asks.
ValueMatrix = Annotated[
    npt.NDArray[np.inexact[Any]], ArrayType(axes=(2,), dtypes=_FLOATS + _COMPLEX)
]
#: (time,) or (time, channel); converter counts stay integers. Empty where nothing is left to say.
SampleArray = Annotated[
    npt.NDArray[np.floating[Any] | np.integer[Any]],
    ArrayType(axes=(1, 2), dtypes=_INTEGERS + _FLOATS, may_be_empty=True),
]
#: (time, channel) in whatever type holds them without loss.
SampleMatrix = Annotated[
    npt.NDArray[np.floating[Any] | np.integer[Any]],
    ArrayType(axes=(2,), dtypes=_INTEGERS + _FLOATS),
]
#: 1 where missing data or an edge touches the value; bool in memory.
MaskMatrix = Annotated[npt.NDArray[np.bool_], ArrayType(axes=(2,), dtypes=_INTEGERS, mask=True)]
#: Counts, and what a device computed in whole numbers.
IntegerMatrix = Annotated[
    npt.NDArray[np.integer[Any]], ArrayType(axes=(2,), dtypes=_INTEGERS, whole=True)
]
