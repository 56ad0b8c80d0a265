"""Publish provisional estimates of the newest samples, and fit models for ingest.

Workers receive the newest samples as a queue group of core messaging, so each chunk goes to one of
them, and a worker that dies loses only the chunks that it had. Of samples that wait, only the
newest of each analysis are estimated, and samples that are too old are dropped.
"""

from __future__ import annotations

import time

import anyio
import anyio.to_thread

from cwt_compute.live.estimates import estimate_newest
from cwt_compute.live.worker import InlinePolicy
from cwt_compute.processes import IpcKind, ProcessPool
from cwt_runtime.bus import Bus, Message, Subscription
from cwt_runtime.bus.errors import BusError
from cwt_runtime.process.lifecycle import Stop
from cwt_runtime.reading import read_body
from cwt_runtime.rpc.endpoint import Endpoint
from cwt_runtime.telemetry import metrics
from cwt_runtime.telemetry.logs import Action, Log
from cwt_schemas import subjects
from cwt_schemas.codec import ContentType, content_type_of, decode, encode
from cwt_schemas.endpoints import QUERY_ENDPOINTS
from cwt_schemas.errors import ContractError, Unprocessable
from cwt_schemas.headers import CONTENT_TYPE
from cwt_schemas.provisional import FitReply, FitRequest, NewestSamples

__all__ = ["EstimateWorker"]

#: Queue group of the workers.
GROUP = "compute"
#: Age of the newest sample above which an estimate is worthless, seconds.
STALE_S = 1.0
NANOSECONDS = 1_000_000_000
#: Samples that may wait, in bytes; more are dropped, the oldest first.
MAX_WAITING_BYTES = 64 * 1024 * 1024


class EstimateWorker:
    """Estimates of one worker, one at a time, and fits of models.

    Parameters
    ----------
    pool
        Processes for fits, which would delay estimates in this process.
    name
        Name of the worker in each estimate.
    """

    def __init__(self, bus: Bus, pool: ProcessPool, *, name: str, log: Log) -> None:
        self._bus = bus
        self._name = name
        self._log = log
        self._inline = InlinePolicy()
        self._pool = pool
        self._threads = anyio.CapacityLimiter(1)
        #: The newest message of each subject, oldest subject first.
        self._waiting: dict[str, Message] = {}
        self._waiting_bytes = 0
        self._arrived = anyio.Event()

    def endpoint(self) -> Endpoint:
        """Return the endpoint ``cwt.query.fit``."""

        async def handle(request: FitRequest) -> FitReply:
            async with self._pool.process() as process:
                return await process.reply(IpcKind.FIT, request, FitReply)

        return Endpoint(contract=QUERY_ENDPOINTS[subjects.query("fit")], handle=handle)

    async def run(self, stop: Stop) -> None:
        """Estimate until a stop is requested."""
        async with (
            self._bus.subscribe(subjects.NEWEST, GROUP) as messages,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(self._receive, messages)
            tasks.start_soon(self._serve)
            await stop.wait()
            tasks.cancel_scope.cancel()

    async def _receive(self, messages: Subscription) -> None:
        async for message in messages:
            replaced = self._waiting.get(message.subject)
            self._waiting[message.subject] = message
            self._waiting_bytes += len(message.data) - (len(replaced.data) if replaced else 0)
            while self._waiting_bytes > MAX_WAITING_BYTES:
                self._take_oldest()
                metrics.ESTIMATES.labels("stale").inc()
            self._arrived.set()

    def _take_oldest(self) -> Message:
        message = self._waiting.pop(next(iter(self._waiting)))
        self._waiting_bytes -= len(message.data)
        return message

    async def _serve(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived = anyio.Event()
            while self._waiting:
                message = self._take_oldest()
                try:
                    await self._handle(message)
                except ContractError as error:
                    self._log.warning(
                        Action.MESSAGE_SKIPPED, subject=message.subject, detail=error.message
                    )
                except BusError as error:
                    self._log.warning(Action.BUS_ERROR, detail=str(error))
                except Exception as error:  # noqa: BLE001 - no message may crash the worker
                    self._log.error(Action.MESSAGE_SKIPPED, exc=error, subject=message.subject)

    async def _handle(self, message: Message) -> None:
        kind = content_type_of(message.headers)
        size = len(message.data)
        newest = await read_body(size, decode, NewestSamples, message.data, kind)
        if message.subject != subjects.newest(newest.stream, newest.analysis.name):
            raise Unprocessable.of({"stream": "must be that of the subject, as the analysis"})
        age_s = (time.time_ns() - newest.times_ns.received) / NANOSECONDS
        if age_s > STALE_S:
            metrics.ESTIMATES.labels("stale").inc()
            return
        work = _kind(newest)
        if self._inline.runs_inline(work):
            body = self._computed(newest)
        else:
            body = await anyio.to_thread.run_sync(self._computed, newest, limiter=self._threads)
        await self._bus.publish(
            subjects.now(newest.stream, newest.analysis.name),
            body,
            {CONTENT_TYPE: ContentType.MSGPACK.value},
        )
        metrics.ESTIMATES.labels("computed").inc()

    def _computed(self, newest: NewestSamples) -> bytes:
        started = time.perf_counter()
        body = encode(estimate_newest(newest, worker=self._name), ContentType.MSGPACK)
        self._inline.record(_kind(newest), time.perf_counter() - started)
        return body


def _kind(newest: NewestSamples) -> tuple[str, str, tuple[int, ...], bool]:
    """Return what the time of an estimate depends on; rows without a model take none."""
    return newest.stream, newest.analysis.name, newest.samples.shape, None in newest.states
