"""Publish the events of windows, with a rate limit for those of dropped windows.

A worker that drops every window of a stream would publish an event for each. It publishes those
that `EventRate` admits, and one event per second that summarises the others. The limit is per
worker, since workers do not know each other's windows.

A dropped window is removed from its queue before its summary event is stored. A worker that is
killed loses pending summaries, but has already stored the dead letters and masked results.

Events of flat channels are published without a rate limit. All analyses that detect one publish it
under the same id, so workers cannot count them; `flat_events` limits their number per window.
"""

from __future__ import annotations

import time
from collections import deque

import anyio

from cwt_runtime.bus import DurableLog
from cwt_runtime.bus.errors import BusError
from cwt_runtime.event_rate import INTERVAL_S, EventRate
from cwt_runtime.storage.publish import publish_with_retry
from cwt_runtime.telemetry.logs import Action, Log
from cwt_schemas import subjects
from cwt_schemas.codec import ContentType, encode
from cwt_schemas.headers import CONTENT_TYPE
from cwt_schemas.live import StreamEvent

__all__ = ["EventPublisher"]

#: Interval of checks for due summaries, seconds. A dropped window is thus reported within 1.5 s.
#: Removing a recording waits longer than that for new events.
LOOK_S = INTERVAL_S / 2


class EventPublisher:
    """Publish the events of one worker.

    Parameters
    ----------
    bus_log
        Log to store events in.
    name
        Name of the worker, which is part of the ids of summaries.
    """

    def __init__(self, bus_log: DurableLog, *, name: str, log: Log) -> None:
        self._bus_log = bus_log
        self._name = name
        self._log = log
        #: Rates of streams with recent events, by stream.
        self._rates: dict[str, EventRate] = {}
        #: Summaries that are due and not yet stored.
        self._summaries: deque[StreamEvent] = deque()

    async def publish(self, event: StreamEvent) -> None:
        """Store an event, or merge it into a summary that `run` publishes."""
        if event.kind == "dropped":
            rate = self._rates.setdefault(event.stream, EventRate(()))
            if not rate.admits(event):
                return
        await self._store(event)

    async def run(self) -> None:
        """Publish summaries when they are due, until cancelled."""
        while True:
            await anyio.sleep(LOOK_S)
            if not self._summaries:  # else storing the last ones failed
                self._collect(quiet=False)
            await self._store_summaries()

    async def flush(self) -> None:
        """Publish all pending summaries; no more events are expected."""
        self._collect(quiet=True)
        await self._store_summaries()

    def _collect(self, *, quiet: bool) -> None:
        now_ns = time.time_ns()
        for stream, rate in list(self._rates.items()):
            name = f"{stream}/{self._name}/{now_ns}"
            self._summaries.extend(rate.due(name, stream, now_ns, quiet=quiet))
            if rate.is_idle(now_ns):
                del self._rates[stream]

    async def _store_summaries(self) -> None:
        try:
            while self._summaries:
                await self._store(self._summaries[0])
                self._summaries.popleft()
        except BusError as error:
            # `run` retries; each summary is stored only once because of its id.
            self._log.warning(Action.BUS_ERROR, detail=str(error))

    async def _store(self, event: StreamEvent) -> None:
        await publish_with_retry(
            self._bus_log,
            subjects.event(event.stream),
            encode(event, ContentType.MSGPACK),
            msg_id=event.id,
            headers={CONTENT_TYPE: ContentType.MSGPACK.value},
            log=self._log,
        )
