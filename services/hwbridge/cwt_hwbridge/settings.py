"""Settings of the hardware bridge."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from cwt_hwbridge.port_config import PortConfig, parse_ports
from cwt_hwbridge.tangnano9k.driver import MARGIN_S
from cwt_runtime.settings import ServiceSettings

__all__ = ["HwBridgeSettings"]


class HwBridgeSettings(ServiceSettings):
    """Settings of every service, and the serial ports that the bridge may open."""

    hw_ports: str | None = Field(
        None,
        description="devices and their ports, such as "
        "fpga0=tangnano9k:/dev/ttyUSB1,lua0=elm11:/dev/ttyUSB2; no other port is opened",
    )
    hw_elm11_pace_s: Annotated[float, Field(ge=0, le=0.02)] = Field(
        0.001, description="pause after each byte sent to an ELM11, seconds; 0 for its twin"
    )
    hw_margin_s: Annotated[float, Field(gt=0, le=1)] = Field(
        MARGIN_S,
        description="time to wait for a reply of a Tang Nano after its transmission time, seconds; "
        "raise it on a very busy host",
    )

    @field_validator("hw_ports")
    @classmethod
    def _readable(cls, value: str | None) -> str | None:
        parse_ports(value or "")
        return value

    @property
    def ports(self) -> tuple[PortConfig, ...]:
        """The devices, and their ports."""
        return parse_ports(self.hw_ports or "")
