"""A reader continues after an outage of its server, with any timeout and at any point.

A read with a timeout of 1.25 s or less used to be dead for good after a restart: each wait began
its own count of the server's silence.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest
from anyio import from_thread, to_thread

from cwt_runtime.bus import Consumer
from cwt_runtime.bus.nats import NatsBus, connect_bus
from cwt_runtime.settings import StorageSettings
from cwt_runtime.storage.publish import publish_with_retry
from cwt_runtime.storage.topology import system_topology
from cwt_runtime.telemetry.logs import logger
from cwt_schemas import storage, subjects
from cwt_schemas.codec import ContentType, encode
from cwt_schemas.errors import Unavailable
from cwt_schemas.headers import CONTENT_TYPE
from cwt_schemas.job import JobStatus
from pycwt_client import Client, blocking
from pycwt_client.job_feeds import PATIENCE_S
from tests.contract.test_jobs import workers
from tests.deadlines import fail_after
from tests.jobs import endless
from tests.servers import RestartableServer, free_port, restartable_server
from tests.unit.client.blocks import block

pytestmark = pytest.mark.anyio

LOG = logger("test")
#: Longer than all that is waited for without asking whether the server is there.
AWAY_S = 6.0
#: Of one read; shorter and longer than the silence after which a request is taken for lost.
TIMEOUTS_S = (0.2, 1.0, 1.25, 2.0, None)
#: Messages before the outage, and as many after it.
HALF = 5
#: From the start of the server to the last message, on a quiet machine.
SOON_S = 15.0


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RestartableServer]:
    async with restartable_server(tmp_path, free_port()) as running:
        yield running


@pytest.fixture
async def bus(server: RestartableServer) -> AsyncIterator[NatsBus]:
    async with connect_bus(server.url, name="test", log=LOG) as connected:
        await connected.log.declare(system_topology(StorageSettings()))
        yield connected


async def outage(server: RestartableServer) -> None:
    """Take the server away for a time, which is what the tests are about: nothing ends it."""
    server.kill()
    await anyio.sleep(AWAY_S)
    await server.restart()


async def keep(bus: NatsBus, subject: str, first: int) -> None:
    for number in range(first, first + HALF):
        await publish_with_retry(bus.log, subject, b"%d" % number, msg_id=f"{number}", log=LOG)


async def keep_results(bus: NatsBus, first: int) -> None:
    for number in range(first, first + HALF):
        result = block(0, 4 * number)
        await publish_with_retry(
            bus.log,
            subjects.result("s", "a"),
            encode(result, ContentType.MSGPACK),
            msg_id=result.id,
            headers={CONTENT_TYPE: ContentType.MSGPACK.value},
            log=LOG,
        )


class Reader:
    """Reads again and again, each time for as long as its timeout allows."""

    def __init__(self, timeout_s: float | None, read: Callable[[], Awaitable[Any]]) -> None:
        self._timeout_s = timeout_s
        self._read = read
        self.found: list[Any] = []

    async def read_until(self, count: int) -> None:
        while len(self.found) < count:
            with anyio.move_on_after(self._timeout_s):
                self.found.append(await self._read())


async def read_through_an_outage(
    server: RestartableServer, readers: list[Reader], keep: Callable[[int], Awaitable[None]]
) -> None:
    """Let all read the first half, take the server away, and let all read the second half."""
    with fail_after(AWAY_S + SOON_S):
        await keep(0)
        await read_until(readers, HALF)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read_until, readers, 2 * HALF)  # all wait while it is away
            await outage(server)
            await keep(HALF)


async def read_until(readers: list[Reader], count: int) -> None:
    async with anyio.create_task_group() as tasks:
        for reader in readers:
            tasks.start_soon(reader.read_until, count)


async def test_a_replay_reads_on_with_any_timeout(server: RestartableServer, bus: NatsBus) -> None:
    subject = subjects.signal("s")
    async with AsyncExitStack() as stack:
        readers = []
        for timeout_s in TIMEOUTS_S:
            replay = bus.log.replay(storage.SIGNALS, (subject,))
            messages = await stack.enter_async_context(replay)
            readers.append(Reader(timeout_s, partial(anext, messages)))
        await read_through_an_outage(server, readers, partial(keep, bus, subject))
    for reader in readers:
        bodies = [stored.message.data for stored in reader.found]
        assert bodies == [b"%d" % number for number in range(2 * HALF)]


async def test_feeds_and_watches_continue_after_any_timeout(
    server: RestartableServer, bus: NatsBus
) -> None:
    bucket = await bus.log.bucket(storage.KV_STREAMS)

    async def keep_both(first: int) -> None:
        await keep_results(bus, first)
        for number in range(first, first + HALF):
            await bucket.put(f"{number}", b"x")

    async with AsyncExitStack() as stack:
        feeds, watches = [], []
        for timeout_s in TIMEOUTS_S:
            feed = await stack.enter_async_context(Client(bus).results("s"))
            feeds.append(Reader(timeout_s, partial(anext, feed)))
            changes = await stack.enter_async_context(bucket.watch())
            watches.append(Reader(timeout_s, partial(anext, changes)))
        await read_through_an_outage(server, [*feeds, *watches], keep_both)
    for reader in feeds:
        assert [each.t.first_sample for each in reader.found] == [4 * i for i in range(2 * HALF)]
    for reader in watches:
        assert [each.key for each in reader.found] == [f"{i}" for i in range(2 * HALF)]


async def test_work_queues_hand_out_all_with_any_timeout(
    server: RestartableServer, bus: NatsBus
) -> None:
    queues = (
        (0.2, storage.WINDOWS, storage.COMPUTE_WINDOWS, subjects.window("s", "a")),
        (1.25, storage.TASKS, storage.COMPUTE_TASKS, subjects.task("j")),
    )

    async def keep_both(first: int) -> None:
        for _, _, _, subject in queues:
            await keep(bus, subject, first)

    async def take(consumer: Consumer, taken: set[bytes]) -> bytes:
        while True:
            delivery = await consumer.next()
            with anyio.CancelScope(shield=True):
                await delivery.ack()
            data = delivery.stored.message.data
            # A message whose acknowledgement the server did not keep comes again.
            if data not in taken:
                taken.add(data)
                return data

    async with AsyncExitStack() as stack:
        readers = []
        for timeout_s, stream, durable, _ in queues:
            consumer = await stack.enter_async_context(bus.log.consume(stream, durable))
            taken: set[bytes] = set()
            readers.append(Reader(timeout_s, partial(take, consumer, taken)))
        await read_through_an_outage(server, readers, keep_both)
    for reader in readers:
        assert sorted(reader.found) == [b"%d" % number for number in range(2 * HALF)]


async def test_the_blocking_client_reads_on_with_any_timeout(
    server: RestartableServer, bus: NatsBus
) -> None:
    half_read = anyio.Semaphore(0)

    def read(timeout_s: float | None) -> list[int]:
        found: list[int] = []
        with blocking.connect(server.url) as client, client.results("s") as results:
            while len(found) < 2 * HALF:
                with suppress(TimeoutError):
                    result = next(results) if timeout_s is None else results.read(timeout_s)
                    found.append(result.t.first_sample)
                    if len(found) == HALF:
                        from_thread.run_sync(half_read.release)
                from_thread.check_cancelled()
        return found

    async def read_in_thread(timeout_s: float | None) -> None:
        found = await to_thread.run_sync(read, timeout_s)
        assert found == [4 * number for number in range(2 * HALF)]

    with fail_after(AWAY_S + SOON_S):
        async with anyio.create_task_group() as tasks:
            for timeout_s in TIMEOUTS_S:
                tasks.start_soon(read_in_thread, timeout_s)
            await keep_results(bus, 0)
            for _ in TIMEOUTS_S:
                await half_read.acquire()
            await outage(server)
            await keep_results(bus, HALF)


async def test_jobs_are_read_on_with_any_timeout(server: RestartableServer, bus: NatsBus) -> None:
    """Results and progress hung or raised; `collect` and `wait` are made of them."""
    client, short = Client(bus), {"type": "cwt", "data": np.sin(np.arange(100.0)), "dt": 0.5}
    async with workers(bus, "one"):
        blocker = await client.submit([endless(1)])
        job = await client.submit([short, {**short, "dt": 0.25}])
        feeds = [make() for make in (job.results, job.progress) for _ in TIMEOUTS_S]
        seen: list[list[Any]] = [[] for _ in feeds]
        timed_out = [anyio.Event() for _ in feeds]
        with fail_after(AWAY_S + 4 * SOON_S):
            async with anyio.create_task_group() as tasks:
                for arguments in zip(feeds, seen, 2 * TIMEOUTS_S, timed_out, strict=True):
                    tasks.start_soon(read_to_the_end, *arguments)
                tasks.start_soon(job.collect)
                tasks.start_soon(job.wait)
                for each, timeout_s in zip(timed_out, 2 * TIMEOUTS_S, strict=True):
                    if timeout_s is not None:  # so that each has begun a second read
                        await each.wait()
                await outage(server)
                await blocker.cancel(timeout_s=30)
    for found in seen[: len(TIMEOUTS_S)]:
        assert sorted(each.index for each in found) == [0, 1]
    for found in seen[len(TIMEOUTS_S) :]:
        assert found[-1].status == JobStatus.COMPLETED


async def read_to_the_end(
    feed: AsyncIterator[Any], found: list[Any], timeout_s: float | None, timed_out: anyio.Event
) -> None:
    while True:
        with anyio.move_on_after(timeout_s) as scope:
            try:
                found.append(await anext(feed))
            except StopAsyncIteration:
                return
        if scope.cancelled_caught:
            timed_out.set()


async def test_unknown_job_raises_promptly(bus: NatsBus) -> None:
    with fail_after(PATIENCE_S + SOON_S), pytest.raises(Unavailable, match="no service"):
        await Client(bus).job("none").wait()
