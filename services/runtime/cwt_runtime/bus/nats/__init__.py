"""The bus over NATS: the one place that knows the driver `nats`."""

from cwt_runtime.bus.nats.connection import NatsBus, connect_bus

__all__ = ["NatsBus", "connect_bus"]
