"""An ingest without a process, and what the tests of its parts do with it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
import numpy as np

from cwt_ingest.backlog import LagMonitor, WindowBacklog
from cwt_ingest.catalogue import Catalogue, WindowLimits
from cwt_ingest.estimate_publisher import EstimatePublisher
from cwt_ingest.follower import ChunkReader, Follower
from cwt_ingest.liveness import Timing
from cwt_ingest.member import this_process
from cwt_ingest.membership import Membership
from cwt_ingest.ownership import Claim, Ownership, checkpoint_key
from cwt_ingest.processor import StreamProcessor, read_chunk
from cwt_ingest.stream_assignment import StreamAssignment
from cwt_ingest.stream_publisher import WindowQueue
from cwt_runtime.bus import StoreAck
from cwt_runtime.bus.errors import BusTimeoutError, NotStoredError
from cwt_runtime.process.lifecycle import Stop
from cwt_runtime.settings import StorageSettings
from cwt_runtime.storage.topology import system_topology
from cwt_runtime.telemetry.logs import logger
from cwt_schemas import storage, subjects
from cwt_schemas.analysis import AnalysisSpec
from cwt_schemas.checkpoint import StreamCheckpoint
from cwt_schemas.chunk_codec import encode_raw_chunk
from cwt_schemas.codec import ContentType, decode
from cwt_schemas.live import AnalysisWindow, SignalChunk, StreamEvent
from cwt_schemas.stream import Channel, StreamDefinition
from tests.deadlines import fail_after
from tests.memory_bus import MemoryBus
from tests.memory_bus.bucket import MemoryBucket
from tests.memory_bus.log import MemoryLog

MAX_STREAMS = 10
LOG = logger("test")
QUICK = Timing(renew_s=0.01, attempt_s=0.05, give_up_s=30, term_s=60, look_s=0.01)


class PickyBucket(MemoryBucket):
    """Does not answer to releases of streams, on request."""

    #: Releases to come that are lost.
    lost_releases = 0

    async def replace(self, key: str, value: bytes, revision: int) -> int:
        is_checkpoint = key.startswith("stream.")
        if self.lost_releases and is_checkpoint and decode(StreamCheckpoint, value).owner is None:
            self.lost_releases -= 1
            raise BusTimeoutError("nats: timeout")
        return await super().replace(key, value, revision)


class Picky(MemoryLog):
    """Refuses windows for good, or does not count, on request."""

    refuse_windows = False
    #: While it is False, the server is away for those who count.
    counts = True
    #: Requests to count that failed.
    not_counted = 0

    def __init__(self, now_ns: Callable[[], int] = time.time_ns) -> None:
        super().__init__(now_ns)
        self.checkpoints = PickyBucket()

    async def bucket(self, name: str) -> MemoryBucket:
        return self.checkpoints if name == storage.KV_CHECKPOINTS else await super().bucket(name)

    async def subject_counts(self, stream: str, pattern: str) -> Mapping[str, int]:
        if not self.counts:
            self.not_counted += 1
            raise BusTimeoutError("nats: timeout")
        return await super().subject_counts(stream, pattern)

    async def store(
        self,
        subject: str,
        data: bytes,
        *,
        msg_id: str,
        headers: Mapping[str, str] | None = None,
        expect_seq: int | None = None,
    ) -> StoreAck:
        if self.refuse_windows and subject.startswith("cwt.window."):
            raise NotStoredError("message size exceeds maximum allowed")
        return await super().store(
            subject, data, msg_id=msg_id, headers=headers, expect_seq=expect_seq
        )


class Ingest:
    """One process's parts."""

    def __init__(
        self, membership: Membership, assignment: StreamAssignment, catalogue: Catalogue
    ) -> None:
        self.membership = membership
        self.assignment = assignment
        self.catalogue = catalogue
        self.stop = Stop()


def definition(name: str = "s", **changes: object) -> StreamDefinition:
    spec = AnalysisSpec(
        name="a", op="cwt", channels=("x",), fmin_hz=4, fmax_hz=16, hop_s=0.5, quantity="power"
    )
    fields = {
        "name": name, "fs_hz": 100.0, "channels": (Channel(name="x"),), "analyses": (spec,),
        "reorder_s": 0.05, **changes,
    }  # fmt: skip
    return StreamDefinition.model_validate(fields)


