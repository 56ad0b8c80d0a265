"""The simulated design: its features and identity."""

from __future__ import annotations

from typing import Any, Literal

import amaranth

from cwt_gateware.device import Device, SerialDevice
from cwt_gateware.features import FEATURES, datapath
from cwt_gateware.identity import Identity, build_hash
from cwt_schemas.hwlink import Feature

__all__ = ["Level", "simulated_device", "simulated_identity"]

#: Level of simulation: whole bytes, or the bits of a serial line.
Level = Literal["bytes", "serial"]


def simulated_identity(level: Level, simulator: str, version: str) -> Identity:
    """Return the identity that the device reports in HELLO."""
    line = Feature.BAUD if level == "serial" else Feature(0)
    return Identity(
        build_hash=build_hash({"amaranth": amaranth.__version__, simulator: version}),
        features=FEATURES | Feature.SIMULATED | line,
    )


def simulated_device(level: Level, identity: Identity) -> Any:
    """Return the design."""
    return (SerialDevice if level == "serial" else Device)(identity, datapath())
