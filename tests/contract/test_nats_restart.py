"""What the bus over NATS adds to the contract: it survives its server."""

from __future__ import annotations

import gc
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import anyio
import anyio.abc
import anyio.lowlevel
import numpy as np
import pytest

from cwt_runtime.bus import Backlog, Bus, Delivery
from cwt_runtime.bus.errors import BusError, NoRespondersError
from cwt_runtime.bus.nats import NatsBus, connect_bus
from cwt_runtime.bus.nats.pull import SILENCE_S
from cwt_runtime.process.embedded_server import start_server
from cwt_runtime.retry import RetryPolicy
from cwt_runtime.settings import StorageSettings
from cwt_runtime.storage.publish import publish_with_retry
from cwt_runtime.storage.topology import system_topology
from cwt_runtime.telemetry.logs import logger
from cwt_schemas import storage, subjects
from cwt_schemas.chunk_codec import decode_chunk
from cwt_schemas.limits import MAX_MESSAGE_BYTES
from pycwt_client import Client
from tests.contract.conftest import small_topology
from tests.deadlines import fail_after
from tests.servers import RestartableServer, free_port, restartable_server

pytestmark = pytest.mark.anyio

LOG = logger("test")
SIGNAL = subjects.signal("s")


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RestartableServer]:
    async with restartable_server(tmp_path, free_port()) as running:
        yield running


@pytest.fixture
async def bus(server: RestartableServer) -> AsyncIterator[NatsBus]:
    async with connect_bus(server.url, name="test", log=LOG) as connected:
        await connected.log.declare(small_topology())
        yield connected


async def keep(bus: NatsBus, subject: str, first: int, end: int) -> None:
    for i in range(first, end):
        await publish_with_retry(bus.log, subject, b"%d" % i, msg_id=f"i{i}", log=LOG)


async def test_replay_continues_after_restart_without_gap_or_repetition(
    server: RestartableServer, bus: NatsBus
) -> None:
    await keep(bus, SIGNAL, 0, 20)
    seen: list[bytes] = []
    async with bus.log.replay(storage.SIGNALS, (subjects.SIGNALS,)) as messages:
        with fail_after(30):
            while len(seen) < 40:
                seen.append((await anext(messages)).message.data)
                if len(seen) == 10:
                    await server.kill_and_restart()
                    await keep(bus, SIGNAL, 20, 40)
    assert seen == [b"%d" % i for i in range(40)]


async def test_a_replay_from_a_time_survives_a_restart_before_the_first_message(
    server: RestartableServer, bus: NatsBus
) -> None:
    await keep(bus, SIGNAL, 0, 3)
    now_ns = time.time_ns()
    seen: list[bytes] = []
    async with (
        bus.log.replay(storage.SIGNALS, (subjects.SIGNALS,), start_time_ns=now_ns) as messages,
        anyio.create_task_group() as tasks,
    ):

        async def take() -> None:
            seen.append((await anext(messages)).message.data)

        with fail_after(30):
            tasks.start_soon(take)
            await server.kill_and_restart()
            await keep(bus, SIGNAL, 3, 4)
    assert seen == [b"3"]


async def test_a_consumer_that_waits_gets_what_comes_after_a_restart(
    server: RestartableServer, bus: NatsBus
) -> None:
    taken: list[Delivery] = []
    async with bus.log.consume(storage.WINDOWS, storage.COMPUTE_WINDOWS) as consumer:

        async def take() -> None:
            taken.append(await consumer.next())

        with fail_after(30):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(take)
                await server.kill_and_restart()
                await keep(bus, subjects.window("s", "a"), 0, 1)
        await taken[0].ack()
    assert taken[0].stored.message.data == b"0"


async def test_storing_while_the_server_is_away_fails_as_something_that_passes(
    server: RestartableServer, bus: NatsBus
) -> None:
    server.kill()
    with pytest.raises(BusError) as caught, fail_after(20):
        await bus.log.store(SIGNAL, b"x", msg_id="x")
    assert caught.value.transient
    await server.restart()
    ack = await publish_with_retry(bus.log, SIGNAL, b"x", msg_id="x", log=LOG)
    assert (ack.stream, ack.seq) == (storage.SIGNALS, 1)


async def test_what_was_acknowledged_is_there_after_a_kill(
    server: RestartableServer, bus: NatsBus
) -> None:
    await keep(bus, SIGNAL, 0, 50)
    bucket = await bus.log.bucket(storage.KV_STREAMS)
    await bucket.put("k", b"v")
    await server.kill_and_restart()
    with fail_after(20):
        await keep(bus, SIGNAL, 50, 51)
    assert await bus.log.last_seq(storage.SIGNALS) == 51
    entry = await bucket.get("k")
    assert entry is not None
    assert entry.value == b"v"


