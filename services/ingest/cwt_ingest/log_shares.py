"""Limit each stream to a share of the signal log, so that no stream fills it for the others.

JetStream limits the size of the whole log, not that of a subject. One ingest therefore checks the
log once a second; chunks pass through no additional step.

Rules
-----
- While the log has room, a stream may use as much of it as it likes.
- When the log is three quarters full (`TIGHT`), it accepts chunks of defined streams only, and
  chunks of undefined streams are removed. A stream above its share loses its oldest chunks that are
  already analysed. If its chunks that are not analysed exceed the share, further chunks are
  rejected until enough is analysed, with an event `rejected`.
- When the log is nine tenths full (`FULL`), a stream above its share loses its oldest chunks,
  analysed or not, with an event `rejected`. For a log of 4 GiB, a stream that sends 600 MB within a
  second causes this.
- With `defined_only`, chunks of undefined streams are also rejected while the log has room.

The log rejects chunks of a stream when its subjects do not include that of the stream. The server
does not report sizes by subject. The size of a stream is estimated from its number of chunks and
the sizes of a random sample, which is extended while the sum over all streams differs from the size
of the log.
"""

from __future__ import annotations

import math
import random
import time
from collections import deque
from collections.abc import Callable
from statistics import fmean

import anyio

from cwt_ingest.catalogue import read_definition
from cwt_ingest.liveness import assigned_instance
from cwt_ingest.membership import Membership
from cwt_ingest.ownership import checkpoint_key
from cwt_ingest.undefined_streams import MAX_REPORTED, NAMELESS
from cwt_runtime.bus import Bucket, DurableLog, StoredMessage, Usage
from cwt_runtime.bus.errors import BusClosedError, BusError
from cwt_runtime.telemetry import metrics
from cwt_runtime.telemetry.logs import Action, Log
from cwt_schemas import storage, subjects
from cwt_schemas.checkpoint import StreamCheckpoint
from cwt_schemas.codec import ContentType, decode, encode
from cwt_schemas.errors import ContractError
from cwt_schemas.headers import CONTENT_TYPE, MSG_SIZE
from cwt_schemas.live import StreamEvent

__all__ = ["LogShares"]

LOOK_S = 1.0
#: Parts of the log's size: where shares begin to count, where they no longer do, and where other
#: streams may soon be refused.
TIGHT, RELAXED, FULL = 0.75, 0.7, 0.9
#: A stream is cut back to this part of its share, so that it is not cut back with every chunk.
CUT_BACK = 0.9
#: By how much the sum of the estimates may differ from the size of the log, as part of a share.
ACCURACY = 0.1
#: Chunks whose sizes are read at a place of the log, places for a stream that is not known yet, and
#: sizes that are remembered.
AT_A_PLACE, PLACES, REMEMBERED = 16, 4, 256
#: Of a stored message besides its subject, headers and body, and of each header (the server's
#: filestore.go and the NATS protocol).
MESSAGE_BYTES, HEADER_BYTES = 46, 4
#: The process that this name is assigned to checks. It is not a valid name of a stream.
DUTY = ".."
MIB = 1024 * 1024


