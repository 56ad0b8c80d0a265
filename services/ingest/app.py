"""Ingest on the bus: the endpoints of stream definitions, and this process's share of streams."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio

from schemas import storage, subjects
from schemas.endpoints import STREAM_ENDPOINTS
from schemas.message import Message
from schemas.subjects import StreamVerb
from services.ingest.backlog import LagMonitor, WindowBacklog
from services.ingest.catalogue import Catalogue, WindowLimits
from services.ingest.follower import Follower
from services.ingest.member import this_process
from services.ingest.membership import Membership
from services.ingest.ownership import Claim, Ownership
from services.ingest.processor import StreamProcessor
from services.ingest.settings import IngestSettings
from services.ingest.stream_assignment import StreamAssignment
from services.ingest.stream_publisher import WindowQueue
from services.ingest.undefined_streams import UndefinedStreamMonitor
from services.runtime.process.lifecycle import Context
from services.runtime.rpc.admission import Admission
from services.runtime.rpc.endpoint import Endpoint
from services.runtime.rpc.micro import serve_endpoints
from services.runtime.storage.topology import system_topology

__all__ = ["serve"]

#: One stream's part of the window queue's bytes; so many streams can be stuck before it is full.
QUEUE_SHARE = 16


async def serve(context: Context, settings: IngestSettings) -> None:
    """Share the streams with the other ingests until asked to stop."""
    bus_log = context.bus.log
    # Ingest owns the streams' limits; the other services take them as they are.
    await bus_log.declare(system_topology(settings), update=True)
    definitions = await bus_log.bucket(storage.KV_STREAMS)
    checkpoints = await bus_log.bucket(storage.KV_CHECKPOINTS)
    membership = Membership(checkpoints, this_process(context.identity.id), context.log)
    ownership = Ownership(checkpoints, membership, context.log)

    def follow(claim: Claim, processor: StreamProcessor) -> Follower:
        backlog = WindowBacklog(
            settings.windows_per_stream, settings.windows_max_bytes // QUEUE_SHARE
        )
        queue = WindowQueue(bus_log, processor.definition.name, backlog)
        lag = LagMonitor(settings.lag_event_s)
        return Follower(claim, processor, bus_log, queue, lag, context.log)

    assignment = StreamAssignment(
        definitions, membership, ownership, bus_log, context.log, follow=follow
    )
    limits = WindowLimits(
        max_message_bytes=context.bus.max_message_bytes, log_max_age_s=settings.signals_max_age_s
    )
    catalogue = Catalogue(
        definitions, checkpoints, bus_log, context.log, limits=limits, progress=assignment.progress
    )
    undefined = UndefinedStreamMonitor(
        bus_log, membership, lambda: assignment.streams, definitions, context.log
    )
    async with (
        membership.joined(),
        serve_endpoints(
            context.bus,
            context.identity,
            endpoints(catalogue),
            context.log,
            Admission(max_bytes=settings.requests_max_bytes),
        ),
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(undefined.run)
        context.ready()
        await assignment.run(context.stop)
        tasks.cancel_scope.cancel()


def endpoints(catalogue: Catalogue) -> list[Endpoint]:
    """Return the endpoints of ``cwt.stream.*``; one change at a time, so that none is lost."""
    handlers: dict[StreamVerb, Callable[[Any], Awaitable[Message]]] = {
        "put": catalogue.put,
        "get": catalogue.get,
        "list": catalogue.list,
        "delete": catalogue.delete,
    }
    return [
        Endpoint(contract=STREAM_ENDPOINTS[subjects.stream(verb)], handle=handle, concurrency=1)
        for verb, handle in handlers.items()
    ]
