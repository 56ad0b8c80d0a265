"""The kinds of device that the bridge supports."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from cwt_hwbridge.driver import Driver
from cwt_hwbridge.elm11.driver import Elm11Driver, opening_s
from cwt_hwbridge.tangnano9k import TangNanoDriver
from cwt_schemas.hardware import DeviceKind

__all__ = ["OPEN_S", "driver_factory", "open_s"]

#: Time to detect a board on its port, including the search for its rate.
OPEN_S = 20.0


def driver_factory(
    kind: DeviceKind, *, elm11_pace_s: float, margin_s: float
) -> Callable[[], Driver]:
    """Return a factory of drivers for a kind of device."""
    if kind == "elm11":
        return partial(Elm11Driver, pace_s=elm11_pace_s)
    return partial(TangNanoDriver, margin_s=margin_s)


def open_s(kind: DeviceKind, *, elm11_pace_s: float) -> float:
    """Return the time limit for opening a device of a kind, seconds."""
    return opening_s(elm11_pace_s) if kind == "elm11" else OPEN_S