async def test_a_server_that_stalled_hands_out_what_was_asked_for_and_no_more(
    server: RestartableServer, bus: NatsBus
) -> None:
    async with bus.log.consume(storage.WINDOWS, storage.COMPUTE_WINDOWS) as consumer:
        server.pause()
        with anyio.move_on_after(4.0) as stalled:  # long enough to ask three times
            await consumer.next()
        assert stalled.cancelled_caught
        server.resume()
        await keep(bus, subjects.window("s", "a"), 0, 20)
        with fail_after(10):
            delivery = await consumer.next()
            backlog = await counted_backlog(bus, 20)
        assert (backlog.waiting, backlog.in_flight) == (19, 1)
        await delivery.ack()


async def test_a_read_that_was_cancelled_while_its_request_was_lost_has_no_hole(
    server: RestartableServer, bus: NatsBus
) -> None:
    """The reply still arrives later; the reply to a second request would be "no messages"."""
    await keep(bus, SIGNAL, 0, 100)  # two requests bring them
    with fail_after(30):
        async with bus.log.read(storage.SIGNALS, (SIGNAL,)) as messages:
            seen = [(await anext(messages)).seq for _ in range(64)]
            server.pause()
            with anyio.move_on_after(0.1):
                await anext(messages)
            await anyio.sleep(2 * SILENCE_S)  # the request is declared lost while no reader waits
            server.resume()
            seen += [stored.seq async for stored in messages]
    assert seen == list(range(1, 101))


async def test_a_read_whose_answer_came_while_the_process_was_busy_has_no_hole(
    server: RestartableServer, bus: NatsBus
) -> None:
    await keep(bus, SIGNAL, 0, 100)  # two requests bring them

    async def be_busy() -> None:
        await anyio.wait_all_tasks_blocked()
        server.resume()
        time.sleep(1.2 * SILENCE_S)  # noqa: ASYNC251 - the event loop is held up

    with fail_after(30):
        async with bus.log.read(storage.SIGNALS, (SIGNAL,)) as messages:
            seen = [(await anext(messages)).seq for _ in range(64)]
            server.pause()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(be_busy)
                seen += [stored.seq async for stored in messages]
    assert seen == list(range(1, 101))


async def counted_backlog(bus: Bus, messages: int) -> Backlog:
    """Return the backlog once it counts all messages: a consumer learns of them after the log."""
    while True:
        backlog = await bus.log.backlog(storage.WINDOWS, storage.COMPUTE_WINDOWS)
        if backlog.waiting + backlog.in_flight == messages:
            return backlog


async def test_replay_continues_after_stall_without_gap_or_repetition(
    server: RestartableServer, bus: NatsBus
) -> None:
    await keep(bus, SIGNAL, 0, 10)
    async with bus.log.replay(storage.SIGNALS, (subjects.SIGNALS,)) as messages:
        seen = [(await anext(messages)).message.data for _ in range(10)]
        server.pause()
        with anyio.move_on_after(3.0) as stalled:
            await anext(messages)
        assert stalled.cancelled_caught
        server.resume()
        await keep(bus, SIGNAL, 10, 20)
        with fail_after(20):
            seen += [(await anext(messages)).message.data for _ in range(10)]
    assert seen == [b"%d" % i for i in range(20)]


async def test_leaving_a_server_that_stalled_does_not_take_long(server: RestartableServer) -> None:
    with fail_after(8):
        async with connect_bus(server.url, name="test", log=LOG):
            server.pause()
    server.resume()


async def test_closing_connection_to_unreachable_server_is_not_an_error(
    server: RestartableServer,
) -> None:
    with fail_after(20):
        async with connect_bus(server.url, name="test", log=LOG) as bus:
            server.kill()
            with pytest.raises(BusError):
                await bus.request("a", b"nobody hears it", timeout_s=0.2)
            await bus.publish("a", b"waits for a server")