class LogShares:
    """Keeps each stream to its share of the signal log when the log is short of room.

    Parameters
    ----------
    streams
        The defined streams, as far as this process knows them.
    definitions, checkpoints
        The buckets.
    share
        Part of the log's size that one stream may have.
    defined_only
        Whether chunks of undefined streams are refused also while there is room.
    """

    def __init__(
        self,
        bus_log: DurableLog,
        membership: Membership,
        streams: Callable[[], frozenset[str]],
        definitions: Bucket,
        checkpoints: Bucket,
        log: Log,
        *,
        share: float,
        defined_only: bool,
        look_s: float = LOOK_S,
    ) -> None:
        self._bus_log = bus_log
        self._membership = membership
        self._streams = streams
        self._definitions = definitions
        self._checkpoints = checkpoints
        self._log = log
        self._share = share
        self._defined_only = defined_only
        self._look_s = look_s
        self._random = random.Random()  # noqa: S311 - places in the log
        self._tight = False
        #: Streams whose chunks are refused.
        self._closed: set[str] = set()
        #: Sizes of stored chunks, by stream.
        self._sizes: dict[str, deque[int]] = {}

    async def run(self) -> None:
        """Check until cancelled, also while the log cannot be written, as on a full disk."""
        reported = ""
        while True:
            try:
                await self.check()
                reported = ""
            except BusClosedError:
                raise
            except BusError as error:
                if not error.transient and str(error) != reported:
                    reported = str(error)
                    self._log.warning(Action.BUS_ERROR, stream=storage.SIGNALS, detail=reported)
            await anyio.sleep(self._look_s)

    async def admit(self, stream: str) -> None:
        """Have the log take chunks of a stream that was just defined."""
        taken, subject = await self._taken(), subjects.signal(stream)
        if subjects.SIGNALS not in taken and subject not in taken:
            await self._bus_log.accept(storage.SIGNALS, (*taken, subject))

    async def _taken(self) -> tuple[str, ...]:
        return (await self._bus_log.usage(storage.SIGNALS)).subjects

    async def check(self) -> None:
        """Check once, if this process is the one that does."""
        mine = assigned_instance(DUTY, self._membership.instances) == self._membership.instance
        usage = await self._bus_log.usage(storage.SIGNALS) if mine else Usage(size_bytes=0)
        threshold = RELAXED if self._tight else TIGHT
        self._tight = usage.size_bytes >= threshold * (usage.max_bytes or math.inf)
        taken = usage.subjects
        if self._tight:
            # First, so that no undefined stream is added while those in the log are removed.
            taken = await self._accept(taken)
            await self._make_room(usage)
        else:
            self._closed.clear()
            self._sizes.clear()
        if mine:
            await self._accept(taken)

    async def _accept(self, taken: tuple[str, ...]) -> tuple[str, ...]:
        """Have the log take what it should take; return that."""
        if set(taken) == self._wanted(self._streams()):
            return taken
        # This process may not know yet of a stream that was just defined.
        wanted = tuple(sorted(self._wanted(frozenset(await self._definitions.keys()))))
        if set(taken) != set(wanted):
            await self._bus_log.accept(storage.SIGNALS, wanted)
        return wanted

    def _wanted(self, defined: frozenset[str]) -> set[str]:
        if not self._tight and not self._defined_only:
            return {subjects.SIGNALS}
        return {subjects.signal(each) for each in defined - self._closed} or {subjects.NO_SIGNALS}

    async def _make_room(self, usage: Usage) -> None:
        counts: dict[str, int] = {}
        undefined = 0
        found = await self._bus_log.subject_counts(storage.SIGNALS, subjects.SIGNALS)
        for subject, count in found.items():
            stream = _stream_of(subject)
            # What was defined a moment ago may not have come round yet.
            if stream is not None and (
                stream in self._streams() or await self._definitions.get(stream) is not None
            ):
                counts[stream] = count
            else:
                await self._bus_log.purge(storage.SIGNALS, subject)
                if stream is not None and undefined < MAX_REPORTED:
                    undefined += 1
                    await self._report_undefined(stream, count, usage)
        share = self._share * (usage.max_bytes or math.inf)
        estimate = sum(count * self._mean_size(stream) for stream, count in counts.items())
        if abs(usage.size_bytes - estimate) > ACCURACY * share:
            for stream in counts:
                await self._read_sizes(stream, usage)
        for stream, count in counts.items():
            await self._limit(stream, count, share, usage)

    async def _report_undefined(self, stream: str, count: int, usage: Usage) -> None:
        detail = f"{_fullness(usage)}: {count} chunks of {stream}, which is not defined, "
        await self._report(stream, f"{detail}were removed", usage)

    async def _limit(self, stream: str, count: int, share: float, usage: Usage) -> None:
        chunk_bytes = self._mean_size(stream)
        held = count * chunk_bytes
        if held <= share * (CUT_BACK if stream in self._closed else 1):
            self._closed.discard(stream)
            return
        most = int(share * CUT_BACK / chunk_bytes)
        needed_from = await self._needed_from(stream)
        needed = await self._count_from(stream, needed_from)
        subject, lost = subjects.signal(stream), max(needed - most, 0)
        if usage.size_bytes >= FULL * (usage.max_bytes or math.inf):
            await self._bus_log.purge(storage.SIGNALS, subject, keep=max(most, 1))
        elif needed <= most / 2:  # far from what may come while this is asked
            await self._bus_log.purge(storage.SIGNALS, subject, keep=most)
            lost = 0
        else:
            await self._bus_log.purge(storage.SIGNALS, subject, before_seq=needed_from)
            await self._close(stream, needed, needed * chunk_bytes, share, usage)
            return
        self._closed.discard(stream)
        if lost:
            detail = f"{_fullness(usage)} and held {_mib(held)} of {stream}, whose share is "
            detail += f"{_mib(share)} (CWT_SIGNALS_SHARE): its {lost} oldest chunks that were not "
            await self._report(stream, f"{detail}analysed yet were removed", usage)

    async def _close(
        self, stream: str, needed: int, held: float, share: float, usage: Usage
    ) -> None:
        """Refuse further chunks if those that are not analysed yet have more than the share."""
        if held <= share * CUT_BACK:
            self._closed.discard(stream)
            return
        if stream in self._closed:
            return
        self._closed.add(stream)
        detail = f"{_fullness(usage)} and holds {_mib(held)} of {stream} in {needed} chunks that "
        detail += f"are not analysed yet; its share is {_mib(share)} (CWT_SIGNALS_SHARE): samples "
        await self._report(stream, f"{detail}are refused until enough is analysed", usage)

    async def _needed_from(self, stream: str) -> int:
        """Return from which sequence on the stream's chunks are not analysed yet."""
        entry = await self._checkpoints.get(checkpoint_key(stream))
        try:
            defined = await read_definition(self._definitions, stream)
            checkpoint = decode(StreamCheckpoint, entry.value, trusted=True) if entry else None
        except ContractError:
            return 1
        if defined is None:
            return 1
        if checkpoint is None or checkpoint.definition_revision != defined.revision:
            return defined.definition.start_seq or 1
        return checkpoint.replay_from_seq

    async def _count_from(self, stream: str, seq: int) -> int:
        first = await self._headers_from(stream, seq, 1)
        return first[0].pending + 1 if first else 0

    def _mean_size(self, stream: str) -> float:
        """Return the bytes of a stored chunk, on average over those that were looked at."""
        sizes = self._sizes.get(stream)
        return fmean(sizes) if sizes else 0.0

    async def _read_sizes(self, stream: str, usage: Usage) -> None:
        sizes = self._sizes.setdefault(stream, deque(maxlen=REMEMBERED))
        places = [self._random.randint(usage.first_seq, usage.last_seq) for _ in range(PLACES)]
        for seq in places[:1] if sizes else [usage.first_seq, *places]:
            sizes.extend(map(_size, await self._headers_from(stream, seq, AT_A_PLACE)))

    async def _headers_from(self, stream: str, seq: int, most: int) -> list[StoredMessage]:
        found: list[StoredMessage] = []
        async with self._bus_log.read(
            storage.SIGNALS, (subjects.signal(stream),), start_seq=seq, headers_only=True
        ) as messages:
            async for stored in messages:
                found.append(stored)
                if len(found) == most:
                    break
        return found

    async def _report(self, stream: str, detail: str, usage: Usage) -> None:
        now_ns = time.time_ns()
        event = StreamEvent(
            id=f"{stream}/{usage.last_seq}/{now_ns}/share",
            stream=stream,
            kind="rejected",
            detail=detail,
            t_ns=now_ns,
        )
        known = stream in self._streams()
        metrics.EVENTS.labels(stream if known else NAMELESS, event.kind).inc()
        self._log.warning(Action.STREAM_EVENT, stream=stream, kind=event.kind, detail=detail)
        await self._bus_log.store(
            subjects.event(stream),
            encode(event, ContentType.MSGPACK),
            msg_id=event.id,
            headers={CONTENT_TYPE: ContentType.MSGPACK.value},
        )


def _stream_of(subject: str) -> str | None:
    try:
        return subjects.stream_of_signal(subject)
    except ContractError:
        return None


def _size(stored: StoredMessage) -> int:
    """Return the bytes that a message takes in the log, which was read without its body."""
    headers = {name: text for name, text in stored.message.headers.items() if name != MSG_SIZE}
    lines = sum(len(name) + len(text) + HEADER_BYTES for name, text in headers.items())
    body = int(stored.message.headers.get(MSG_SIZE, 0))
    return MESSAGE_BYTES + len(stored.message.subject) + lines + body


def _fullness(usage: Usage) -> str:
    return f"the signal log is {100 * usage.size_bytes / (usage.max_bytes or math.inf):.0f} % full"


def _mib(size: float) -> str:
    return f"{size / MIB:.3g} MiB"
