"""Compute on the bus: the window queue, and the queries in a queue group."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Literal

import anyio
import anyio.to_thread

from schemas import storage, subjects
from schemas.description import SchemaReply, SchemaRequest
from schemas.endpoints import QUERY_ENDPOINTS
from schemas.hardware import HardwareReply, HardwareRequest
from schemas.message import Message
from schemas.query import (
    BackendInfo,
    BackendRequest,
    BackendsReply,
    BackendsRequest,
    HealthReply,
    HealthRequest,
)
from schemas.subjects import QueryOp
from services.compute import queries
from services.compute.calculator import open_pool
from services.compute.cluster.endpoint import simulate_endpoint
from services.compute.hardware import answer_hardware
from services.compute.settings import ComputeSettings
from services.compute.worker import WindowWorker
from services.runtime import metrics
from services.runtime.endpoint import Endpoint
from services.runtime.errors import BusError
from services.runtime.lifecycle import Context
from services.runtime.logs import Action
from services.runtime.micro import serve_endpoints
from services.runtime.sync_bus import reachable_from_threads

__all__ = ["ComputeService", "serve"]

#: Requests of up to 8 MiB that may wait for a thread, per transform.
HEAVY_WAITING = 16


async def serve(context: Context, settings: ComputeSettings) -> None:
    """Run until asked to stop."""
    with reachable_from_threads(context.bus):
        await _serve(context, settings)


async def _serve(context: Context, settings: ComputeSettings) -> None:
    # Two budgets: a query that takes long must not hold up live results, nor the other way round.
    service = ComputeService(context, anyio.CapacityLimiter(settings.query_threads))
    worker = WindowWorker(
        context.bus.log,
        name=context.identity.id,
        limiter=anyio.CapacityLimiter(settings.compute_threads),
        max_tries=settings.compute_max_tries,
        log=context.log,
    )
    async with open_pool(context.identity.id, settings.job_processes) as pool:
        endpoints = [*service.endpoints(), simulate_endpoint(pool)]
        async with serve_endpoints(context.bus, context.identity, endpoints, context.log):
            context.log.info(Action.READY, threads=settings.compute_threads)
            await worker.run(context.stop)


class ComputeService:
    """The endpoints of ``cwt.query.*``."""

    def __init__(self, context: Context, limiter: anyio.CapacityLimiter) -> None:
        self._context = context
        self._limiter = limiter
        self._threads = int(limiter.total_tokens)
        self._started = time.monotonic()

    def endpoints(self) -> list[Endpoint]:
        """Return the endpoints; what computes goes to the thread budget."""
        return [
            self._heavy("cwt", queries.answer_cwt, planes=2),
            self._heavy("xwt", queries.answer_xwt, planes=3),
            self._heavy("wct", partial(queries.answer_wct, n_jobs=self._threads), planes=2),
            self._heavy("significance", partial(queries.answer_significance, n_jobs=self._threads)),
            self._heavy("benchmark", partial(queries.answer_benchmark, n_jobs=self._threads)),
            _light("schema", self._schema),
            _light("backends", self._backends),
            _light("backend", self._backend),
            _light("hardware", self._hardware),
            _light("health", self._health),
        ]

    def _heavy(
        self, op: QueryOp, compute: Callable[[Any], Message], *, planes: int = 0
    ) -> Endpoint:
        """Return an endpoint that computes; its reply has `planes` numbers per scale and sample."""

        async def handle(question: Message) -> Message:
            with metrics.WORKERS_BUSY.track_inprogress():
                return await anyio.to_thread.run_sync(
                    partial(compute, question), limiter=self._limiter
                )

        return Endpoint(
            contract=QUERY_ENDPOINTS[subjects.query(op)],
            handle=handle,
            reply_numbers=(
                (lambda question: planes * queries.output_cells(question)) if planes else None
            ),
            concurrency=self._threads,
            waiting=HEAVY_WAITING,
        )

    async def _schema(self, question: SchemaRequest) -> SchemaReply:
        return queries.answer_schema(question.name)

    async def _backends(self, question: BackendsRequest) -> BackendsReply:
        del question
        return queries.answer_backends()

    async def _backend(self, question: BackendRequest) -> BackendInfo:
        return queries.answer_backend(question.name)

    async def _hardware(self, question: HardwareRequest) -> HardwareReply:
        del question
        return await answer_hardware(self._context.bus)

    async def _health(self, question: HealthRequest) -> HealthReply:
        del question
        lag: int | None = None
        try:
            backlog = await self._context.bus.log.backlog(storage.WINDOWS, storage.COMPUTE_WINDOWS)
            lag = backlog.waiting + backlog.in_flight
        except BusError:
            pass  # JetStream does not answer: told by the status and the missing number
        healthy: Literal["ok", "degraded"] = "degraded" if lag is None else "ok"
        return HealthReply(
            status="stopping" if self._context.stop.is_set() else healthy,
            version=self._context.identity.version,
            uptime_s=time.monotonic() - self._started,
            lag=lag,
        )


def _light(op: QueryOp, handle: Callable[[Any], Awaitable[Message]]) -> Endpoint:
    return Endpoint(contract=QUERY_ENDPOINTS[subjects.query(op)], handle=handle)
