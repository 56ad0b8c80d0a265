"""The payloads of `cwt_schemas.hwlink_layouts` as signals."""

from __future__ import annotations

import re
import struct
from dataclasses import fields
from typing import Any

from amaranth.hdl import Cat, Const, Value

from cwt_schemas.hwlink_layouts import Layout

__all__ = ["pack", "unpack"]


def unpack(value: Any, layout: type[Layout]) -> dict[str, Any]:
    """Return the fields of a payload in the upper bits of `value`, the last byte uppermost."""
    found = {}
    at = len(value) - 8 * layout.FORMAT.size
    for name, bits in _widths(layout).items():
        found[name] = value[at : at + bits]
        at += bits
    return found


def pack(layout: type[Layout], **values: Any) -> Any:
    """Return the payload with these fields; bytes and integers may be constants.

    Raises
    ------
    KeyError
        A field has neither a value here nor a default in the layout.
    """
    defaults = {field.name: field.default for field in fields(layout)}
    return Cat(
        _wires(values[name] if name in values else _given(defaults, name), bits)
        for name, bits in _widths(layout).items()
    )


def _given(defaults: dict[str, Any], name: str) -> Any:
    if not isinstance(defaults[name], (int, bytes)):
        raise KeyError(name)
    return defaults[name]


def _wires(value: Any, bits: int) -> Any:
    if isinstance(value, bytes):
        return Const(int.from_bytes(value, "little"), bits)
    if isinstance(value, int):
        return Const(value, bits)
    wires = Value.cast(value)
    if len(wires) > bits:
        raise ValueError(f"{len(wires)} bits do not fit a field of {bits}")
    return Cat(wires, Const(0, bits - len(wires)))


def _widths(layout: type[Layout]) -> dict[str, int]:
    codes = re.findall(r"\d*[sBHhIi]", layout.FORMAT.format)
    names = [field.name for field in fields(layout)]
    return {name: 8 * struct.calcsize("<" + code) for name, code in zip(names, codes, strict=True)}
