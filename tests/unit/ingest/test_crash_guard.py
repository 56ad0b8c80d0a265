"""Chunks that end the process which reads them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import anyio
import numpy as np
import pytest

from cwt_ingest.crash_guard import GUARDED_CHUNKS, CrashGuard
from cwt_ingest.membership import key_of
from cwt_ingest.processor import LogEntry, Output, StreamProcessor, read_chunk
from cwt_runtime.reading import THREAD_FROM_BYTES
from cwt_schemas import storage, subjects
from cwt_schemas.checkpoint import BegunChunk, StreamCheckpoint
from cwt_schemas.codec import ContentType, decode, encode
from cwt_schemas.errors import ContractError
from cwt_schemas.live import SignalChunk
from tests.deadlines import fail_after
from tests.memory_bus.log import MemoryLog
from tests.unit.ingest.parts import (
    Ingest,
    a_log,
    an_ingest,
    definition,
    first_event,
    owned,
    running,
    saved,
    send,
    windows,
)

CHECKPOINT = StreamCheckpoint(stream="s", definition_revision=1, replay_from_seq=1, last_seq=0)
#: The chunk that ends the process: its first sample, and its place in the log of one stream.
POISON_FIRST = 300
POISON_SEQ = 4


def resumed(guard: CrashGuard) -> CrashGuard:
    """Return the guard of the process after one that crashed."""
    kept = CHECKPOINT.model_copy(update=guard.fields(1))
    return CrashGuard(kept, after_crash=True)


def test_a_chunk_is_left_out_after_it_was_begun_twice_and_never_finished() -> None:
    guard = CrashGuard(CHECKPOINT, after_crash=True)
    for times in (1, 2):
        guard.begin(5)
        assert guard.fields(1)["begun"] == BegunChunk(seq=5, times=times)
        assert not guard.leaves_out(5)
        guard = resumed(guard)
    guard.begin(5)
    assert guard.leaves_out(5)
    assert resumed(guard).leaves_out(5)


def test_finished_chunk_is_never_skipped_after_a_crash() -> None:
    guard = CrashGuard(CHECKPOINT, after_crash=True)
    for _ in range(5):
        guard.begin(5)
        guard = resumed(guard)
        guard.begin(5)
        guard.finish()
        guard = resumed(guard)
    assert not guard.leaves_out(5)


def test_marks_of_different_chunks_do_not_add_up() -> None:
    guard = CrashGuard(CHECKPOINT, after_crash=True)
    for seq in (5, 6, 5, 6, 5):
        guard.begin(seq)
        guard = resumed(guard)
    assert not guard.leaves_out(5)


def test_without_a_crash_nothing_is_marked_and_after_one_not_for_ever() -> None:
    assert not CrashGuard(CHECKPOINT, after_crash=False).is_on
    guard = CrashGuard(CHECKPOINT, after_crash=True)
    for seq in range(1, GUARDED_CHUNKS + 1):
        assert guard.is_on
        guard.begin(seq)
        guard.finish()
    assert not guard.is_on


def test_chunks_that_are_not_read_again_are_forgotten() -> None:
    kept = CHECKPOINT.model_copy(update={"unfinished": (3, 9)})
    assert CrashGuard(kept, after_crash=False).fields(4)["unfinished"] == (9,)


class Killed(BaseException):
    """Stands for the end of the process."""


def deadly(headers: Mapping[str, str], body: bytes, channels: int) -> SignalChunk | ContractError:
    chunk = read_chunk(headers, body, channels)
    if isinstance(chunk, SignalChunk) and chunk.first_sample == POISON_FIRST:
        raise Killed
    return chunk


class DyingAtWork(StreamProcessor):
    """Ends the process with a chunk that was read."""

    def take(self, entry: LogEntry) -> Iterator[Output]:
        if entry.seq == POISON_SEQ:
            raise Killed
        yield from super().take(entry)


async def defined(*streams: str) -> MemoryLog:
    """Return a log with the definitions of streams that nobody follows."""
    log = await a_log()
    async with running(await an_ingest(log, "before")) as ingest:
        for name in streams:
            await ingest.catalogue.put(definition(name))
    return log


async def sent(log: MemoryLog, end: int, *streams: str) -> None:
    for first in range(0, end, 100):
        for name in streams:
            await send(log, first, stream=name)


async def crashed(log: MemoryLog, ingest: Ingest, instance: str) -> None:
    """Run an ingest that dies of a chunk, and take it for dead."""
    with pytest.raises(BaseExceptionGroup) as died:  # noqa: PT012 - it is run, not called
        async with running(ingest):
            with fail_after(20):
                await anyio.sleep_forever()
    assert died.value.subgroup(Killed) is not None
    assert (await owned(log, instance)).owner == instance
    await (await log.bucket(storage.KV_CHECKPOINTS)).delete(key_of(instance))


async def crashed_of_the_chunk(end: int) -> MemoryLog:
    """Return the log of a stream up to sample `end`, after three processes died of a chunk."""
    log = await defined("s")
    await sent(log, end, "s")
    for instance in ("one", "two", "three"):
        await crashed(log, await an_ingest(log, instance, read=deadly), instance)
    return log


@pytest.mark.anyio
async def test_stream_continues_after_chunk_that_killed_three_processes() -> None:
    """It ended every process, since the log is replayed."""
    log = await crashed_of_the_chunk(2000)
    async with running(await an_ingest(log, "four", read=deadly)):
        event = await first_event(log)
        assert event.id == f"s/{POISON_SEQ}/rejected"
        assert "crashed the process" in event.detail
        await saved(log, 20)
        assert len(await windows(log)) > 0
    assert (await owned(log, None)).begun is None


@pytest.mark.anyio
async def test_a_chunk_that_is_left_out_is_not_read_when_the_log_is_read_again() -> None:
    log = await crashed_of_the_chunk(600)
    async with running(await an_ingest(log, "four", read=deadly)):
        left = await saved(log, 6)
        assert left.unfinished == (POISON_SEQ,)
        assert left.replay_from_seq <= POISON_SEQ
    async with running(await an_ingest(log, "five", read=deadly)):
        await send(log, 600)
        await saved(log, 7)


@pytest.mark.anyio
async def test_a_process_that_ends_after_a_chunk_was_read_leaves_no_mark() -> None:
    log = await defined("s")
    await sent(log, 600, "s")
    for instance in ("one", "two"):
        ingest = await an_ingest(log, instance, processor_of=DyingAtWork)
        await crashed(log, ingest, instance)
        assert (await owned(log, instance)).begun is None


@pytest.mark.anyio
async def test_of_all_streams_of_a_process_one_chunk_is_marked_at_a_time() -> None:
    log = await defined("s", "t")
    ingest = await an_ingest(log, "one")
    with pytest.raises(BaseExceptionGroup):  # noqa: PT012 - the context is what is left
        async with running(ingest):
            for name in ("s", "t"):
                await owned(log, "one", name)
            raise Killed
    bucket = await log.bucket(storage.KV_CHECKPOINTS)
    await bucket.delete(key_of("one"))
    for name in ("s", "t"):  # so long that they are read in threads, at the same time if possible
        chunk = SignalChunk(epoch="e", first_sample=0, samples=np.zeros(10))
        body = encode(chunk, ContentType.JSON) + b" " * THREAD_FROM_BYTES
        await log.store(subjects.signal(name), body, msg_id=name)
    newest: dict[str, StreamCheckpoint] = {}
    marks = set()
    async with running(await an_ingest(log, "two")), bucket.watch() as changes:
        with fail_after(20):
            async for change in changes:
                if change.key.startswith("stream.") and change.value:
                    newest[change.key] = decode(StreamCheckpoint, change.value)
                    marks.add(sum(each.begun is not None for each in newest.values()))
                if sum(each.last_seq >= 1 for each in newest.values()) == 2:
                    break
    assert marks == {0, 1}