async def a_log(now_ns: Callable[[], int] = time.time_ns) -> Picky:
    log = Picky(now_ns)
    await log.declare(system_topology(StorageSettings()))
    return log


async def an_ingest(
    log: MemoryLog,
    instance: str = "me",
    *,
    windows: int = 1000,
    lag_s: float = 10.0,
    timing: Timing = QUICK,
    processor_of: Callable[[StreamDefinition, StreamCheckpoint], StreamProcessor] = StreamProcessor,
    read: ChunkReader = read_chunk,
) -> Ingest:
    """Return the parts of an ingest on `log`, not running yet."""
    checkpoints = await log.bucket(storage.KV_CHECKPOINTS)
    definitions = await log.bucket(storage.KV_STREAMS)
    membership = Membership(checkpoints, this_process(instance), LOG, timing=timing)
    guarded_reading = anyio.Lock()

    def follow(claim: Claim, processor: StreamProcessor) -> Follower:
        queue = WindowQueue(log, processor.definition.name, WindowBacklog(windows, 10**9))
        own = processor_of(processor.definition, claim.checkpoint)
        return Follower(
            claim,
            own,
            log,
            queue,
            LagMonitor(lag_s),
            LOG,
            estimates=EstimatePublisher(MemoryBus(), LOG),
            guarded_reading=guarded_reading,
            read=read,
            save_every_s=0.01,
        )

    ownership = Ownership(log, checkpoints, membership, LOG)
    assignment = StreamAssignment(definitions, membership, ownership, LOG, follow=follow)
    limits = WindowLimits(max_message_bytes=8_000_000, log_max_age_s=0)
    catalogue = Catalogue(
        definitions,
        checkpoints,
        log,
        LOG,
        limits=limits,
        max_streams=MAX_STREAMS,
        progress=assignment.progress,
    )
    return Ingest(membership, assignment, catalogue)


@asynccontextmanager
async def running(ingest: Ingest) -> AsyncIterator[Ingest]:
    """Run `ingest` while the context is open."""
    async with ingest.membership.joined(), anyio.create_task_group() as tasks:
        tasks.start_soon(ingest.assignment.run, ingest.stop)
        yield ingest
        ingest.stop.set()


async def send(log: MemoryLog, first: int, n: int = 100, *, stream: str = "s") -> None:
    chunk = SignalChunk(epoch="e", first_sample=first, samples=np.sin(np.arange(first, first + n)))
    headers, body = encode_raw_chunk(chunk)
    await log.store(subjects.signal(stream), body, msg_id=f"{stream}/{first}", headers=headers)


async def first_event(log: MemoryLog, stream: str = "s") -> StreamEvent:
    async with log.replay(storage.RESULTS, (subjects.event(stream),)) as messages:
        with fail_after(10):
            stored = await anext(messages)
    return decode(StreamEvent, stored.message.data, ContentType.MSGPACK)


async def checkpoint(log: MemoryLog, stream: str = "s") -> StreamCheckpoint | None:
    entry = await (await log.bucket(storage.KV_CHECKPOINTS)).get(checkpoint_key(stream))
    return None if entry is None else decode(StreamCheckpoint, entry.value)


async def saved(log: MemoryLog, last_seq: int, stream: str = "s") -> StreamCheckpoint:
    """Return the first checkpoint that knows of message `last_seq`."""
    with fail_after(10):
        while True:
            found = await checkpoint(log, stream)
            if found is not None and found.last_seq >= last_seq:
                return found
            await anyio.lowlevel.checkpoint()


async def owned(log: MemoryLog, by: str | None, stream: str = "s") -> StreamCheckpoint:
    """Return the first checkpoint whose owner is `by`."""
    with fail_after(10):
        while True:
            found = await checkpoint(log, stream)
            if found is not None and found.owner == by:
                return found
            await anyio.lowlevel.checkpoint()


async def windows(log: MemoryLog) -> list[str]:
    """Return the ids of all windows on the queue."""
    found: list[str] = []
    last = await log.last_seq(storage.WINDOWS)
    async with log.replay(storage.WINDOWS, (subjects.WINDOWS,)) as messages:
        while len(found) < last:
            stored = await anext(messages)
            found.append(decode(AnalysisWindow, stored.message.data, ContentType.MSGPACK).id)
    return found
