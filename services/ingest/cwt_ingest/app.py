"""Run ingest on the bus: the endpoints of stream definitions and this process's streams."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Any

import anyio

from cwt_ingest.backlog import LagMonitor, WindowBacklog
from cwt_ingest.catalogue import Catalogue, WindowLimits
from cwt_ingest.estimate_publisher import EstimatePublisher
from cwt_ingest.follower import ChunkReader, Follower
from cwt_ingest.marker_desk import MarkerDesk
from cwt_ingest.member import this_process
from cwt_ingest.membership import Membership
from cwt_ingest.ownership import Claim, Ownership
from cwt_ingest.processor import StreamProcessor, read_chunk
from cwt_ingest.purge import RecordingPurge
from cwt_ingest.settings import IngestSettings
from cwt_ingest.signal_log import SignalLogGuard
from cwt_ingest.storage_monitor import monitor_storage
from cwt_ingest.stream_assignment import StreamAssignment
from cwt_ingest.stream_publisher import WindowQueue
from cwt_runtime.process.lifecycle import Context
from cwt_runtime.rpc.admission import Admission
from cwt_runtime.rpc.endpoint import Endpoint
from cwt_runtime.rpc.health import ServiceHealth
from cwt_runtime.rpc.micro import serve_endpoints
from cwt_runtime.storage.health import storage_problems
from cwt_runtime.storage.topology import copies_of, system_topology
from cwt_schemas import storage, subjects
from cwt_schemas.endpoints import MARK_ENDPOINT, STREAM_ENDPOINTS
from cwt_schemas.message import Message
from cwt_schemas.subjects import StreamVerb

__all__ = ["serve"]

#: Share of the window queue's bytes that one stream may fill: 16 stuck streams fill the queue.
QUEUE_SHARE = 16


async def serve(
    context: Context, settings: IngestSettings, *, read: ChunkReader = read_chunk
) -> None:
    """Follow a share of the streams until asked to stop; `read` decodes their chunks."""
    bus_log = context.bus.log
    # Ingest sets the limits of the JetStream streams; the other services leave them unchanged.
    topology = system_topology(settings)
    if settings.copies:
        topology = replace(topology, copies=copies_of(topology))
    await bus_log.declare(topology, update=True)
    definitions = await bus_log.bucket(storage.KV_STREAMS)
    checkpoints = await bus_log.bucket(storage.KV_CHECKPOINTS)
    membership = Membership(checkpoints, this_process(context.identity.id), context.log)
    ownership = Ownership(bus_log, checkpoints, membership, context.log)
    guarded_reading = anyio.Lock()

    def follow(claim: Claim, processor: StreamProcessor) -> Follower:
        backlog = WindowBacklog(
            settings.windows_per_stream, settings.windows_max_bytes // QUEUE_SHARE
        )
        queue = WindowQueue(bus_log, processor.definition.name, backlog)
        lag = LagMonitor(settings.lag_event_s)
        return Follower(
            claim,
            processor,
            bus_log,
            queue,
            lag,
            context.log,
            estimates=EstimatePublisher(context.bus, context.log),
            guarded_reading=guarded_reading,
            read=read,
        )

    max_message_bytes = context.bus.max_message_bytes
    assignment = StreamAssignment(
        definitions,
        membership,
        ownership,
        context.log,
        follow=follow,
        max_message_bytes=max_message_bytes,
    )
    limits = WindowLimits(
        max_message_bytes=max_message_bytes,
        log_max_age_s=settings.signals_max_age_s,
        results_bytes_per_s=settings.results_bytes_per_s,
    )
    signal_log = SignalLogGuard(
        bus_log,
        membership,
        lambda: assignment.streams,
        definitions,
        checkpoints,
        context.log,
        share=settings.signals_share,
        defined_only=settings.defined_only,
    )
    catalogue = Catalogue(
        definitions,
        checkpoints,
        bus_log,
        context.log,
        limits=limits,
        max_streams=settings.streams_max,
        progress=assignment.progress,
        accept=signal_log.accept,
    )
    health = ServiceHealth(
        context.identity, context.stop.is_set, partial(storage_problems, bus_log), assignment.lag
    )
    async with (
        membership.joined(),
        serve_endpoints(
            context.bus,
            context.identity,
            [
                *endpoints(
                    catalogue,
                    RecordingPurge(bus_log, definitions, checkpoints, context.log),
                    health,
                ),
                Endpoint(
                    contract=MARK_ENDPOINT.of_every_stream(),
                    handle=MarkerDesk(bus_log, definitions).store,
                ),
            ],
            context.log,
            Admission(max_bytes=settings.requests_max_bytes),
            reply_prefixes=settings.reply_prefixes,
        ),
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(signal_log.run)
        if settings.metrics_port is not None:
            tasks.start_soon(monitor_storage, bus_log)
        context.ready()
        await assignment.run(context.stop)
        tasks.cancel_scope.cancel()


def endpoints(
    catalogue: Catalogue, recordings: RecordingPurge, health: ServiceHealth
) -> list[Endpoint]:
    """Return the endpoints of ``cwt.stream.*``; changes are serialized, so that none is lost."""
    handlers: dict[StreamVerb, Callable[[Any], Awaitable[Message]]] = {
        "put": catalogue.put,
        "get": catalogue.get,
        "list": catalogue.list,
        "delete": catalogue.delete,
        "purge": recordings.purge,
        "health": health.reply,
    }
    return [
        Endpoint(contract=STREAM_ENDPOINTS[subjects.stream(verb)], handle=handle, concurrency=1)
        for verb, handle in handlers.items()
    ]
