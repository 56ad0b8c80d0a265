"""The gateway's application over a bus in memory, and ingest's answers on that bus."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import anyio
import httpx
import pytest

from cwt_gateway.app import make_app
from cwt_gateway.settings import GatewaySettings
from cwt_gateway.uploads import Uploads
from cwt_ingest.app import endpoints
from cwt_ingest.catalogue import Catalogue, WindowLimits
from cwt_ingest.purge import RecordingPurge
from cwt_runtime.bus import Bus
from cwt_runtime.rpc.health import ServiceHealth
from cwt_runtime.rpc.micro import Identity, serve_endpoints
from cwt_runtime.settings import StorageSettings
from cwt_runtime.storage.health import storage_problems
from cwt_runtime.storage.topology import system_topology
from cwt_runtime.telemetry.logs import logger
from cwt_schemas import storage
from tests.memory_bus import MemoryBus

BASE_URL = "http://127.0.0.1:8000"


@pytest.fixture
async def bus() -> MemoryBus:
    memory = MemoryBus()
    await memory.log.declare(system_topology(StorageSettings()))
    return memory


@asynccontextmanager
async def gateway(
    bus: Bus, *, uploads: Uploads | None = None, **settings: Any
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a gateway on `bus`; leaving cancels what the gateway does in the background."""
    app = make_app(bus, GatewaySettings(**settings), log=logger("gateway"))
    if uploads is not None:
        app.state.uploads = uploads
    async with anyio.create_task_group() as background:
        app.state.background = background
        if app.state.settings.http_users is not None:
            await background.start(app.state.keys.follow, bus.log)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=BASE_URL) as client:
            yield client
        background.cancel_scope.cancel()


@asynccontextmanager
async def catalogue(bus: Bus) -> AsyncIterator[None]:
    """Answer ``cwt.stream.*`` as ingest does."""
    definitions = await bus.log.bucket(storage.KV_STREAMS)
    checkpoints = await bus.log.bucket(storage.KV_CHECKPOINTS)
    kept = Catalogue(
        definitions,
        checkpoints,
        bus.log,
        logger("ingest"),
        limits=WindowLimits(max_message_bytes=bus.max_message_bytes, log_max_age_s=86_400.0),
        max_streams=1000,
    )
    recordings = RecordingPurge(bus.log, definitions, checkpoints, logger("ingest"))
    identity = Identity(name="ingest", id="one", version="0.0.1", description="")

    async def nothing_waits() -> int:
        return 0

    problems = partial(storage_problems, bus.log)
    health = ServiceHealth(identity, lambda: False, problems, nothing_waits)
    served = endpoints(kept, recordings, health)
    async with serve_endpoints(bus, identity, served, logger("ingest")):
        yield
