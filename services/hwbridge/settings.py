"""Settings of the hardware bridge."""

from __future__ import annotations

from services.runtime.settings import ServiceSettings

__all__ = ["HwBridgeSettings"]


class HwBridgeSettings(ServiceSettings):
    """The bridge needs nothing beyond what every service reads; it opens no port by itself."""
