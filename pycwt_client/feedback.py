"""What the system says of a stream while it is published to: its definition, status and events."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

import anyio

from cwt_runtime.bus import Bus
from cwt_runtime.bus.errors import BusError
from cwt_runtime.telemetry.logs import Action
from cwt_schemas import subjects
from cwt_schemas.codec import check_channels, content_type_of, decode, validated
from cwt_schemas.errors import ContractError, NotFound, Unprocessable
from cwt_schemas.live import StreamEvent
from cwt_schemas.stream import StreamGet, StreamStatus
from pycwt_client.log import library_log
from pycwt_client.queries import ask
from pycwt_client.repeats import SeenIds
from pycwt_client.signals import Samples

__all__ = ["MAX_EVENTS", "StreamFeedback", "misgiving"]

#: The server and ingest reply within milliseconds. A device whose user may only publish waits so
#: long once, when its publisher is opened.
OPEN_TIMEOUT_S = 2.0
#: A stream that was just defined may not be known to every server of a cluster yet.
KNOWN_AFTER_S = 0.5
#: Newest events that are kept.
MAX_EVENTS = 1000
#: A publisher that sent a chunk so recently is taken to be still there.
STILL_THERE_S = 5.0

OnEvent = Callable[[StreamEvent], None]


class StreamFeedback:
    """Knows the definition of a stream, and hears its events.

    Parameters
    ----------
    bus
        The connection.
    stream
        The stream's name.
    on_event
        Called with each event; by default it is logged.

    Attributes
    ----------
    status : StreamStatus or None
        As of the last `look`; None where no service replied.
    events : deque of StreamEvent
        The newest ones that were heard.
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
        """Ask for the status; where no service replies, keep what is known.

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
        """Look for the first time, and log what speaks against publishing `epoch`.

        Raises
        ------
        NotFound
            The stream is not defined, and has to be: `defined`.
        """
        with anyio.move_on_after(OPEN_TIMEOUT_S):
            await self._listening.wait()
        try:
            await self._look_twice()
        except NotFound:
            if defined:
                raise NotFound(
                    f"no stream is called {self._stream}: define it with put_stream before "
                    "publishing to it, or publish with defined=False to define it later"
                ) from None
        if self.status is not None:
            found = misgiving(self.status, epoch, now_ns=time.time_ns())
            if found is not None:
                self._log.warning(Action.STREAM_EVENT, stream=self._stream, detail=found)

    def known_samples(self, epoch: str) -> int:
        """Return where ingest stood in `epoch` at the last `look`; 0 if it was in another one."""
        if self.status is None or self.status.epoch != epoch:
            return 0
        return self.status.next_sample or 0

    async def listen(self) -> None:
        """Hear events until cancelled, or until the connection is closed."""
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
                        continue  # of a version to come
                    if seen.is_new(event):
                        self.events.append(event)
                        self._on_event(event)
        except BusError:
            self._listening.set()

    async def check_channels(self, samples: Samples) -> None:
        """Refuse samples (time,) or (time, channel) with other channels than the stream's.

        Raises
        ------
        Unprocessable
            With both numbers.
        NotFound
            The stream was deleted meanwhile.
        """
        if self.status is None:
            return
        try:
            check_channels(samples, len(self.status.definition.channels))
        except Unprocessable:
            await self.look()  # it may have been defined anew
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
    """Return in a sentence what speaks against publishing `epoch` to a stream now; None: nothing.

    That is an epoch that has ended, or another publisher that seems to be still there.
    """
    stream, present = status.definition.name, status.epoch
    if epoch in status.ended_epochs:
        where = f" at sample {status.next_sample}" if epoch == present else ""
        return (
            f"epoch {epoch} of {stream} has ended{where}, and samples that come now are refused: "
            "publish under another epoch"
        )
    if present is None or status.last_chunk_ns is None or present in status.ended_epochs:
        return None
    ago_s = max(now_ns - status.last_chunk_ns, 0) / 1e9
    if ago_s > STILL_THERE_S:
        return None
    found = f"epoch {present} of {stream} received samples {ago_s:.1f} s ago"
    if epoch == present:
        return f"{found}: another publisher may still send it"
    return (
        f"{found}: if another publisher still sends it, one of the two is refused. "
        f"Stop the other one, or publish {epoch} to another stream"
    )
