"""Definition, status and events of a stream that a publisher needs."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

import anyio

from cwt_runtime.bus import Bus
from cwt_runtime.bus.errors import BusError
from cwt_runtime.telemetry.logs import Action
from cwt_schemas import subjects
from cwt_schemas.chunk_codec import check_channels
from cwt_schemas.codec import content_type_of, decode, validated
from cwt_schemas.errors import ContractError, NotFound, Unprocessable
from cwt_schemas.live import StreamEvent
from cwt_schemas.stream import StreamGet, StreamStatus
from pycwt_client.log import library_log
from pycwt_client.repeats import SeenIds
from pycwt_client.request import ask
from pycwt_client.signals import Samples

__all__ = ["MAX_EVENTS", "StreamFeedback", "misgiving"]

#: Deadline of the status, seconds. The server and ingest reply within milliseconds. A device whose
#: user may only publish waits for it once, when its publisher is opened.
OPEN_TIMEOUT_S = 2.0
#: Pause before asking again: servers of a cluster may not know a new stream yet, seconds.
KNOWN_AFTER_S = 0.5
#: Number of events to keep, the newest.
MAX_EVENTS = 1000
#: A publisher that sent a chunk within this time is considered active, seconds.
STILL_THERE_S = 5.0

OnEvent = Callable[[StreamEvent], None]


class StreamFeedback:
    """Follow the definition and the events of a stream.

    Parameters
    ----------
    bus
        The connection.
    stream
        The stream's name.
    on_event
        Called with each event; the default logs it.

    Attributes
    ----------
    status : StreamStatus or None
        Status as of the last `look`; None if no service replied.
    events : deque of StreamEvent
        The newest events.
    """

    def __init__(self, bus: Bus, stream: str, on_event: OnEvent | None = None) -> None:
        self._bus = bus
        self._stream = stream
        self._on_event = on_event or self._log_event
        self._log = library_log()
        self._listening = anyio.Event()
        self.status: StreamStatus | None = None
        self.events: deque[StreamEvent] = deque(maxlen=MAX_EVENTS)

    async def look(self, *, timeout_s: float = OPEN_TIMEOUT_S) -> None:
        """Request the status; without a reply, keep the last one.

        Raises
        ------
        NotFound
            The stream is not defined.
        """
        request = validated(StreamGet, {"name": self._stream})
        try:
            self.status = await ask(
                self._bus, subjects.stream("get"), request, StreamStatus, timeout_s=timeout_s
            )
        except NotFound:
            raise
        except ContractError as error:
            self._log.debug(Action.REQUEST_FAILED, stream=self._stream, detail=error.message)

    async def begin(self, epoch: str, *, defined: bool) -> None:
        """Look for the first time, and log a warning if publishing `epoch` is a problem.

        Raises
        ------
        NotFound
            `defined` is true, and the stream is not defined.
        """
        with anyio.move_on_after(OPEN_TIMEOUT_S):
            await self._listening.wait()
        try:
            await self._look_twice()
        except NotFound:
            if defined:
                raise NotFound(
                    f"cannot publish: stream {self._stream} is not defined; define it with "
                    "put_stream first, or publish with defined=False to define it later"
                ) from None
        if self.status is not None:
            warning = misgiving(self.status, epoch, now_ns=time.time_ns())
            if warning is not None:
                self._log.warning(Action.STREAM_EVENT, stream=self._stream, detail=warning)

    def known_samples(self, epoch: str) -> int:
        """Return the position of ingest in `epoch` at the last `look`; 0 in another epoch."""
        if self.status is None or self.status.epoch != epoch:
            return 0
        return self.status.next_sample or 0

    async def listen(self) -> None:
        """Receive events until cancelled, or until the connection is closed."""
        seen = SeenIds()
        try:
            async with self._bus.subscribe(subjects.event(self._stream)) as subscription:
                self._listening.set()
                async for message in subscription:
                    try:
                        event = decode(
                            StreamEvent,
                            message.data,
                            content_type_of(message.headers),
                            ignore_unknown=True,
                        )
                    except ContractError:
                        continue  # published by a newer version
                    if seen.is_new(event):
                        self.events.append(event)
                        self._on_event(event)
        except BusError:
            self._listening.set()

    async def check_channels(self, samples: Samples) -> None:
        """Check that samples (time,) or (time, channel) have the channels of the stream.

        Raises
        ------
        Unprocessable
            The numbers of channels differ; the message contains both.
        NotFound
            The stream was deleted meanwhile.
        """
        if self.status is None:
            return
        try:
            check_channels(samples, len(self.status.definition.channels))
        except Unprocessable:
            await self.look()  # the stream may have been redefined
            check_channels(samples, len(self.status.definition.channels))

    async def _look_twice(self) -> None:
        try:
            await self.look()
        except NotFound:
            await anyio.sleep(KNOWN_AFTER_S)
            await self.look()

    def _log_event(self, event: StreamEvent) -> None:
        self._log.warning(
            Action.STREAM_EVENT, stream=event.stream, kind=event.kind, detail=event.detail
        )


def misgiving(status: StreamStatus, epoch: str, *, now_ns: int) -> str | None:
    """Return a warning about publishing `epoch` to a stream now, or None.

    The epoch may have ended, or another publisher may still be active.
    """
    stream, present = status.definition.name, status.epoch
    if epoch in status.ended_epochs:
        where = f" at sample {status.next_sample}" if epoch == present else ""
        return (
            f"epoch {epoch} of {stream} has ended{where}, and its new samples are refused; "
            "publish under another epoch"
        )
    if present is None or status.last_chunk_ns is None or present in status.ended_epochs:
        return None
    ago_s = max(now_ns - status.last_chunk_ns, 0) / 1e9
    if ago_s > STILL_THERE_S:
        return None
    active = f"epoch {present} of {stream} received samples {ago_s:.1f} s ago"
    if epoch == present:
        return f"{active}; another publisher may still be active"
    return (
        f"{active}; if another publisher is still active, one of the two is refused. "
        f"Stop the other one, or publish {epoch} to another stream"
    )
