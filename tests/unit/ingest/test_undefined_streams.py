"""Chunks of streams that nobody defined."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest

from cwt_ingest.member import this_process
from cwt_ingest.membership import Membership
from cwt_ingest.undefined_streams import NAMELESS, UndefinedStreamMonitor, undefined_counts
from cwt_runtime.settings import StorageSettings
from cwt_runtime.storage.topology import system_topology
from cwt_runtime.telemetry.logs import logger
from cwt_schemas import storage, subjects
from cwt_schemas.codec import ContentType, decode
from cwt_schemas.live import StreamEvent
from tests.deadlines import fail_after
from tests.memory_bus.log import MemoryLog

pytestmark = pytest.mark.anyio


def test_only_what_came_since_the_last_look_and_belongs_to_nobody_is_told() -> None:
    before = {"cwt.signal.known": 3, "cwt.signal.stray": 2, "cwt.signal.aged": 9}
    now = {"cwt.signal.known": 9, "cwt.signal.stray": 4, "cwt.signal.aged": 5, "cwt.signal.a.b": 1}
    assert undefined_counts(before, now, frozenset({"known"})) == {"stray": 2, NAMELESS: 1}


def test_however_many_names_a_stranger_invents_only_some_are_told() -> None:
    assert (
        len(undefined_counts({}, {f"cwt.signal.s{i}": 1 for i in range(5000)}, frozenset())) == 100
    )


async def test_a_chunk_of_an_undefined_stream_is_told_with_what_to_do() -> None:
    log = MemoryLog()
    await log.declare(system_topology(StorageSettings()))
    membership = Membership(
        await log.bucket(storage.KV_CHECKPOINTS), this_process("me"), logger("test")
    )
    definitions = await log.bucket(storage.KV_STREAMS)
    undefined = UndefinedStreamMonitor(
        log, membership, frozenset, definitions, logger("test"), look_s=0.001
    )
    await log.store(subjects.signal("old"), b"x", msg_id="0")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(undefined.run)
        for _ in range(20):  # it has looked once: what was there before is not told again
            await anyio.lowlevel.checkpoint()
        for i in (1, 2):
            await log.store(subjects.signal("stray"), b"x", msg_id=f"{i}")
        async with log.replay(storage.RESULTS, (subjects.EVENTS,)) as messages:
            with fail_after(10):
                event = decode(
                    StreamEvent, (await anext(messages)).message.data, ContentType.MSGPACK
                )
        tasks.cancel_scope.cancel()
    assert (event.stream, event.kind) == ("stray", "rejected")
    assert "stray" in event.detail
    assert subjects.stream("put") in event.detail
