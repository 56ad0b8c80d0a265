"""A worker's share of the window queue: take, compute, keep the result, acknowledge.

Every way out of a window is one of three: acknowledged after all its results are kept; handed back
with a delay; given up, which leaves a dead letter and an event, alone or in a sum. A worker that
dies does none of them, and after the acknowledgement deadline the server hands the window to
another.

Computing is done in threads, off the loop. Only a window of a kind that was computed within a few
milliseconds before is computed where it is: handing it over would take longer than its work.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from functools import partial

import anyio
import anyio.to_thread

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
from cwt_schemas.live import AnalysisResult, AnalysisWindow, StreamEvent

__all__ = ["InlinePolicy", "WindowWorker"]

NANOSECONDS = 1_000_000_000

Compute = Callable[[AnalysisWindow, Provenance], Sequence[AnalysisResult]]
#: Ids and bodies of results.
Bodies = list[tuple[str, bytes]]
#: Results and events that are stored for one window.
Outcome = tuple[Bodies, tuple[StreamEvent, ...]]

#: Results of one window on their way to the server at the same time.
STORES_IN_FLIGHT = 16

#: What may be computed on the event loop: as much as the decoding of a large message takes there.
#: Handing over to a thread and back costs up to 0.6 ms after an idle moment, see decision 47.
SHORT_S = 0.003
#: Kinds remembered, the least recent is forgotten: an octave of one analysis is one.
KINDS = 4096


class WindowWorker:
    """Computes windows, at most as many at once as the limiter has tokens.

    Parameters
    ----------
    bus_log
        Where windows come from and results go.
    name
        Goes into the provenance of every result.
    limiter
        The process's budget of computing threads, shared with the queries.
    max_tries
        Deliveries before a window is given up.
    compute
        The work itself.
    inline
        Decides what is computed without a thread.
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
        """Take windows until asked to stop, then finish those under way."""
        # One more than can be computed: the next window is decoded while the threads are busy.
        at_once = int(self._limiter.total_tokens) + 1
        turn = anyio.Lock(fast_acquire=True)
        async with (
            self._bus_log.consume(storage.WINDOWS, storage.COMPUTE_WINDOWS) as consumer,
            anyio.create_task_group() as background,
        ):
            background.start_soon(self._heartbeat.run)
            background.start_soon(self._events.run)
            async with anyio.create_task_group() as tasks:
                for _ in range(at_once):
                    tasks.start_soon(self._take_and_serve, consumer, turn, stop)
            background.cancel_scope.cancel()
        await self._events.flush()

    async def _take_and_serve(self, consumer: Consumer, turn: anyio.Lock, stop: Stop) -> None:
        """Serve one window after the other; they are waited for in turns."""
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
            # Nothing was acknowledged: the window is handed out again after the deadline.
            self._log.warning(Action.BUS_ERROR, detail=str(error))
        except Exception as error:  # noqa: BLE001 - no message may take the worker with it
            self._log.error(Action.WINDOW_RETRIED, exc=error, seq=delivery.stored.seq)
            with suppress(BusError):
                await delivery.nak(self._policy.max_delay_s)

    async def handle(self, delivery: Delivery) -> None:
        """Bring one delivery to one of its three ends."""
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
            # The same window would be refused again, here and everywhere.
            await self._give_up(delivery, getattr(error, "message", str(error)))
        except Exception as error:  # noqa: BLE001 - whatever it was, the window gets an end
            await self._failed(delivery, error)
        else:
            await delivery.ack()
            metrics.WINDOWS_COMPUTED.labels(
                window.analysis.op, "computed" if age_s is None else "stale"
            ).inc()
            metrics.WINDOW_LATENCY.observe((computed_ns - window.times_ns.received) / NANOSECONDS)

    async def _compute_and_store(self, window: AnalysisWindow, age_s: float | None) -> int:
        """Return when the results were computed, after all of them are kept."""
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
        """Compute under the thread budget; here if that is short, else in a thread."""
        if self._inline.runs_inline(_kind(window)):
            borrower = object()
            try:
                self._limiter.acquire_on_behalf_of_nowait(borrower)
            except anyio.WouldBlock:
                pass  # the budget is spent: wait for it below
            else:
                try:
                    return compute(window)
                finally:
                    self._limiter.release_on_behalf_of(borrower)
        return await anyio.to_thread.run_sync(compute, window, limiter=self._limiter)

    async def _store_all(self, subject: str, bodies: Bodies) -> None:
        """Store results by id, some at the same time; return when all are kept."""
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
            events = flat_events(window, results, now_ns=time.time_ns())
        seconds = time.perf_counter() - started
        metrics.WINDOW_SECONDS.labels(window.analysis.op).observe(seconds)
        self._inline.record(_kind(window), seconds)
        return bodies, events

    def _drop(self, age_s: float, window: AnalysisWindow) -> Outcome:
        bodies = self._encoded(drop_window(window, self._provenance()))
        return bodies, (stale_event(window, age_s=age_s, now_ns=time.time_ns()),)

    def _provenance(self) -> Provenance:
        return Provenance(worker=self._name, computed_ns=time.time_ns())

    def _encoded(self, results: Sequence[AnalysisResult]) -> Bodies:
        """Return ids and bodies, with the time at which the results were there."""
        now = time.time_ns()
        found = []
        for result in results:
            times = result.times_ns.model_copy(update={"computed": now})
            done = result.model_copy(update={"times_ns": times})
            found.append((result.id, encode(done, ContentType.MSGPACK)))
        return found

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
        """Leave a dead letter and an event, then take the window off the queue."""
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
    """Remembers how long the last window of each kind took.

    Parameters
    ----------
    short_s
        Seconds up to which a window is short.
    """

    def __init__(self, short_s: float = SHORT_S) -> None:
        self._short_s = short_s
        self._seconds: OrderedDict[Hashable, float] = OrderedDict()

    def runs_inline(self, kind: Hashable) -> bool:
        """Return whether the last window of this kind was short; False for a new kind."""
        return self._seconds.get(kind, float("inf")) <= self._short_s

    def record(self, kind: Hashable, seconds: float) -> None:
        """Remember how long a window of this kind took."""
        self._seconds[kind] = seconds
        self._seconds.move_to_end(kind)
        if len(self._seconds) > KINDS:
            self._seconds.popitem(last=False)


def _kind(window: AnalysisWindow) -> tuple[str, int, int]:
    return window.spec_hash, window.octave, window.n_samples


def _stale_age_s(window: AnalysisWindow) -> float | None:
    """Return how old the window's samples are if that is too old for its stream."""
    if window.stale_after_s is None:
        return None
    age_s = (time.time_ns() - window.times_ns.received) / NANOSECONDS
    return age_s if age_s > window.stale_after_s else None
