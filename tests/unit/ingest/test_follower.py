"""Following the log: what no message may stop, and what a restart begins with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
import numpy as np
import pytest

from schemas import storage, subjects
from schemas.checkpoint import StreamCheckpoint
from schemas.codec import ContentType, decode, encode, encode_raw_chunk
from schemas.event import StreamEvent
from schemas.signal import SignalChunk
from schemas.stream import AnalysisSpec, Channel, StreamDefinition, StreamGet
from services.ingest.checkpoints import Checkpoints
from services.ingest.definitions import Definitions, WindowLimits
from services.ingest.follower import Follower
from services.ingest.processor import LogEntry, Output, StreamProcessor
from services.runtime.bus import StoreAck
from services.runtime.errors import NotStoredError
from services.runtime.logs import logger
from services.runtime.memory_bus.log import MemoryLog
from services.runtime.settings import StorageSettings
from services.runtime.stopping import Stop
from services.runtime.topology import system_topology

pytestmark = pytest.mark.anyio
LOG = logger("test")


class Picky(MemoryLog):
    """Refuses windows for good, on request."""

    refuse_windows = False

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


def definition(name: str = "s") -> StreamDefinition:
    spec = AnalysisSpec(
        name="a", op="cwt", channels=("x",), fmin_hz=4, fmax_hz=16, hop_s=0.5, quantity="power"
    )
    return StreamDefinition(name=name, fs_hz=100, channels=(Channel(name="x"),), analyses=(spec,))


async def a_log() -> Picky:
    log = Picky()
    await log.declare(system_topology(StorageSettings()))
    return log


async def parts(log: MemoryLog) -> tuple[Definitions, Checkpoints]:
    checkpoints = Checkpoints(await log.bucket(storage.KV_CHECKPOINTS))
    limits = WindowLimits(max_message_bytes=8_000_000, log_max_age_s=0)
    bucket = await log.bucket(storage.KV_STREAMS)
    return Definitions(bucket, checkpoints, log, LOG, limits=limits), checkpoints


@asynccontextmanager
async def following(log: MemoryLog) -> AsyncIterator[Definitions]:
    """Follow `log` while the context is open, with a stream defined."""
    definitions, checkpoints = await parts(log)
    await definitions.load()
    if definitions.processor("s") is None:
        await definitions.put(definition())
    follower = Follower(log, definitions, checkpoints, LOG, save_every_s=0.001)
    stop = Stop()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(follower.run, stop)
        yield definitions
        stop.set()


async def send(log: MemoryLog, first: int, n: int = 100) -> None:
    chunk = SignalChunk(epoch="e", first_sample=first, samples=np.sin(np.arange(first, first + n)))
    headers, body = encode_raw_chunk(chunk)
    await log.store(subjects.signal("s"), body, msg_id=f"{first}", headers=headers)


async def first_event(log: MemoryLog) -> StreamEvent:
    async with log.replay(storage.RESULTS, (subjects.event("s"),)) as messages:
        with anyio.fail_after(10):
            stored = await anext(messages)
    return decode(StreamEvent, stored.message.data, ContentType.MSGPACK)


async def saved(log: MemoryLog, last_seq: int) -> StreamCheckpoint:
    _, checkpoints = await parts(log)
    with anyio.fail_after(10):
        while True:
            found = await checkpoints.read(definition())
            if found is not None and found.last_seq >= last_seq:
                return found
            await anyio.lowlevel.checkpoint()


async def test_the_checkpoint_is_written_when_the_log_goes_quiet() -> None:
    log = await a_log()
    async with following(log):
        await send(log, 0)
        assert (await saved(log, 1)).last_seq == 1


async def test_a_window_that_the_server_refuses_is_told_and_the_stream_goes_on() -> None:
    log = await a_log()
    log.refuse_windows = True
    async with following(log):
        await send(log, 0, 1000)
        event = await first_event(log)
        assert event.kind == "dropped"
        assert "exceeds maximum" in event.detail
        log.refuse_windows = False
        await send(log, 1000, 1000)
        with anyio.fail_after(10):
            while await log.last_seq(storage.WINDOWS) == 0:
                await anyio.lowlevel.checkpoint()


async def test_a_chunk_that_cannot_be_processed_is_told_and_left_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log, take = await a_log(), StreamProcessor.take

    def poisoned(self: StreamProcessor, entry: LogEntry) -> Iterator[Output]:
        if entry.seq == 1:
            raise ZeroDivisionError
        yield from take(self, entry)

    monkeypatch.setattr(StreamProcessor, "take", poisoned)
    async with following(log) as definitions:
        await send(log, 0)
        event = await first_event(log)
        assert "ZeroDivisionError" in event.detail
        await send(log, 100)
        await saved(log, 2)
        assert (await definitions.get(StreamGet(name="s"))).chunks == 1


async def test_a_definition_that_cannot_be_used_does_not_stop_the_others() -> None:
    log = await a_log()
    bucket = await log.bucket(storage.KV_STREAMS)
    await bucket.put("junk", b"\xff")
    await bucket.put("old", encode(definition("old"), ContentType.JSON).replace(b"100", b"-1"))
    await bucket.put("s", encode(definition(), ContentType.JSON))
    definitions, _ = await parts(log)
    await definitions.load()
    assert [p.definition.name for p in definitions.processors()] == ["s"]


async def test_a_log_that_lost_its_end_starts_the_analysis_afresh() -> None:
    log = await a_log()
    async with following(log):
        for first in range(0, 500, 100):
            await send(log, first)
        await saved(log, 5)
    restored = await a_log()
    for name in (storage.KV_STREAMS, storage.KV_CHECKPOINTS):
        old, new = await log.bucket(name), await restored.bucket(name)
        for key in await old.keys():
            entry = await old.get(key)
            assert entry is not None
            await new.put(key, entry.value)
    await send(restored, 0)
    async with following(restored) as definitions:
        await send(restored, 500, 1000)
        await saved(restored, 2)
        status = await definitions.get(StreamGet(name="s"))
        assert (status.chunks, status.next_sample) == (1, 1500)
        assert status.windows > 0


async def test_defining_anew_leaves_the_old_checkpoint_until_it_is_kept() -> None:
    log = await a_log()
    definitions, checkpoints = await parts(log)
    await definitions.put(definition())
    changed = definition().model_copy(update={"fs_hz": 200.0})
    await definitions.put(changed)
    assert await checkpoints.read(definition()) is None
    assert await checkpoints.read(changed) is not None
