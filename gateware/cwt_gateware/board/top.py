"""The device on the Tang Nano 9K: its crystal, and the serial line of its USB chip."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Elaboratable, Module

from cwt_gateware.device import SerialDevice
from cwt_gateware.features import datapath
from cwt_gateware.identity import Identity

__all__ = ["Top"]


class Top(Elaboratable):
    """The top level of the board."""

    def __init__(self, identity: Identity) -> None:
        self.identity = identity

    def elaborate(self, platform: Any) -> Any:
        """Return the Amaranth module."""
        m = Module()
        uart = platform.request("uart")
        m.submodules.device = device = SerialDevice(self.identity, datapath())
        m.d.comb += [device.rx.eq(uart.rx.i), uart.tx.o.eq(device.tx)]
        return m
