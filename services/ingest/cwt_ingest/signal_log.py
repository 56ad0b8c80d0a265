"""Guard the signal log: report chunks of undefined streams, and limit streams to their share of it.

JetStream limits the size of the whole log, not that of a subject. One ingest therefore checks the
log once a second; chunks pass through no additional step.

Rules
-----
- New chunks of an undefined stream are reported, so that a device with a wrong name is found.
- While the log has room, a stream may use as much of it as it likes.
- When the log is three quarters full (`TIGHT`), it accepts chunks of defined streams only, and
  chunks of undefined streams are removed. A stream above its share loses its oldest chunks that are
  already analysed. If its chunks that are not analysed exceed the share, further chunks are
  rejected until enough is analysed.
- When the log is nine tenths full (`FULL`), a stream above its share loses its oldest chunks,
  analysed or not. For a log of 4 GiB, a stream that sends 600 MB within a second causes this.
- With `defined_only`, chunks of undefined streams are also rejected while the log has room.
- Whatever is rejected, or removed before it is analysed, causes an event `rejected`.

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
from collections.abc import Callable, Mapping
from statistics import fmean

import anyio

from cwt_ingest.catalogue import read_definition
from cwt_ingest.liveness import assigned_instance
from cwt_ingest.membership import Membership
from cwt_ingest.ownership import checkpoint_key
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

__all__ = ["SignalLogGuard", "new_undefined_chunks"]

#: Interval of the checks, seconds.
CHECK_S = 1.0
#: Maximum number of undefined streams reported per check; a client may invent any number of names.
MAX_REPORTED = 100
#: Name for events about chunks whose subject is not a valid stream name.
NAMELESS = "nameless"
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
#: Key that assigns the checks to one process; not a valid stream name.
DUTY = "."
MIB = 1024 * 1024


def new_undefined_chunks(
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
    new: dict[str, int] = {}
    for subject, count in now.items():
        more = count - before.get(subject, 0)
        stream = _stream_of(subject)
        if more > 0 and stream not in defined and (stream in new or len(new) < MAX_REPORTED):
            new[stream] = new.get(stream, 0) + more
    return new


class SignalLogGuard:
    """Report chunks of undefined streams, and keep each stream to its share of the signal log.

    Parameters
    ----------
    streams
        The defined streams, as far as this process knows them.
    definitions, checkpoints
        The buckets.
    share
        Part of the log's size that one stream may have.
    defined_only
        Whether chunks of undefined streams are rejected also while there is room.
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
        check_s: float = CHECK_S,
    ) -> None:
        self._bus_log = bus_log
        self._membership = membership
        self._streams = streams
        self._definitions = definitions
        self._checkpoints = checkpoints
        self._log = log
        self._share = share
        self._defined_only = defined_only
        self._check_s = check_s
        self._random = random.Random()  # noqa: S311 - places in the log
        self._tight = False
        #: Streams whose chunks are rejected.
        self._closed: set[str] = set()
        #: Sizes of stored chunks, by stream.
        self._sizes: dict[str, deque[int]] = {}
        #: Messages by subject at the last check, and the log's newest sequence; None before it.
        self._counts: Mapping[str, int] = {}
        self._last_seq: int | None = None

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
            await anyio.sleep(self._check_s)

    async def accept(self, stream: str) -> None:
        """Have the log accept chunks of a stream that was just defined."""
        accepted = (await self._bus_log.usage(storage.SIGNALS)).subjects
        subject = subjects.signal(stream)
        if subjects.SIGNALS not in accepted and subject not in accepted:
            await self._bus_log.accept(storage.SIGNALS, (*accepted, subject))

    async def check(self) -> None:
        """Check once; a process that the checks are not assigned to only counts the messages."""
        usage = await self._bus_log.usage(storage.SIGNALS)
        mine = assigned_instance(DUTY, self._membership.instances) == self._membership.instance
        threshold = (RELAXED if self._tight else TIGHT) * (usage.max_bytes or math.inf)
        self._tight = mine and usage.size_bytes >= threshold
        if self._tight:
            # First, so that no undefined stream is added while those in the log are removed.
            accepted = await self._accept_wanted(usage.subjects)
            await self._make_room(usage)
        else:
            accepted = usage.subjects
            self._closed.clear()
            self._sizes.clear()
            await self._watch_undefined(usage, report=mine)
        if mine:
            await self._accept_wanted(accepted)

    async def _accept_wanted(self, accepted: tuple[str, ...]) -> tuple[str, ...]:
        """Have the log accept the subjects that it should; return them."""
        if set(accepted) == self._wanted(self._streams()):
            return accepted
        # This process may not know yet of a stream that was just defined.
        wanted = tuple(sorted(self._wanted(frozenset(await self._definitions.keys()))))
        if set(accepted) != set(wanted):
            await self._bus_log.accept(storage.SIGNALS, wanted)
        return wanted

    def _wanted(self, defined: frozenset[str]) -> set[str]:
        if not self._tight and not self._defined_only:
            return {subjects.SIGNALS}
        return {subjects.signal(each) for each in defined - self._closed} or {subjects.NO_SIGNALS}

    async def _is_defined(self, stream: str) -> bool:
        # The watch of the definitions may not have reported a new one yet.
        return stream in self._streams() or (
            stream != NAMELESS and await self._definitions.get(stream) is not None
        )

    async def _watch_undefined(self, usage: Usage, *, report: bool) -> None:
        """Report the undefined streams that have new chunks; the first check only counts."""
        if usage.last_seq == self._last_seq:
            return
        counts = await self._bus_log.subject_counts(storage.SIGNALS, subjects.SIGNALS)
        is_first, before = self._last_seq is None, self._counts
        self._last_seq, self._counts = usage.last_seq, counts
        if is_first or not report:
            return
        for stream, count in new_undefined_chunks(before, counts, self._streams()).items():
            if not await self._is_defined(stream):
                await self._report_undefined(stream, f"{_chunks(count)} stored", usage)

    async def _make_room(self, usage: Usage) -> None:
        """Remove the chunks of undefined streams, and those of streams above their share."""
        counts = await self._bus_log.subject_counts(storage.SIGNALS, subjects.SIGNALS)
        defined: dict[str, int] = {}
        undefined: dict[str, int] = {}
        for subject, count in counts.items():
            stream = _stream_of(subject)
            if await self._is_defined(stream):
                defined[stream] = count
            else:
                await self._bus_log.purge(storage.SIGNALS, subject)
                undefined[stream] = undefined.get(stream, 0) + count
        self._last_seq = usage.last_seq
        self._counts = {subjects.signal(stream): count for stream, count in defined.items()}
        for stream, count in list(undefined.items())[:MAX_REPORTED]:
            removed = f"{_fullness(usage)}: {_chunks(count)} removed"
            await self._report_undefined(stream, removed, usage)
        share = self._share * (usage.max_bytes or math.inf)
        estimate = sum(count * self._mean_size(stream) for stream, count in defined.items())
        if abs(usage.size_bytes - estimate) > ACCURACY * share:
            for stream in defined:
                await self._read_sizes(stream, usage)
        for stream, count in defined.items():
            await self._limit(stream, count, share, usage)

    async def _report_undefined(self, stream: str, change: str, usage: Usage) -> None:
        advice = f"stream {stream} is not defined: define it with cwt.stream.put, then publish"
        if stream == NAMELESS:
            advice = "the subject has no valid stream name: use cwt.signal.<name>, with "
            advice += "A-Z a-z 0-9 _ -"
        await self._report(stream, f"{change}; {advice}", usage)

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
        """Reject further chunks if those that are not analysed yet have more than the share."""
        if held <= share * CUT_BACK:
            self._closed.discard(stream)
            return
        if stream in self._closed:
            return
        self._closed.add(stream)
        detail = f"{_fullness(usage)} and holds {_mib(held)} of {stream} in {needed} chunks that "
        detail += f"are not analysed yet; its share is {_mib(share)} (CWT_SIGNALS_SHARE): samples "
        await self._report(stream, f"{detail}are rejected until enough is analysed", usage)

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
        event = StreamEvent(
            id=f"{stream}/{usage.last_seq}/rejected",
            stream=stream,
            kind="rejected",
            detail=detail,
            t_ns=time.time_ns(),
        )
        # Any client can invent names, and each label of a metric takes memory.
        label = stream if stream in self._streams() else NAMELESS
        metrics.EVENTS.labels(label, event.kind).inc()
        self._log.warning(Action.STREAM_EVENT, stream=stream, kind=event.kind, detail=detail)
        await self._bus_log.store(
            subjects.event(stream),
            encode(event, ContentType.MSGPACK),
            msg_id=event.id,
            headers={CONTENT_TYPE: ContentType.MSGPACK.value},
        )


def _stream_of(subject: str) -> str:
    try:
        return subjects.stream_of_signal(subject)
    except ContractError:
        return NAMELESS


def _chunks(count: int) -> str:
    return "1 chunk was" if count == 1 else f"{count} chunks were"


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
