"""Ingest on the bus: the endpoints of stream definitions, and the follower of the signal log."""

from __future__ import annotations

from typing import Any

from schemas import storage, subjects
from schemas.stream import (
    StreamDefinition,
    StreamDelete,
    StreamGet,
    StreamList,
    StreamListing,
    StreamStatus,
)
from services.ingest.checkpoints import Checkpoints
from services.ingest.definitions import Definitions
from services.ingest.follower import Follower
from services.ingest.settings import IngestSettings
from services.runtime.endpoint import Endpoint
from services.runtime.lifecycle import Context
from services.runtime.logs import Action
from services.runtime.micro import serve_endpoints
from services.runtime.topology import system_topology

__all__ = ["serve"]


async def serve(context: Context, settings: IngestSettings) -> None:
    """Run until asked to stop."""
    bus_log = context.bus.log
    # Ingest owns the streams' limits; the other services take them as they are.
    await bus_log.declare(system_topology(settings), update=True)
    checkpoints = Checkpoints(await bus_log.bucket(storage.KV_CHECKPOINTS))
    definitions = Definitions(
        await bus_log.bucket(storage.KV_STREAMS), checkpoints, bus_log, context.log
    )
    await definitions.load()
    follower = Follower(bus_log, definitions, checkpoints, context.log)
    async with serve_endpoints(context.bus, context.identity, endpoints(definitions), context.log):
        context.log.info(Action.READY, streams=len(definitions.processors()))
        await follower.run(context.stop)


def endpoints(definitions: Definitions) -> list[Endpoint[Any, Any]]:
    """Return the endpoints of ``cwt.stream.*``; one change at a time, so that none is lost."""
    return [
        Endpoint(
            name="put",
            subject=subjects.stream("put"),
            request=StreamDefinition,
            reply=StreamStatus,
            handle=definitions.put,
            concurrency=1,
        ),
        Endpoint(
            name="get",
            subject=subjects.stream("get"),
            request=StreamGet,
            reply=StreamStatus,
            handle=definitions.get,
        ),
        Endpoint(
            name="list",
            subject=subjects.stream("list"),
            request=StreamList,
            reply=StreamListing,
            handle=definitions.list,
        ),
        Endpoint(
            name="delete",
            subject=subjects.stream("delete"),
            request=StreamDelete,
            reply=StreamStatus,
            handle=definitions.delete,
            concurrency=1,
        ),
    ]
