"""A gateway as a process, and clients of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import anyio
import anyio.abc
import httpx

from tests.system.conftest import RunningSystem

__all__ = ["REQUEST_S", "RunningGateway", "gateway_of"]

#: Of one request; a level of small signals takes milliseconds.
REQUEST_S = 60.0


class RunningGateway:
    """Where a gateway of a system listens."""

    def __init__(self, system: RunningSystem, name: str) -> None:
        self.system = system
        self.name = name
        ready = [record for record in system.log(name) if record["action"] == "ready"]
        self.url = str(ready[-1]["http"])

    @property
    def host(self) -> str:
        """Name and port, as in the header ``Host``."""
        return urlsplit(self.url).netloc

    @property
    def faults(self) -> list[dict[str, object]]:
        """Error records in the gateway's log."""
        return [each for each in self.system.log(self.name) if each["level"] == "error"]

    @property
    def port(self) -> int:
        """Where it listens."""
        port = urlsplit(self.url).port
        assert port is not None
        return port

    @asynccontextmanager
    async def client(self) -> AsyncIterator[httpx.AsyncClient]:
        """Open a client whose paths are those of this gateway."""
        async with httpx.AsyncClient(base_url=self.url, timeout=REQUEST_S) as client:
            yield client

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[anyio.abc.SocketStream]:
        """Open a connection for bytes that no HTTP client would send."""
        async with await anyio.connect_tcp("127.0.0.1", self.port) as stream:
            yield stream


async def gateway_of(system: RunningSystem, name: str = "gateway") -> RunningGateway:
    """Start a gateway of `system` on a port of its own."""
    system.environment.setdefault("CWT_HTTP_PORT", "0")
    await system.start(name, "gateway")
    return RunningGateway(system, name)
