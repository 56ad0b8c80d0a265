"""Reading what a stream holds: it ends, whatever is removed from the stream meanwhile.

Whoever counts messages first and then waits for that many waits for ever if one of them expires
in between.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import anyio
import nats
import orjson
import pytest
from nats.js import JetStreamContext

from cwt_compute.jobs.store import JobStore
from cwt_runtime.bus import Bus, StoredMessage
from cwt_runtime.bus.nats import NatsBus, connect_bus
from cwt_runtime.connect_settings import ConnectSettings
from cwt_runtime.settings import StorageSettings
from cwt_runtime.storage.topology import system_topology
from cwt_runtime.telemetry.logs import logger
from cwt_schemas import storage, subjects
from cwt_schemas.headers import TASK_STATUS
from cwt_schemas.job import JobRecord
from cwt_schemas.message import StoredObject
from tests.deadlines import fail_after

pytestmark = pytest.mark.anyio

SIGNAL = subjects.signal("s")
OUTCOME = subjects.job_result("job", "0")


async def test_a_read_ends_after_what_is_there(bus: Bus) -> None:
    for i in range(100):
        await bus.log.store(SIGNAL, b"%d" % i, msg_id=f"{i}")
    with fail_after(10):
        async with bus.log.read(storage.SIGNALS, (SIGNAL,), start_seq=3) as messages:
            bodies = [stored.message.data async for stored in messages]
    assert bodies == [b"%d" % i for i in range(2, 100)]


async def test_read_of_empty_stream_ends(bus: Bus) -> None:
    await bus.log.store(subjects.signal("other"), b"x", msg_id="x")
    with fail_after(10):
        async with bus.log.read(storage.SIGNALS, (SIGNAL,)) as messages:
            assert [stored async for stored in messages] == []


async def test_a_read_may_leave_out_bodies(bus: Bus) -> None:
    await bus.log.store(SIGNAL, b"body", msg_id="x", headers={"Cwt-Epoch": "e"})
    with fail_after(10):
        async with bus.log.read(storage.SIGNALS, (SIGNAL,), headers_only=True) as messages:
            (message,) = [stored.message async for stored in messages]
    assert (message.data, message.headers["Cwt-Epoch"]) == (b"", "e")


async def test_a_read_begins_at_a_time(bus: Bus) -> None:
    for i in range(3):
        await bus.log.store(SIGNAL, b"%d" % i, msg_id=f"{i}")
    with fail_after(10):
        async with bus.log.read(storage.SIGNALS, (SIGNAL,)) as messages:
            times = [stored.stored_ns async for stored in messages]
        async with bus.log.read(storage.SIGNALS, (SIGNAL,), start_time_ns=times[1]) as messages:
            assert [stored.seq async for stored in messages] == [2, 3]
        async with bus.log.read(storage.SIGNALS, (SIGNAL,), start_time_ns=times[2] + 1) as messages:
            assert [stored.seq async for stored in messages] == []


async def test_a_purge_removes_a_subject_and_leaves_the_others(bus: Bus) -> None:
    other = subjects.signal("other")
    for i, subject in enumerate((SIGNAL, other, SIGNAL)):
        await bus.log.store(subject, b"%d" % i, msg_id=f"{i}")
    await bus.log.purge(storage.SIGNALS, SIGNAL)
    await bus.log.purge(storage.SIGNALS, SIGNAL)
    assert await bus.log.subject_counts(storage.SIGNALS, subjects.SIGNALS) == {other: 1}
    assert (await bus.log.store(SIGNAL, b"", msg_id="3")).seq == 4
    with fail_after(10):
        async with bus.log.read(storage.SIGNALS, (subjects.SIGNALS,)) as messages:
            assert [stored.seq async for stored in messages] == [2, 4]


async def test_a_purge_of_work_leaves_nothing_to_do(bus: Bus) -> None:
    gone, kept = subjects.window("gone", "a"), subjects.window("kept", "a")
    for i, subject in enumerate((gone, gone, kept)):
        await bus.log.store(subject, b"%d" % i, msg_id=f"{i}")
    async with bus.log.consume(storage.WINDOWS, storage.COMPUTE_WINDOWS) as consumer:
        with fail_after(10):
            handed_out = await consumer.next()
            await bus.log.purge(storage.WINDOWS, subjects.windows_of("gone"))
            await handed_out.ack()
    counts = await bus.log.subject_counts(storage.WINDOWS, subjects.WINDOWS)
    assert counts == {kept: 1}


async def test_a_read_goes_past_messages_that_are_dropped_meanwhile(bus: Bus) -> None:
    """The stream of results drops the oldest when it is full."""
    subject, body = subjects.event("s"), bytes(10_000)
    for i in range(5):
        await bus.log.store(subject, body, msg_id=f"{i}")
    with fail_after(10):
        async with bus.log.read(storage.RESULTS, (subject,)) as messages:
            first = await anext(messages)
            for i in range(5, 15):
                await bus.log.store(subject, body, msg_id=f"{i}")
            rest = [stored.seq async for stored in messages]
    assert first.seq == 1
    assert rest == sorted(set(rest))


@pytest.fixture
async def nats_bus(nats_url: str) -> AsyncIterator[NatsBus]:
    async with connect_bus(nats_url, name="test", log=logger("test")) as connected:
        await connected.log.declare(system_topology(StorageSettings()))
        yield connected


@pytest.fixture
async def operator(nats_url: str) -> AsyncIterator[JetStreamContext]:
    async with await nats.connect(nats_url) as client:
        yield client.jetstream()


async def test_a_read_of_a_purged_stream_ends(
    nats_bus: NatsBus, operator: JetStreamContext
) -> None:
    for i in range(200):  # more than one request to the server brings
        await nats_bus.log.store(SIGNAL, b"x", msg_id=f"{i}")
    with fail_after(10):
        async with nats_bus.log.read(storage.SIGNALS, (SIGNAL,)) as messages:
            first = await anext(messages)
            await operator.purge_stream(storage.SIGNALS)
            rest = [stored async for stored in messages]
    assert first.pending == 199
    assert len(rest) < 199


class ExpiringLog:
    """A log whose outcomes expire right after they were counted."""

    def __init__(self, bus: NatsBus, operator: JetStreamContext) -> None:
        self._log = bus.log
        self._operator = operator

    async def subject_counts(self, stream: str, pattern: str) -> Mapping[str, int]:
        counts = await self._log.subject_counts(stream, pattern)
        await self._operator.purge_stream(stream)
        return counts

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)


async def test_a_job_is_described_at_the_moment_its_outcomes_expire(
    nats_bus: NatsBus, operator: JetStreamContext
) -> None:
    await nats_bus.log.store(OUTCOME, b"", msg_id="0", headers={TASK_STATUS: "done"})
    store = await JobStore.open(ExpiringLog(nats_bus, operator), logger("test"))
    with fail_after(10):
        assert (await store.tally(record())).outcomes == {}


def record() -> JobRecord:
    where = StoredObject(bucket=storage.OBJECTS, name="tasks", size=1, sha256="0" * 64)
    return JobRecord(
        job_id="job", name=None, digest="0" * 16, tasks_count=1, tasks=where, created_ns=0
    )


async def test_keys_that_were_deleted_are_not_listed(bus: Bus) -> None:
    bucket = await bus.log.bucket(storage.KV_STREAMS)
    for key in ("b", "a", "c"):
        await bucket.put(key, b"x")
    await bucket.delete("b")
    with fail_after(10):
        assert await bucket.keys() == ("a", "c")


async def test_an_object_that_lost_a_chunk_is_not_there(
    nats_bus: NatsBus, operator: JetStreamContext
) -> None:
    objects = await nats_bus.log.objects(storage.OBJECTS)
    await objects.put("large", bytes(3 * 1024 * 1024))
    await operator.delete_msg(f"OBJ_{storage.OBJECTS}", 2)
    with fail_after(10):
        assert await objects.get("large") is None


async def test_a_reader_that_was_paused_reads_on(nats_bus: NatsBus) -> None:
    """Anyone who may use JetStream's interface could pause a reader for ever."""
    await nats_bus.log.store(SIGNAL, b"0", msg_id="0")
    async with nats_bus.log.replay(storage.SIGNALS, (SIGNAL,)) as messages:
        with fail_after(30):
            await anext(messages)
            reply = await nats_bus.request(
                f"$JS.API.CONSUMER.NAMES.{storage.SIGNALS}", b"", timeout_s=5
            )
            (reader,) = orjson.loads(reply.data)["consumers"]
            pause = f"$JS.API.CONSUMER.PAUSE.{storage.SIGNALS}.{reader}"
            until = b'{"pause_until":"2099-01-01T00:00:00Z"}'
            assert orjson.loads((await nats_bus.request(pause, until, timeout_s=5)).data)["paused"]
            await nats_bus.log.store(SIGNAL, b"1", msg_id="1")
            assert (await anext(messages)).message.data == b"1"


async def test_a_consumer_whose_creation_is_not_answered_is_created_under_another_name(
    nats_bus: NatsBus, nats_url: str
) -> None:
    """A cluster had assigned the name to a node that was killed; the reader waited forever."""
    created: list[str] = []

    async def read(messages: AsyncIterator[StoredMessage]) -> None:
        await anext(messages)

    away = ConnectSettings(url=nats_url, domain="away")
    async with (
        nats_bus.subscribe("$JS.away.API.CONSUMER.CREATE.>") as creations,
        connect_bus(away, name="reader", log=logger("reader")) as reader,
        anyio.create_task_group() as tasks,
        reader.log.replay(storage.SIGNALS, (SIGNAL,)) as messages,
    ):
        tasks.start_soon(read, messages)
        with fail_after(30):
            while len(created) < 2:
                created.append((await anext(aiter(creations))).subject)
        tasks.cancel_scope.cancel()
    assert created[0] != created[1]