async def test_leaving_a_server_that_stalled_leaves_nothing_behind(
    server: RestartableServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with connect_bus(server.url, name="test", log=LOG) as bus:
        with pytest.raises(NoRespondersError):
            await bus.request("nobody", b"", timeout_s=10)
        server.pause()
    server.resume()
    gc.collect()
    assert caplog.records == []


async def test_leaving_a_server_that_stalls_meanwhile_leaves_nothing_behind(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A drain that was cancelled left a future whose exception nothing retrieved."""
    answered = 0

    async def answer(stream: anyio.abc.SocketStream) -> None:
        nonlocal answered
        async with stream:
            await stream.send(b'INFO {"max_payload":1048576,"headers":true}\r\n')
            async for received in stream:
                for _ in range(received.count(b"PING\r\n")):
                    answered += 1
                    if answered <= 2:  # to connect, and to leave
                        await stream.send(b"PONG\r\n")

    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0) as listener,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(listener.serve, answer)
        url = f"nats://127.0.0.1:{listener.extra(anyio.abc.SocketAttribute.local_port)}"
        async with connect_bus(url, name="test", log=LOG) as bus:
            with pytest.raises(BusError):
                await bus.request("a", b"", timeout_s=0.01)
        tasks.cancel_scope.cancel()
    gc.collect()
    assert answered >= 2
    assert caplog.records == []


async def test_leaving_a_server_that_reads_no_more_closes_the_connection() -> None:
    """The driver gave up before it came to that; the socket stayed until the process ended."""
    left, closed = anyio.Event(), anyio.Event()

    async def answer(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            await stream.send(b'INFO {"max_payload":8388608,"headers":true}\r\n')
            while b"PING" not in await stream.receive():
                pass
            await stream.send(b"PONG\r\n")
            await left.wait()
            with suppress(anyio.BrokenResourceError, anyio.EndOfStream):
                while True:
                    await stream.receive()
        closed.set()

    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0) as listener,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(listener.serve, answer)
        url = f"nats://127.0.0.1:{listener.extra(anyio.abc.SocketAttribute.local_port)}"
        async with connect_bus(url, name="test", log=LOG) as bus:
            with anyio.move_on_after(1):  # more than the system holds for a socket
                while True:
                    await bus.publish("a", bytes(8_000_000))
        left.set()
        with fail_after(10):
            await closed.wait()
        tasks.cancel_scope.cancel()


async def test_leaving_while_reconnecting_ends_every_connection() -> None:
    """On Python 3.11 the driver's task could ignore its cancellation and reconnect forever."""
    opened, closed = 0, 0

    async def answer(stream: anyio.abc.SocketStream) -> None:
        nonlocal opened, closed
        opened += 1
        async with stream:
            if opened == 1:
                await stream.send(b'INFO {"max_payload":8388608,"headers":true}\r\n')
                while b"PING" not in await stream.receive():
                    pass
                await stream.send(b"PONG\r\n")
            else:
                await stream.send(b"-ERR 'starting'\r\n")
                with suppress(anyio.BrokenResourceError, anyio.EndOfStream):
                    while True:
                        await stream.receive()
        closed += 1

    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0) as listener,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(listener.serve, answer)
        url = f"nats://127.0.0.1:{listener.extra(anyio.abc.SocketAttribute.local_port)}"
        with fail_after(10):
            async with connect_bus(url, name="test", log=LOG):
                while opened < 2:
                    await anyio.lowlevel.checkpoint()
                # Now the second connection is just established.
            while closed < opened:
                await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()


async def test_subscribing_while_the_server_is_killed_takes_effect_on_the_next_one(
    server: RestartableServer, bus: NatsBus
) -> None:
    """The service ended with "nats: flush timeout": its ping went to the server that was killed."""
    server.pause()
    subscribed = anyio.Event()

    async def listen() -> None:
        async with bus.subscribe("t") as subscription:
            subscribed.set()
            async for message in subscription:
                assert message.data == b"x"
                return

    with fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listen)
            await anyio.wait_all_tasks_blocked()
            await server.kill_and_restart()
            await subscribed.wait()
            await bus.publish("t", b"x")


async def test_messages_as_large_as_can_be_do_not_cut_the_reader_off(tmp_path: Path) -> None:
    body = bytes(MAX_MESSAGE_BYTES)
    async with (
        start_server(tmp_path) as server,
        connect_bus(server.url, name="test", log=LOG) as bus,
    ):
        await bus.log.declare(system_topology(StorageSettings()))
        for i in range(16):
            await bus.log.store(SIGNAL, body, msg_id=f"{i}")
        async with bus.log.replay(storage.SIGNALS, (subjects.SIGNALS,)) as messages:
            with fail_after(30):
                first = await anext(messages)
                # A slow reader: the server could send all the rest meanwhile.
                await bus.request("$SYS.REQ.USER.INFO", b"", timeout_s=5)
                rest = [await anext(messages) for _ in range(15)]
    assert [stored.seq for stored in (first, *rest)] == list(range(1, 17))


async def test_a_publisher_loses_and_repeats_nothing_while_its_server_is_killed_twice(
    server: RestartableServer, bus: NatsBus
) -> None:
    chunks, n = 120, 4
    patient = RetryPolicy(first_delay_s=0.05, max_delay_s=0.5, max_tries=None)
    with fail_after(60):
        async with (
            Client(bus).publisher("s", "e", retry=patient) as publisher,
            anyio.create_task_group() as tasks,
        ):
            for number in range(chunks):
                await publisher.publish(np.full(n, number, "<i2"))
                if number in {30, 80}:
                    tasks.start_soon(server.kill_and_restart)
                    await anyio.lowlevel.checkpoint()  # the kill comes while chunks are under way
        async with bus.log.replay(storage.SIGNALS, (subjects.SIGNALS,)) as messages:
            stored = [(await anext(messages)).message for _ in range(chunks)]
    kept = [decode_chunk(each.headers, each.data, 1) for each in stored]
    assert sorted(chunk.first_sample or 0 for chunk in kept) == list(range(0, chunks * n, n))
    assert await bus.log.last_seq(storage.SIGNALS) == chunks
    assert all((chunk.samples == (chunk.first_sample or 0) // n).all() for chunk in kept)
    assert publisher.kept == chunks
    assert publisher.resent > 0
