"""The kinds of device that the bridge can drive."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from schemas.hardware import DeviceKind
from services.hwbridge.driver import Driver
from services.hwbridge.elm11.driver import Elm11Driver
from services.hwbridge.tangnano9k import TangNanoDriver

__all__ = ["driver_factory"]


def driver_factory(kind: DeviceKind, *, elm11_pace_s: float) -> Callable[[], Driver]:
    """Return what makes drivers of a kind."""
    if kind == "elm11":
        return partial(Elm11Driver, pace_s=elm11_pace_s)
    return TangNanoDriver
