"""What a device on a serial port can be asked for over the bus."""

from __future__ import annotations

from typing import Literal

__all__ = ["DeviceKind", "HwOperation"]

#: The kinds of device that there is a driver for.
DeviceKind = Literal["tangnano9k", "elm11"]

#: What a device computes; which of them a device has is in the bridge's answer to ``info``.
HwOperation = Literal["selftest", "fft", "cwt", "mc"]
