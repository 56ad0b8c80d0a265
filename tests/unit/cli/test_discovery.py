"""Services are counted by instance, and waited for by name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from cwt_cli.discovery import count_services, wait_for_services
from cwt_cli.faults import CommandError
from cwt_runtime.bus import Bus
from cwt_runtime.rpc.micro import Identity, serve_endpoints
from cwt_runtime.telemetry.logs import logger
from tests.deadlines import SCALE
from tests.memory_bus import MemoryBus

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def running(bus: Bus, *names: str) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        for number, name in enumerate(names):
            identity = Identity(name=name, id=f"{name}-{number}", version="1.0.0", description="d")
            await stack.enter_async_context(serve_endpoints(bus, identity, [], logger("test")))
        yield


async def test_every_instance_counts(bus: MemoryBus) -> None:
    async with running(bus, "ingest", "compute", "compute"):
        expected = {"ingest": 1, "compute": 2}
        assert await count_services(bus, expected) == expected
        await wait_for_services(bus, expected, timeout_s=5)


async def test_unresponsive_service_is_named(bus: MemoryBus) -> None:
    async with running(bus, "ingest", "compute"):
        with pytest.raises(CommandError, match="1 x compute, 1 x hwbridge"):
            await wait_for_services(
                bus,
                {"ingest": 1, "compute": 2, "hwbridge": 1},
                timeout_s=0.3 * SCALE,
                round_s=0.1 * SCALE,
            )
