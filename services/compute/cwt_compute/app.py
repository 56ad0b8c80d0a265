"""Run compute on the bus: the window queue, queries, jobs and shares of simulations."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from functools import partial
from typing import Any

import anyio
import anyio.to_thread

from cwt_compute import process_main
from cwt_compute.cluster.endpoint import simulate_endpoint
from cwt_compute.devices.hardware import answer_hardware
from cwt_compute.health import system_problems, windows_waiting
from cwt_compute.jobs.api import open_jobs
from cwt_compute.jobs.quota import JobQuota
from cwt_compute.live.estimate_worker import EstimateWorker
from cwt_compute.live.worker import WindowWorker
from cwt_compute.processes import ForkServer, open_pool
from cwt_compute.queries.benchmark import answer_benchmark
from cwt_compute.queries.cache import LevelCache, ReplyCache
from cwt_compute.queries.cost import reply_numbers
from cwt_compute.queries.descriptions import answer_schema
from cwt_compute.queries.executor import QueryExecutor
from cwt_compute.queries.simulation import answer_backend, answer_backends
from cwt_compute.queries.transforms import (
    answer_cwt,
    answer_mwct,
    answer_pwct,
    answer_significance,
    answer_wct,
    answer_xwt,
)
from cwt_compute.settings import ComputeSettings
from cwt_runtime.process.lifecycle import Context
from cwt_runtime.rpc.admission import Admission
from cwt_runtime.rpc.context import service_context
from cwt_runtime.rpc.endpoint import Endpoint
from cwt_runtime.rpc.health import ServiceHealth
from cwt_runtime.rpc.micro import serve_endpoints
from cwt_schemas import subjects
from cwt_schemas.endpoints import QUERY_ENDPOINTS
from cwt_schemas.hardware import HardwareReply, HardwareRequest
from cwt_schemas.message import Message
from cwt_schemas.query import BackendInfo, BackendRequest, BackendsReply, BackendsRequest
from cwt_schemas.service import SchemaReply, SchemaRequest
from cwt_schemas.subjects import QueryOp

__all__ = ["ComputeService", "serve"]

#: Queries of one endpoint that are decoded, looked up, computed and encoded concurrently.
#: `Admission` decides by cost which are computed; this limits the memory of those that wait.
QUERIES_AT_ONCE = 40
#: Maximum number of queries of one endpoint that wait to be decoded.
QUERIES_WAITING = 8
#: Fits of provisional estimates computed concurrently. They have their own process, so that they do
#: not wait for tasks of jobs.
FIT_PROCESSES = 1
#: Time for which a list of backends is reused, seconds; some backends must query the bridge.
LISTED_S = 1.0


async def serve(context: Context, settings: ComputeSettings) -> None:
    """Run the service until a stop is requested."""
    with service_context(context.bus), closing(ForkServer(process_main.__name__)) as server:
        await _serve(context, settings, server)


async def _serve(context: Context, settings: ComputeSettings, server: ForkServer) -> None:
    # Separate thread budgets: a long query must not delay live results, nor the reverse.
    worker = WindowWorker(
        context.bus.log,
        name=context.identity.id,
        limiter=anyio.CapacityLimiter(settings.compute_threads),
        max_tries=settings.compute_max_tries,
        log=context.log,
    )
    async with (
        open_pool(server, context.identity.id, settings.job_processes) as pool,
        open_pool(server, context.identity.id, FIT_PROCESSES) as fits,
        anyio.create_task_group() as writing,
    ):
        admission = Admission(
            max_bytes=settings.requests_max_bytes,
            threads=settings.query_threads,
            backlog_s=settings.query_backlog_s,
        )
        levels = LevelCache(context.bus.log, writing)
        service = ComputeService(context, settings, levels, admission)
        jobs = await open_jobs(
            context.bus,
            pool,
            name=context.identity.id,
            max_tries=settings.compute_max_tries,
            log=context.log,
            quota=JobQuota(
                max_unfinished=settings.user_jobs_max,
                max_bytes=settings.user_jobs_max_bytes,
                max_age_s=settings.jobs_max_age_s,
            ),
        )
        estimates = EstimateWorker(context.bus, fits, name=context.identity.id, log=context.log)
        endpoints = [
            *service.endpoints(),
            simulate_endpoint(pool),
            estimates.endpoint(),
            *jobs.endpoints,
        ]
        async with (
            serve_endpoints(
                context.bus,
                context.identity,
                endpoints,
                context.log,
                admission,
                reply_prefixes=settings.reply_prefixes,
            ),
            anyio.create_task_group() as workers,
        ):
            context.ready(threads=settings.compute_threads)
            workers.start_soon(jobs.worker.run, context.stop)
            workers.start_soon(estimates.run, context.stop)
            await worker.run(context.stop)


class ComputeService:
    """The endpoints of ``cwt.query.*``."""

    def __init__(
        self,
        context: Context,
        settings: ComputeSettings,
        levels: LevelCache,
        admission: Admission,
    ) -> None:
        self._context = context
        self._levels = levels
        self._threads = settings.query_threads
        self._executor = QueryExecutor(admission, ReplyCache(context.bus.log))
        self._health = ServiceHealth(
            context.identity,
            context.stop.is_set,
            partial(system_problems, context.bus),
            partial(windows_waiting, context.bus.log),
        )
        #: The last list of backends, with the time at which it was made.
        self._listed: tuple[float, BackendsReply] | None = None

    def endpoints(self) -> list[Endpoint]:
        """Return the endpoints of all queries; those that compute use the thread budget."""
        n_jobs, levels = self._threads, self._levels
        return [
            self._heavy("cwt", answer_cwt),
            self._heavy("xwt", answer_xwt),
            self._heavy("wct", partial(answer_wct, n_jobs=n_jobs, levels=levels)),
            self._heavy("pwct", partial(answer_pwct, n_jobs=n_jobs, levels=levels)),
            self._heavy("mwct", partial(answer_mwct, n_jobs=n_jobs, levels=levels)),
            self._heavy("significance", partial(answer_significance, n_jobs=n_jobs, levels=levels)),
            self._heavy("benchmark", partial(answer_benchmark, n_jobs=n_jobs)),
            _light("schema", self._schema),
            _light("backends", self._backends),
            _light("backend", self._backend),
            _light("hardware", self._hardware),
            _light("health", self._health.reply),
        ]

    def _heavy(self, op: QueryOp, compute: Callable[[Any], Message]) -> Endpoint:
        """Return the endpoint of a query that computes."""
        contract = QUERY_ENDPOINTS[subjects.query(op)]

        async def handle(request: Message) -> Message:
            return await self._executor.execute(request, compute, contract.reply)

        return Endpoint(
            contract=contract,
            handle=handle,
            reply_numbers=reply_numbers,
            off_loop=True,
            concurrency=QUERIES_AT_ONCE,
            waiting=QUERIES_WAITING,
        )

    async def _schema(self, request: SchemaRequest) -> SchemaReply:
        return answer_schema(request.name)

    async def _backends(self, request: BackendsRequest | None = None) -> BackendsReply:
        del request
        now = time.monotonic()
        if self._listed is None or now - self._listed[0] > LISTED_S:
            # In a thread, because a device backend queries the bridge.
            self._listed = now, await anyio.to_thread.run_sync(answer_backends)
        return self._listed[1]

    async def _backend(self, request: BackendRequest) -> BackendInfo:
        return answer_backend(request.name, await self._backends())

    async def _hardware(self, request: HardwareRequest) -> HardwareReply:
        del request
        return await answer_hardware(self._context.bus)


def _light(op: QueryOp, handle: Callable[[Any], Awaitable[Message]]) -> Endpoint:
    return Endpoint(contract=QUERY_ENDPOINTS[subjects.query(op)], handle=handle)
