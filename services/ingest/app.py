"""Ingest on the bus: the endpoints of stream definitions, and the follower of the signal log."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from schemas import storage, subjects
from schemas.endpoints import STREAM_ENDPOINTS
from schemas.message import Message
from schemas.subjects import StreamVerb
from services.ingest.checkpoints import Checkpoints
from services.ingest.definitions import Definitions, WindowLimits
from services.ingest.follower import Follower
from services.ingest.holder import this_process
from services.ingest.lease import Lease
from services.ingest.settings import IngestSettings
from services.runtime.endpoint import Endpoint
from services.runtime.lifecycle import Context
from services.runtime.logs import Action
from services.runtime.micro import serve_endpoints
from services.runtime.topology import system_topology

__all__ = ["serve"]


async def serve(context: Context, settings: IngestSettings) -> None:
    """Stand by until this process may work, then work until asked to stop."""
    bucket = await context.bus.log.bucket(storage.KV_CHECKPOINTS)
    lease = Lease(bucket, this_process(context.identity.id), context.log)
    if await lease.acquire(context.stop):
        async with lease.kept():
            await _work(context, settings, Checkpoints(lease.guarded(bucket)))


async def _work(context: Context, settings: IngestSettings, checkpoints: Checkpoints) -> None:
    bus_log = context.bus.log
    # Ingest owns the streams' limits; the other services take them as they are.
    await bus_log.declare(system_topology(settings), update=True)
    definitions = Definitions(
        await bus_log.bucket(storage.KV_STREAMS),
        checkpoints,
        bus_log,
        context.log,
        limits=WindowLimits(
            max_message_bytes=context.bus.max_message_bytes,
            log_max_age_s=settings.signals_max_age_s,
        ),
    )
    await definitions.load()
    follower = Follower(bus_log, definitions, checkpoints, context.log)
    async with serve_endpoints(context.bus, context.identity, endpoints(definitions), context.log):
        context.log.info(Action.READY, streams=len(definitions.processors()))
        await follower.run(context.stop)


def endpoints(definitions: Definitions) -> list[Endpoint]:
    """Return the endpoints of ``cwt.stream.*``; one change at a time, so that none is lost."""
    handlers: dict[StreamVerb, Callable[[Any], Awaitable[Message]]] = {
        "put": definitions.put,
        "get": definitions.get,
        "list": definitions.list,
        "delete": definitions.delete,
    }
    return [
        Endpoint(contract=STREAM_ENDPOINTS[subjects.stream(verb)], handle=handle, concurrency=1)
        for verb, handle in handlers.items()
    ]
