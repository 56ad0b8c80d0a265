"""Parse the configuration of devices and their ports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast, get_args

from cwt_schemas.hardware import DeviceKind
from cwt_schemas.message import is_name

__all__ = ["PortConfig", "parse_ports"]

_FORM = "name=kind:port"


@dataclass(frozen=True, kw_only=True)
class PortConfig:
    """One device: its name on the bus, its kind and its port."""

    device: str
    kind: DeviceKind
    port: str


def parse_ports(text: str) -> tuple[PortConfig, ...]:
    """Parse ``name=kind:port,name=kind:port``; an empty text has no devices.

    Raises
    ------
    ValueError
        An entry is not valid; the message names it.

    Examples
    --------
    >>> parse_ports("fpga0=tangnano9k:/dev/ttyUSB1")[0].port
    '/dev/ttyUSB1'
    """
    entries = [entry.strip() for entry in text.split(",") if entry.strip()]
    devices = tuple(_parsed(entry) for entry in entries)
    for what in ("device", "port"):
        values = [getattr(each, what) for each in devices]
        twice = next((value for value in values if values.count(value) > 1), None)
        if twice is not None:
            raise ValueError(f"{twice} is given twice: each device needs its own {what}")
    return devices


def _parsed(entry: str) -> PortConfig:
    device, equals, rest = entry.partition("=")
    kind, colon, port = rest.partition(":")
    if not (equals and colon and port):
        raise ValueError(f"{entry!r} is not of the form {_FORM}")
    if not is_name(device) or device == "list":
        raise ValueError(f"invalid device name {device!r}: use letters, digits, - and _")
    if kind not in get_args(DeviceKind):
        raise ValueError(
            f"unknown kind of device {kind!r}: use {' or '.join(get_args(DeviceKind))}"
        )
    return PortConfig(device=device, kind=cast("DeviceKind", kind), port=port)
