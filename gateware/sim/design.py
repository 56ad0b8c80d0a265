"""The design as it is simulated: with which features, and its name."""

from __future__ import annotations

from typing import Any, Literal

import amaranth

from gateware.device import Device, SerialDevice
from gateware.features import datapath, features
from gateware.identity import Identity, build_hash
from schemas.hwlink import Feature

__all__ = ["Level", "simulated_device"]

#: Whole bytes, or the bits of a serial line.
Level = Literal["bytes", "serial"]


def simulated_device(level: Level, simulator: str, version: str) -> tuple[Identity, Any]:
    """Return what HELLO will say, and the design."""
    identity = Identity(
        build_hash=build_hash({"amaranth": amaranth.__version__, simulator: version}),
        features=features()
        | Feature.SIMULATED
        | (Feature.BAUD if level == "serial" else Feature(0)),
    )
    make = SerialDevice if level == "serial" else Device
    return identity, make(identity, datapath())
