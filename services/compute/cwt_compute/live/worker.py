"""Process windows from the queue: receive, compute, store the results, acknowledge.

The processing of a window has one of three outcomes. It is acknowledged after all its results are
stored; or it is returned to the queue with a delay; or it is terminated, after a dead letter and an
event (separate or in a summary) are stored. If a worker dies, the server redelivers the window to
another worker after the acknowledgement deadline.

Windows are computed in threads. Only a window of a kind that previously took no more than a few
milliseconds is computed on the event loop, because a switch of threads would take longer.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from functools import partial

import anyio
import anyio.to_thread

from cwt_compute.live.dependent import dependence_events
from cwt_compute.live.event_publisher import EventPublisher
from cwt_compute.live.flat import flat_events
from cwt_compute.live.windows import (
    Provenance,
    compute_window,
    drop_window,
    dropped_event,
    stale_event,
)
from cwt_compute.work_queue import Heartbeat, store_dead_letter, terminate
from cwt_runtime.bus import Consumer, Delivery, DurableLog
from cwt_runtime.bus.errors import BusError
from cwt_runtime.process.lifecycle import Stop
from cwt_runtime.reading import read_body
from cwt_runtime.retry import GiveUp, RetryPolicy, decide
from cwt_runtime.storage.publish import publish_all, publish_with_retry
from cwt_runtime.telemetry import metrics
from cwt_runtime.telemetry.logs import Action, Log
from cwt_runtime.telemetry.tracing import span, trace_headers
from cwt_schemas import storage, subjects
from cwt_schemas.codec import ContentType, content_type_of, decode, encode
from cwt_schemas.errors import ContractError
from cwt_schemas.headers import CONTENT_TYPE
from cwt_schemas.live import AnalysisWindow, StreamEvent
from cwt_schemas.pair_result import LiveResult

__all__ = ["InlinePolicy", "WindowWorker"]

NANOSECONDS = 1_000_000_000

Compute = Callable[[AnalysisWindow, Provenance], Sequence[LiveResult]]
#: Ids and encoded bodies of results.
Bodies = list[tuple[str, bytes]]
#: Results and events to store for one window.
Outcome = tuple[Bodies, tuple[StreamEvent, ...]]

#: Maximum number of results of one window that are stored concurrently.
STORES_IN_FLIGHT = 16

#: Maximum time of a computation on the event loop, seconds, comparable to the decoding of a large
#: message there. A switch to a thread and back takes up to 0.6 ms after idling, see decision 47.
SHORT_S = 0.003
#: Maximum number of kinds of windows in memory, by least recent use. An octave of an analysis is
#: a kind.
KINDS = 4096


class WindowWorker:
    """Compute windows concurrently, as many as the limiter has tokens.

    Parameters
    ----------
    bus_log
        Log with the window queue and the results.
    name
        Name of the worker in the provenance of each result.
    limiter
        Thread budget for windows.
    max_tries
        Number of deliveries after which a window is dead-lettered.
    compute
        Function that computes the results of a window.
    inline
        Policy that decides which windows are computed on the event loop.
    """

    def __init__(
        self,
        bus_log: DurableLog,
        *,
        name: str,
        limiter: anyio.CapacityLimiter,
        max_tries: int,
        log: Log,
        compute: Compute = compute_window,
        inline: InlinePolicy | None = None,
    ) -> None:
        self._bus_log = bus_log
        self._name = name
        self._limiter = limiter
        self._policy = RetryPolicy(max_tries=max_tries)
        self._log = log
        self._compute = compute
        self._inline = inline or InlinePolicy()
        self._heartbeat = Heartbeat()
        self._events = EventPublisher(bus_log, name=name, log=log)

    async def run(self, stop: Stop) -> None:
        """Process windows until a stop is requested, then finish those in progress."""
        # One more than can be computed, so that the next window is decoded while threads are busy.
        concurrency = int(self._limiter.total_tokens) + 1
        turn = anyio.Lock(fast_acquire=True)
        async with (
            self._bus_log.consume(storage.WINDOWS, storage.COMPUTE_WINDOWS) as consumer,
            anyio.create_task_group() as background,
        ):
            background.start_soon(self._heartbeat.run)
            background.start_soon(self._events.run)
            async with anyio.create_task_group() as tasks:
                for _ in range(concurrency):
                    tasks.start_soon(self._take_and_serve, consumer, turn, stop)
            background.cancel_scope.cancel()
        await self._events.flush()

    async def _take_and_serve(self, consumer: Consumer, turn: anyio.Lock, stop: Stop) -> None:
        """Process one window at a time; only one task waits for the next window."""
        while True:
            async with turn:
                delivery = await stop.run_until_stopped(consumer.next)
            if delivery is None:
                return
            await self._serve(delivery)

    async def _serve(self, delivery: Delivery) -> None:
        try:
            await self.handle(delivery)
        except BusError as error:
            # Nothing was acknowledged: the window is redelivered after the deadline.
            self._log.warning(Action.BUS_ERROR, detail=str(error))
        except Exception as error:  # noqa: BLE001 - no message may crash the worker
            self._log.error(Action.WINDOW_RETRIED, exc=error, seq=delivery.stored.seq)
            with suppress(BusError):
                await delivery.nak(self._policy.max_delay_s)

    async def handle(self, delivery: Delivery) -> None:
        """Process one delivery to one of its three outcomes."""
        if self._policy.max_tries is not None and delivery.deliveries > self._policy.max_tries:
            reason = f"delivered {delivery.deliveries} times and never finished"
            await self._give_up(delivery, reason)
            return
        message = delivery.stored.message
        try:
            kind = content_type_of(message.headers)
            window = await read_body(len(message.data), decode, AnalysisWindow, message.data, kind)
            age_s = _stale_age_s(window)
            with (
                self._heartbeat.of(delivery),
                span("compute window", message.headers, stream=window.stream, window=window.id),
            ):
                computed_ns = await self._compute_and_store(window, age_s)
        except BusError:
            raise
        except (ContractError, ValueError) as error:
            # The window is invalid on every worker.
            await self._give_up(delivery, getattr(error, "message", str(error)))
        except Exception as error:  # noqa: BLE001 - the window needs an outcome in any case
            await self._failed(delivery, error)
        else:
            await delivery.ack()
            metrics.WINDOWS_COMPUTED.labels(
                window.analysis.op, "computed" if age_s is None else "stale"
            ).inc()
            metrics.WINDOW_LATENCY.observe((computed_ns - window.times_ns.received) / NANOSECONDS)

    async def _compute_and_store(self, window: AnalysisWindow, age_s: float | None) -> int:
        """Compute and store all results; return the time at which they were computed."""
        compute = self._timed_compute if age_s is None else partial(self._drop, age_s)
        bodies, events = await self._outcome(compute, window)
        now = time.time_ns()
        await self._store_all(subjects.result(window.stream, window.analysis.name), bodies)
        for event in events:
            await self._events.publish(event)
        return now

    async def _outcome(
        self, compute: Callable[[AnalysisWindow], Outcome], window: AnalysisWindow
    ) -> Outcome:
        """Compute under the thread budget, on the event loop if short, else in a thread."""
        if self._inline.runs_inline(_kind(window)):
            borrower = object()
            try:
                self._limiter.acquire_on_behalf_of_nowait(borrower)
            except anyio.WouldBlock:
                pass  # the budget is exhausted: wait for it below
            else:
                try:
                    return compute(window)
                finally:
                    self._limiter.release_on_behalf_of(borrower)
        return await anyio.to_thread.run_sync(compute, window, limiter=self._limiter)

    async def _store_all(self, subject: str, bodies: Bodies) -> None:
        """Store results by id, with limited concurrency; return when all are stored."""
        if len(bodies) == 1:
            ((msg_id, body),) = bodies
            await self._store_body(subject, body, msg_id=msg_id)
            return

        async def store(result: tuple[str, bytes]) -> None:
            msg_id, body = result
            await self._store_body(subject, body, msg_id=msg_id)

        await publish_all(bodies, store, limit=STORES_IN_FLIGHT)

    def _timed_compute(self, window: AnalysisWindow) -> Outcome:
        started = time.perf_counter()
        with metrics.WORKERS_BUSY.track_inprogress():
            results = self._compute(window, self._provenance())
            bodies = self._encoded(results)
            now_ns = time.time_ns()
            events = (
                *flat_events(window, results, now_ns=now_ns),
                *dependence_events(window, results, now_ns=now_ns),
            )
        seconds = time.perf_counter() - started
        metrics.WINDOW_SECONDS.labels(window.analysis.op).observe(seconds)
        self._inline.record(_kind(window), seconds)
        return bodies, events

    def _drop(self, age_s: float, window: AnalysisWindow) -> Outcome:
        bodies = self._encoded(drop_window(window, self._provenance()))
        return bodies, (stale_event(window, age_s=age_s, now_ns=time.time_ns()),)

    def _provenance(self) -> Provenance:
        return Provenance(worker=self._name, computed_ns=time.time_ns())

    def _encoded(self, results: Sequence[LiveResult]) -> Bodies:
        """Return ids and encoded bodies of results, with the time of completion."""
        now = time.time_ns()
        bodies = []
        for result in results:
            times = result.times_ns.model_copy(update={"computed": now})
            done = result.model_copy(update={"times_ns": times})
            bodies.append((result.id, encode(done, ContentType.MSGPACK)))
        return bodies

    async def _failed(self, delivery: Delivery, error: Exception) -> None:
        decision = decide(self._policy, tries=delivery.deliveries, transient=True)
        if isinstance(decision, GiveUp):
            self._log.error(Action.WINDOW_DEAD, exc=error, seq=delivery.stored.seq)
            await self._give_up(delivery, f"{decision.reason}: {type(error).__name__}")
            return
        self._log.warning(
            Action.WINDOW_RETRIED,
            seq=delivery.stored.seq,
            tries=delivery.deliveries,
            detail=f"{type(error).__name__}: {error}",
        )
        await delivery.nak(decision.delay_s)

    async def _give_up(self, delivery: Delivery, reason: str) -> None:
        """Store a dead letter and an event, then remove the window from the queue."""
        stored = delivery.stored
        event = dropped_event(stored, reason, now_ns=time.time_ns())
        await store_dead_letter(
            self._bus_log, delivery, reason, queue=storage.WINDOWS, log=self._log
        )
        await self._events.publish(event)
        await terminate(delivery, reason)
        self._log.error(Action.WINDOW_DEAD, seq=stored.seq, reason=reason)
        metrics.WINDOWS_COMPUTED.labels("any", "dead").inc()

    async def _store_body(self, subject: str, body: bytes, *, msg_id: str) -> None:
        await publish_with_retry(
            self._bus_log,
            subject,
            body,
            msg_id=msg_id,
            headers={CONTENT_TYPE: ContentType.MSGPACK.value, **trace_headers()},
            log=self._log,
        )


class InlinePolicy:
    """Decide by the last window of each kind whether to compute on the event loop.

    Parameters
    ----------
    short_s
        Maximum time of a short window, seconds.
    """

    def __init__(self, short_s: float = SHORT_S) -> None:
        self._short_s = short_s
        self._seconds: OrderedDict[Hashable, float] = OrderedDict()

    def runs_inline(self, kind: Hashable) -> bool:
        """Return whether the last window of this kind was short; False for a new kind."""
        return self._seconds.get(kind, float("inf")) <= self._short_s

    def record(self, kind: Hashable, seconds: float) -> None:
        """Record the computation time of a window of this kind."""
        self._seconds[kind] = seconds
        self._seconds.move_to_end(kind)
        if len(self._seconds) > KINDS:
            self._seconds.popitem(last=False)


def _kind(window: AnalysisWindow) -> tuple[str, int, int]:
    return window.spec_hash, window.octave, window.n_samples


def _stale_age_s(window: AnalysisWindow) -> float | None:
    """Return the age of the window's samples if it exceeds the limit of the stream, else None."""
    if window.stale_after_s is None:
        return None
    age_s = (time.time_ns() - window.times_ns.received) / NANOSECONDS
    return age_s if age_s > window.stale_after_s else None
