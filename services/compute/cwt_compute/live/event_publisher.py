"""Publish the events of windows; those of dropped windows at the bounded rate of a stream.

A worker that drops every window of a stream would publish as many events. Of those, it publishes
what `EventRate` admits, and one event a second with the sum of the others. The rate is that of one
worker, since workers do not know of each other's windows.

A dropped window is taken off its queue before the sum that it is part of is stored. A worker that
is killed loses the sums that wait; the dead letters and the masked results are stored by then.

Events of flat channels are published as they are. All analyses that see one publish it under the
same id, so no worker could count them; `flat_events` limits how many a window has.
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

#: Pause between two looks for sums that have their turn; with the wait for it, a dropped window is
#: reported within 1.5 s. Removing a recording waits longer than that for new events.
LOOK_S = INTERVAL_S / 2


class EventPublisher:
    """Publishes the events of one worker.

    Parameters
    ----------
    bus_log
        Where events are stored.
    name
        The worker's name, which is part of the ids of sums.
    """

    def __init__(self, bus_log: DurableLog, *, name: str, log: Log) -> None:
        self._bus_log = bus_log
        self._name = name
        self._log = log
        #: By stream; only those that have published lately.
        self._rates: dict[str, EventRate] = {}
        #: Sums that have their turn and are not stored yet.
        self._sums: deque[StreamEvent] = deque()

    async def publish(self, event: StreamEvent) -> None:
        """Store an event, or add it to those that `run` reports together."""
        if event.kind == "dropped":
            rate = self._rates.setdefault(event.stream, EventRate(()))
            if not rate.admits(event):
                return
        await self._store(event)

    async def run(self) -> None:
        """Publish the sums that have their turn, until cancelled."""
        while True:
            await anyio.sleep(LOOK_S)
            if not self._sums:  # else the last ones could not be stored
                self._collect(quiet=False)
            await self._store_sums()

    async def flush(self) -> None:
        """Publish all sums; no more events are expected."""
        self._collect(quiet=True)
        await self._store_sums()

    def _collect(self, *, quiet: bool) -> None:
        now_ns = time.time_ns()
        for stream, rate in list(self._rates.items()):
            name = f"{stream}/{self._name}/{now_ns}"
            self._sums.extend(rate.due(name, stream, now_ns, quiet=quiet))
            if rate.is_idle(now_ns):
                del self._rates[stream]

    async def _store_sums(self) -> None:
        try:
            while self._sums:
                await self._store(self._sums[0])
                self._sums.popleft()
        except BusError as error:
            # `run` tries again; under their ids, the sums are stored once.
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
