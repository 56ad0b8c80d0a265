"""Report chunks of streams that are not defined, so that a device with a wrong name is found."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import anyio

from cwt_ingest.liveness import assigned_instance
from cwt_ingest.membership import Membership
from cwt_runtime.bus import Bucket, DurableLog
from cwt_runtime.bus.errors import BusError
from cwt_runtime.telemetry import metrics
from cwt_runtime.telemetry.logs import Action, Log
from cwt_schemas import storage, subjects
from cwt_schemas.codec import ContentType, encode
from cwt_schemas.errors import ContractError
from cwt_schemas.headers import CONTENT_TYPE
from cwt_schemas.live import StreamEvent

__all__ = ["UndefinedStreamMonitor", "undefined_counts"]

#: Interval of checks of the log, seconds.
LOOK_S = 1.0
#: Maximum number of names per report; an unknown device may use any number of names.
MAX_REPORTED = 100
#: Name for events about chunks whose subject is not a valid stream name.
NAMELESS = "nameless"
#: Key that assigns the check to one process; not a valid stream name.
DUTY = "."


def undefined_counts(
    before: Mapping[str, int], now: Mapping[str, int], defined: frozenset[str]
) -> dict[str, int]:
    """Return the number of new chunks of undefined streams, by stream name.

    Parameters
    ----------
    before, now
        Number of messages in the log by subject, at the last check and now.
    defined
        The defined streams.
    """
    found: dict[str, int] = {}
    for subject, count in now.items():
        more = count - before.get(subject, 0)
        stream = _stream(subject)
        if more > 0 and stream not in defined and (stream in found or len(found) < MAX_REPORTED):
            found[stream] = found.get(stream, 0) + more
    return found


class UndefinedStreamMonitor:
    """Watch the signal log, and report chunks of undefined streams."""

    def __init__(
        self,
        bus_log: DurableLog,
        membership: Membership,
        streams: Callable[[], frozenset[str]],
        definitions: Bucket,
        log: Log,
        *,
        look_s: float = LOOK_S,
    ) -> None:
        self._bus_log = bus_log
        self._membership = membership
        self._streams = streams
        self._definitions = definitions
        self._log = log
        self._look_s = look_s
        self._last_seq: int | None = None
        self._counts: Mapping[str, int] = {}

    async def run(self) -> None:
        """Check until cancelled."""
        while True:
            try:
                await self._look()
            except BusError as error:
                if not error.transient:
                    raise
            await anyio.sleep(self._look_s)

    async def _look(self) -> None:
        last = await self._bus_log.last_seq(storage.SIGNALS)
        if last == self._last_seq:
            return
        counts = await self._bus_log.subject_counts(storage.SIGNALS, subjects.SIGNALS)
        first_look, before = self._last_seq is None, self._counts
        self._last_seq, self._counts = last, counts
        mine = assigned_instance(DUTY, self._membership.instances) == self._membership.instance
        if mine and not first_look:
            for stream, count in undefined_counts(before, counts, self._streams()).items():
                # The watch may not have reported a new definition yet.
                if stream == NAMELESS or await self._definitions.get(stream) is None:
                    await self._tell(stream, count, last)

    async def _tell(self, stream: str, count: int, last_seq: int) -> None:
        what = "the subject has no valid stream name: use cwt.signal.<name>, with A-Z a-z 0-9 _ -"
        if stream != NAMELESS:
            what = f"stream {stream} does not exist: define it with cwt.stream.put, then publish"
        event = StreamEvent(
            id=f"{stream}/{last_seq}/rejected",
            stream=stream,
            kind="rejected",
            detail=f"{count} chunk{'s' if count > 1 else ''} arrived, but {what}",
            t_ns=time.time_ns(),
        )
        metrics.EVENTS.labels(NAMELESS, event.kind).inc()  # any client can invent names
        self._log.info(Action.STREAM_EVENT, stream=stream, kind=event.kind, detail=event.detail)
        await self._bus_log.store(
            subjects.event(stream),
            encode(event, ContentType.MSGPACK),
            msg_id=event.id,
            headers={CONTENT_TYPE: ContentType.MSGPACK.value},
        )


def _stream(subject: str) -> str:
    try:
        return subjects.stream_of_signal(subject)
    except ContractError:
        return NAMELESS
