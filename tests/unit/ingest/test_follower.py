"""Following a stream: what no message may stop, and what a restart begins with."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import anyio
import anyio.lowlevel
import numpy as np
import pytest

from cwt_ingest.processor import LogEntry, Output, StreamProcessor, read_chunk
from cwt_runtime.bus import StoredMessage
from cwt_runtime.reading import THREAD_FROM_BYTES
from cwt_runtime.settings import StorageSettings
from cwt_runtime.storage.topology import system_topology
from cwt_schemas import storage, subjects
from cwt_schemas.codec import ContentType, decode, encode
from cwt_schemas.errors import ContractError
from cwt_schemas.live import SignalChunk, StreamEvent
from cwt_schemas.stream import StreamGet
from tests.deadlines import fail_after
from tests.memory_bus.log import MemoryLog
from tests.unit.ingest.parts import (
    a_log,
    an_ingest,
    checkpoint,
    definition,
    first_event,
    owned,
    running,
    saved,
    send,
    windows,
)

pytestmark = pytest.mark.anyio


async def test_the_checkpoint_is_written_when_the_log_goes_quiet() -> None:
    log = await a_log()
    async with running(await an_ingest(log)) as ingest:
        await ingest.catalogue.put(definition())
        await send(log, 0)
        assert (await saved(log, 1)).owner == "me"
    assert (await saved(log, 1)).owner is None


async def test_rejected_window_is_reported_and_stream_continues() -> None:
    log = await a_log()
    log.refuse_windows = True
    async with running(await an_ingest(log)) as ingest:
        await ingest.catalogue.put(definition())
        await send(log, 0, 1000)
        event = await first_event(log)
        assert event.kind == "dropped"
        assert "exceeds maximum" in event.detail
        log.refuse_windows = False
        await send(log, 1000, 1000)
        with fail_after(10):
            while await log.last_seq(storage.WINDOWS) == 0:
                await anyio.lowlevel.checkpoint()


async def test_a_stream_that_waits_for_room_continues_after_the_server_was_away() -> None:
    """The time-out of its look at the queue ended the whole ingest."""
    log = await a_log()
    async with running(await an_ingest(log, windows=1)) as ingest:
        await ingest.catalogue.put(definition())
        await send(log, 0, 1000)
        log.counts = False
        with fail_after(20):
            while log.not_counted < 20:
                await anyio.lowlevel.checkpoint()
            log.counts = True
            windows = await log.last_seq(storage.WINDOWS)
            await log.purge(storage.WINDOWS, subjects.WINDOWS)
            while await log.last_seq(storage.WINDOWS) == windows:
                await anyio.lowlevel.checkpoint()


class Poisoned(StreamProcessor):
    """Fails at the first chunk of the log."""

    def take(self, entry: LogEntry) -> Iterator[Output]:
        if entry.seq == 1:
            raise ZeroDivisionError
        yield from super().take(entry)


async def test_unprocessable_chunk_is_reported_and_skipped() -> None:
    log = await a_log()
    async with running(await an_ingest(log, processor_of=Poisoned)) as ingest:
        await ingest.catalogue.put(definition())
        await send(log, 0)
        event = await first_event(log)
        assert "ZeroDivisionError" in event.detail
        await send(log, 100)
        await saved(log, 2)
        assert (await ingest.catalogue.get(StreamGet(name="s"))).chunks == 1


async def test_unreadable_chunk_is_rejected_and_stream_continues() -> None:
    def failing(*message: object) -> SignalChunk:
        raise ZeroDivisionError(message)

    log = await a_log()
    async with running(await an_ingest(log, read=failing)) as ingest:
        await ingest.catalogue.put(definition())
        await send(log, 0)
        event = await first_event(log)
        assert (event.id, "ZeroDivisionError" in event.detail) == ("s/1/rejected", True)
        await send(log, 100)
        await saved(log, 2)


async def test_a_long_chunk_in_json_is_read_in_a_thread_and_samples_alone_are_not() -> None:
    readers: list[int] = []

    def watched(headers: Mapping[str, str], body: bytes, n: int) -> SignalChunk | ContractError:
        assert len(body) >= THREAD_FROM_BYTES
        readers.append(threading.get_ident())
        return read_chunk(headers, body, n)

    log = await a_log()
    async with running(await an_ingest(log, read=watched)) as ingest:
        await ingest.catalogue.put(definition(analyses=()))
        await send(log, 0, 20_000)
        chunk = SignalChunk(epoch="e", first_sample=20_000, samples=np.ones(50_000))
        await log.store(subjects.signal("s"), encode(chunk, ContentType.JSON), msg_id="json")
        await saved(log, 2)
    raw, json = readers
    assert raw == threading.get_ident() != json


async def test_windows_that_the_server_refuses_are_reported_at_a_bounded_rate() -> None:
    """Each of them had an event of its own."""
    log = await a_log()
    log.refuse_windows = True
    async with running(await an_ingest(log)) as ingest:
        await ingest.catalogue.put(definition())
        for first in range(0, 5000, 500):
            await send(log, first, 500)
        windows = (await saved(log, 10)).progress.windows
    published, waiting = await dropped(log)
    assert len(published) <= 30
    assert sum(published) + waiting == windows > 100


async def dropped(log: MemoryLog) -> tuple[list[int], int]:
    """Return how many windows each published event stands for, and how many wait for one."""
    async with log.read(storage.RESULTS, (subjects.event("s"),)) as messages:
        bodies = [stored.message.data async for stored in messages]
    events = [decode(StreamEvent, body, ContentType.MSGPACK) for body in bodies]
    kept = await checkpoint(log)
    assert kept is not None
    return [event.count for event in events], sum(budget.count for budget in kept.events)


async def test_chunks_that_wait_are_let_go_when_the_log_is_quiet_and_it_is_written_down() -> None:
    log = await a_log()
    async with running(await an_ingest(log)) as ingest:
        await ingest.catalogue.put(definition())
        await send(log, 0, 10)
        await send(log, 20, 10)
        event = await first_event(log)
        assert (event.kind, event.first_sample, event.n_samples) == ("gap", 10, 10)
        assert (await saved(log, 2)).released_after == (2,)


class SlowLog(MemoryLog):
    """A log whose reader of chunks stalls after the second one, as after an outage."""

    def __init__(self) -> None:
        super().__init__()
        self.may_continue = anyio.Event()
        self.looks = 0

    async def last_seq(self, stream: str) -> int:
        self.looks += 1
        return await super().last_seq(stream)

    @asynccontextmanager
    async def replay(self, *place: Any, **options: Any) -> AsyncIterator[Any]:
        async with super().replay(*place, **options) as messages:
            yield Stalling(messages, self.may_continue) if place[0] == storage.SIGNALS else messages


class Stalling:
    def __init__(self, messages: AsyncIterator[StoredMessage], may_continue: anyio.Event) -> None:
        self._messages = messages
        self._may_continue = may_continue
        self._read = 0

    def __aiter__(self) -> Stalling:
        return self

    async def __anext__(self) -> StoredMessage:
        if self._read == 2:
            await self._may_continue.wait()
        stored = await anext(self._messages)
        self._read += 1
        return stored


async def test_chunks_that_wait_are_not_let_go_before_the_log_was_read_to_its_end() -> None:
    """A false gap was reported: the log answered, but its reader had not caught up yet."""
    log = SlowLog()
    await log.declare(system_topology(StorageSettings()))
    async with running(await an_ingest(log)) as ingest:
        await ingest.catalogue.put(definition())
        for first in (0, 20, 10):
            await send(log, first, 10)
        looks = log.looks
        with fail_after(20):
            while log.looks < looks + 30:
                await anyio.lowlevel.checkpoint()
        log.may_continue.set()
        await saved(log, 3)
        assert await log.subject_counts(storage.RESULTS, subjects.EVENTS) == {}


async def test_a_stream_waits_with_its_chunks_while_its_share_of_the_queue_is_used_up() -> None:
    log = await a_log()
    async with running(await an_ingest(log, windows=3, lag_s=0.02)) as ingest:
        await ingest.catalogue.put(definition())
        await ingest.catalogue.put(definition("other"))
        for first in range(0, 2000, 100):
            await send(log, first)
        event = await first_event(log)
        assert event.kind == "lag"
        assert "compute workers" in event.detail
        assert await log.last_seq(storage.WINDOWS) == 3
        await send(log, 0, 1000, stream="other")
        with fail_after(10):
            while await log.last_seq(storage.WINDOWS) < 6:
                await anyio.lowlevel.checkpoint()
        lag = (await ingest.catalogue.get(StreamGet(name="s"))).lag
        assert (lag.windows, lag.chunks > 0, lag.seconds > 0) == (3, True, True)


async def test_stopping_while_waiting_for_room_leaves_the_chunk_to_the_next_one() -> None:
    log = await a_log()
    async with running(await an_ingest(log, windows=1)) as ingest:
        await ingest.catalogue.put(definition())
        await send(log, 0, 1000)
        with fail_after(10):
            while await log.last_seq(storage.WINDOWS) == 0:
                await anyio.lowlevel.checkpoint()
    assert (await owned(log, None)).last_seq == 0
    async with running(await an_ingest(log)):
        assert (await saved(log, 1)).progress.windows > 1


async def test_a_definition_that_cannot_be_used_does_not_stop_the_others() -> None:
    log = await a_log()
    bucket = await log.bucket(storage.KV_STREAMS)
    await bucket.put("junk", b"\xff")
    await bucket.put("old", encode(definition("old"), ContentType.JSON).replace(b"100", b"-1"))
    await bucket.put("s", encode(definition(), ContentType.JSON))
    async with running(await an_ingest(log)):
        assert (await owned(log, "me")).stream == "s"


async def test_a_log_that_lost_its_end_continues_the_analysis_after_a_gap() -> None:
    """The analysis restarted, without an event, and computed tiles twice that it had computed."""
    log = await a_log()
    async with running(await an_ingest(log)) as ingest:
        await ingest.catalogue.put(definition())
        for first in range(0, 500, 100):
            await send(log, first)
        await saved(log, 5)
    computed = await windows(log)
    restored = await restored_from(log, chunks=2)
    async with running(await an_ingest(restored)):
        for first in range(500, 1500, 100):
            await send(restored, first)
        gap = await first_event(restored)
        await saved(restored, 12)
    assert (gap.kind, gap.first_sample, gap.n_samples) == ("gap", 200, 300)
    later = await windows(restored)
    assert later
    assert not set(computed) & set(later)


async def restored_from(log: MemoryLog, *, chunks: int) -> MemoryLog:
    """Return a log with the first chunks of `log`, and its definitions and checkpoints."""
    old_times = iter([stored.stored_ns async for stored in stored_chunks(log)][:chunks])
    restored = await a_log(lambda: next(old_times, None) or time.time_ns())
    for name in (storage.KV_STREAMS, storage.KV_CHECKPOINTS):
        old, new = await log.bucket(name), await restored.bucket(name)
        for key in await old.keys():
            entry = await old.get(key)
            assert entry is not None
            while (await new.put(key, entry.value)) < entry.revision:
                pass
    for first in range(0, 100 * chunks, 100):
        await send(restored, first)
    return restored


async def stored_chunks(log: MemoryLog) -> AsyncIterator[StoredMessage]:
    async with log.read(storage.SIGNALS, (subjects.SIGNALS,)) as messages:
        async for stored in messages:
            yield stored


class ForgetfulLog(MemoryLog):
    """A log that drops every chunk but the first, after it reported a second one as pending."""

    @asynccontextmanager
    async def replay(self, *place: Any, **options: Any) -> AsyncIterator[Any]:
        async with super().replay(*place, **options) as messages:
            yield self._first_of(messages)

    async def _first_of(self, messages: AsyncIterator[StoredMessage]) -> AsyncIterator[Any]:
        yield replace(await anext(messages), pending=1)
        await anyio.sleep_forever()


async def test_chunks_that_the_log_dropped_do_not_count_as_waiting() -> None:
    """The stream was said to be behind until its next chunk came."""
    log = ForgetfulLog()
    await log.declare(system_topology(StorageSettings()))
    async with running(await an_ingest(log)) as ingest:
        await ingest.catalogue.put(definition())
        await send(log, 0)
        await saved(log, 1)
        with fail_after(10):
            while (await ingest.catalogue.get(StreamGet(name="s"))).lag.chunks:
                await anyio.lowlevel.checkpoint()
