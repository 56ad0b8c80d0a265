"""Discovery where the bus fails."""

from __future__ import annotations

from collections.abc import Mapping

import orjson
import pytest

from cwt_runtime.bus.errors import BusTimeoutError, BusUnreachableError
from cwt_runtime.rpc.micro import Identity, serve_endpoints
from cwt_runtime.telemetry.logs import logger
from tests.memory_bus import MemoryBus

pytestmark = pytest.mark.anyio

IDENTITY = Identity(name="n", id="i", version="1.0.0", description="d")


class FlakyBus(MemoryBus):
    """Fails the first answer that is sent."""

    failed = False

    async def publish(
        self,
        subject: str,
        data: bytes,
        headers: Mapping[str, str] | None = None,
        *,
        reply: str | None = None,
    ) -> None:
        if not self.failed:
            self.failed = True
            raise BusUnreachableError("away")
        await super().publish(subject, data, headers, reply=reply)


async def test_a_ping_that_cannot_be_answered_does_not_end_the_service() -> None:
    bus = FlakyBus()
    async with serve_endpoints(bus, IDENTITY, [], logger("test")):
        with pytest.raises(BusTimeoutError):
            await bus.request("$SRV.PING", b"", timeout_s=0.05)
        answer = await bus.request("$SRV.PING", b"", timeout_s=5)
    assert orjson.loads(answer.data)["id"] == "i"
