"""Settings of the gateway."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from cwt_gateway.rates import Rates
from cwt_runtime.settings import ServiceSettings
from cwt_runtime.urls import is_loopback

__all__ = ["GatewaySettings"]

MIB = 1024**2


class GatewaySettings(ServiceSettings):
    """The settings of every service, and those of the HTTP server."""

    http_host: str = Field("127.0.0.1", description="address that the HTTP server listens on")
    http_port: Annotated[int, Field(ge=0, le=65535)] = Field(
        8000, description="port that the HTTP server listens on (0: any free one)"
    )
    http_socket: Annotated[int, Field(ge=0)] | None = Field(
        None,
        description="file descriptor of a listening socket that the gateway inherits, in place of "
        "host and port; `pycwt-mod up` sets it",
    )
    http_insecure: bool = Field(
        False, description="allow HTTP to listen on an address that other machines can reach"
    )
    http_users: str | None = Field(
        None,
        description="folder with the passwords of the NATS users that keys act as, one file per "
        "user, such as the `passwords` of `pycwt-mod accounts`; unset: requests need no key",
    )
    http_requests_per_minute: Annotated[int, Field(ge=1)] = Field(
        1200,
        description="requests and WebSocket frames per minute and key, or address without a key",
    )
    http_bytes_per_minute: Annotated[int, Field(ge=MIB)] = Field(
        1024 * MIB,
        description="bytes of request and reply bodies per minute and key, or address without a "
        "key",
    )
    http_requests_at_a_time: Annotated[int, Field(ge=1)] = Field(
        64, description="concurrent requests and WebSockets per key, or address without a key"
    )
    http_hosts: str | None = Field(
        None,
        description="host names of the gateway, separated by commas, in addition to localhost and "
        "IP addresses",
    )
    http_proxies: str | None = Field(
        None,
        description="addresses or networks of proxies, separated by commas, that state the "
        "addresses of their clients in X-Forwarded-For",
    )
    http_cors_origins: str | None = Field(
        None,
        description="origins, separated by commas, whose pages may use the gateway, such as "
        "https://lab.example.org",
    )
    http_upload_max_bytes: Annotated[int, Field(ge=MIB)] = Field(
        256 * MIB, description="maximum size of an uploaded recording, bytes"
    )
    http_replies_max_bytes: Annotated[int, Field(ge=MIB)] = Field(
        512 * MIB,
        description="maximum total size of replies that are being encoded or sent, bytes; a reply "
        "that does not fit is refused",
    )

    @property
    def rates(self) -> Rates:
        """Limits of what a key may ask for."""
        return Rates(
            requests_per_minute=self.http_requests_per_minute,
            bytes_per_minute=self.http_bytes_per_minute,
            requests_at_a_time=self.http_requests_at_a_time,
        )

    @property
    def hosts(self) -> tuple[str, ...]:
        """Host names of the gateway."""
        return ("localhost", *_listed(self.http_hosts))

    @property
    def proxies(self) -> tuple[str, ...]:
        """Proxies that state the addresses of their clients."""
        return _listed(self.http_proxies)

    @property
    def cors_origins(self) -> tuple[str, ...]:
        """Origins whose pages may use the gateway."""
        return _listed(self.http_cors_origins)

    @field_validator("http_cors_origins")
    @classmethod
    def _origins(cls, value: str | None) -> str | None:
        for origin in _listed(value):
            scheme, _, rest = origin.partition("://")
            if scheme not in {"http", "https"} or not rest or "/" in rest:
                raise ValueError(f"{origin!r} is not an origin such as https://lab.example.org")
        return value

    @field_validator("http_proxies")
    @classmethod
    def _networks(cls, value: str | None) -> str | None:
        for proxy in _listed(value):
            ipaddress.ip_network(proxy)
        return value

    @model_validator(mode="after")
    def _loopback_or_told(self) -> Self:
        if not (self.http_insecure or self.http_users or is_loopback(self.http_host)):
            raise ValueError(
                f"CWT_HTTP_HOST={self.http_host} can be reached from other machines, and requests "
                "need no key: anyone there could define streams and read all results. Set "
                "CWT_HTTP_USERS to require keys (docs/securing.md), or CWT_HTTP_INSECURE=true if a "
                "firewall or a proxy protects it"
            )
        return self


def _listed(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip().lower() for part in (text or "").split(",") if part.strip())
