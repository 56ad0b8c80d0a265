"""Compute on the bus: the window queue, and the queries in a queue group."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

import anyio
import anyio.to_thread

from schemas import storage, subjects
from schemas.hardware import HardwareReply, HardwareRequest
from schemas.message import Message
from schemas.query import (
    BackendInfo,
    BackendRequest,
    BackendsReply,
    BackendsRequest,
    CwtReply,
    CwtRequest,
    HealthReply,
    HealthRequest,
    WctReply,
    WctRequest,
    XwtReply,
    XwtRequest,
)
from services.compute import queries
from services.compute.hardware import answer_hardware
from services.compute.settings import ComputeSettings
from services.compute.worker import WindowWorker
from services.runtime import metrics
from services.runtime.endpoint import Endpoint
from services.runtime.errors import BusError
from services.runtime.lifecycle import Context
from services.runtime.logs import Action
from services.runtime.micro import serve_endpoints

__all__ = ["ComputeService", "serve"]

Q = TypeVar("Q", bound=Message)
A = TypeVar("A", bound=Message)


async def serve(context: Context, settings: ComputeSettings) -> None:
    """Run until asked to stop."""
    limiter = anyio.CapacityLimiter(settings.compute_threads)
    service = ComputeService(context, limiter)
    worker = WindowWorker(
        context.bus.log,
        name=context.identity.id,
        limiter=limiter,
        max_tries=settings.compute_max_tries,
        log=context.log,
    )
    async with serve_endpoints(context.bus, context.identity, service.endpoints(), context.log):
        context.log.info(Action.READY, threads=settings.compute_threads)
        await worker.run(context.stop)


class ComputeService:
    """The endpoints of ``cwt.query.*``."""

    def __init__(self, context: Context, limiter: anyio.CapacityLimiter) -> None:
        self._context = context
        self._limiter = limiter
        self._started = time.monotonic()

    def endpoints(self) -> list[Endpoint[Any, Any]]:
        """Return the endpoints; what computes goes to the thread budget."""
        return [
            self._heavy("cwt", CwtRequest, CwtReply, queries.answer_cwt),
            self._heavy("xwt", XwtRequest, XwtReply, queries.answer_xwt),
            self._heavy("wct", WctRequest, WctReply, queries.answer_wct),
            _light("backends", BackendsRequest, BackendsReply, self._backends),
            _light("backend", BackendRequest, BackendInfo, self._backend),
            _light("hardware", HardwareRequest, HardwareReply, self._hardware),
            _light("health", HealthRequest, HealthReply, self._health),
        ]

    def _heavy(
        self,
        op: subjects.QueryOp,
        request: type[Q],
        reply: type[A],
        compute: Callable[[Q], A],
    ) -> Endpoint[Q, A]:
        async def handle(question: Q) -> A:
            with metrics.WORKERS_BUSY.track_inprogress():
                return await anyio.to_thread.run_sync(
                    partial(compute, question), limiter=self._limiter
                )

        return Endpoint(
            name=op,
            subject=subjects.query(op),
            request=request,
            reply=reply,
            handle=handle,
            concurrency=max(int(self._limiter.total_tokens), 1),
        )

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
        status = "stopping" if self._context.stop.is_set() else "ok"
        return HealthReply(
            status="degraded" if lag is None and status == "ok" else status,
            version=self._context.identity.version,
            uptime_s=time.monotonic() - self._started,
            lag=lag,
        )


def _light(
    op: subjects.QueryOp,
    request: type[Q],
    reply: type[A],
    handle: Callable[[Q], Awaitable[A]],
) -> Endpoint[Q, A]:
    return Endpoint(
        name=op, subject=subjects.query(op), request=request, reply=reply, handle=handle
    )
