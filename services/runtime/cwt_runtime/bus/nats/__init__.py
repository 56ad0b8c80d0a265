"""The bus over NATS; the only package that imports the driver `nats`."""

from cwt_runtime.bus.nats.connection import NatsBus, connect_bus

__all__ = ["NatsBus", "connect_bus"]
