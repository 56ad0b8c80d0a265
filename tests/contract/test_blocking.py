"""The blocking face does what the client does, over a real server."""

from __future__ import annotations

import inspect
import signal
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from functools import partial

import anyio
import numpy as np
import pytest
from anyio import from_thread, to_thread

import pycwt_client
from cwt_runtime.bus import Bus
from cwt_runtime.bus.errors import StorageFullError
from cwt_runtime.bus.nats import connect_bus
from cwt_runtime.retry import RetryPolicy
from cwt_runtime.telemetry.logs import logger
from cwt_schemas import storage, subjects
from cwt_schemas.codec import ContentType, encode
from cwt_schemas.errors import Unavailable
from cwt_schemas.headers import CONTENT_TYPE
from pycwt_client import blocking
from pycwt_client.blocking.face import Blocking, opening, waiting
from tests.contract.conftest import SMALL_STREAM_BYTES, small_topology
from tests.deadlines import fail_after
from tests.unit.client.blocks import block

pytestmark = pytest.mark.anyio

MSGPACK = {CONTENT_TYPE: ContentType.MSGPACK.value}


@pytest.fixture
async def declared(nats_url: str) -> AsyncIterator[tuple[str, Bus]]:
    """A server with the system's streams: its address, and a bus to look at it."""
    async with connect_bus(nats_url, name="test", log=logger("test")) as bus:
        await bus.log.declare(small_topology())
        yield nats_url, bus


async def store(bus: Bus, first: int) -> None:
    each = block(0, first)
    body = encode(each, ContentType.MSGPACK)
    await bus.log.store(subjects.result("s", "a"), body, msg_id=each.id, headers=MSGPACK)


async def test_chunks_are_published_and_stored(declared: tuple[str, Bus]) -> None:
    url, bus = declared

    def publish() -> int:
        with blocking.connect(url) as client, client.publisher("s", "e") as publisher:
            publisher.publish(np.zeros((5, 2)))
            publisher.publish(np.zeros((5, 2)))
            publisher.finish()
        return publisher.kept

    assert await to_thread.run_sync(publish) == 2
    assert await bus.log.last_seq(storage.SIGNALS) == 3


async def test_reading_results_continues_after_timeout(
    declared: tuple[str, Bus],
) -> None:
    url, bus = declared
    await store(bus, 0)

    def read() -> list[int]:
        with blocking.connect(url) as client, client.results("s") as results:
            found = [next(results).t.first_sample]
            with pytest.raises(TimeoutError):
                results.read(timeout_s=0.05)
            from_thread.run(store, bus, 4)
            found.append(results.read(timeout_s=10).t.first_sample)
            return [*found, results.seq]

    assert await to_thread.run_sync(read) == [0, 4, 2]


async def test_a_notebook_opens_in_one_cell_and_closes_in_another(
    declared: tuple[str, Bus],
) -> None:
    def cells() -> int:
        client = blocking.connect(declared[0])
        publisher = client.publisher("s", "e")
        publisher.publish(np.zeros(3))
        publisher.close()
        publisher.close()
        client.close()
        return publisher.kept

    assert await to_thread.run_sync(cells) == 1


async def test_a_full_log_reaches_the_caller(declared: tuple[str, Bus]) -> None:
    retry = RetryPolicy(first_delay_s=0.0, max_tries=2)

    def overflow() -> None:
        with (
            blocking.connect(declared[0]) as client,
            client.publisher("s", "e", retry=retry) as publisher,
        ):
            for _ in range(2 + SMALL_STREAM_BYTES // 8000):
                publisher.publish(np.zeros(1000))

    with pytest.raises(StorageFullError):
        await to_thread.run_sync(overflow)


def test_without_a_server_connecting_says_how_to_start_one() -> None:
    with pytest.raises(Unavailable, match="pycwt-mod up"):
        blocking.connect("nats://127.0.0.1:1", timeout_s=0.05)
    assert not [each for each in threading.enumerate() if each.name == "pycwt-client"]


async def test_closing_the_client_closes_what_it_opened(declared: tuple[str, Bus]) -> None:
    def forget() -> tuple[int, list[int]]:
        client = blocking.connect(declared[0])
        client.results("s")
        publisher = client.publisher("s", "e")
        publisher.push(np.zeros(3))
        client.close()
        client.close()
        return publisher.kept, [publisher.next_sample]

    with fail_after(20):
        assert await to_thread.run_sync(forget, abandon_on_cancel=True) == (1, [3])


async def test_closed_object_raises(declared: tuple[str, Bus]) -> None:
    def misuse() -> None:
        client = blocking.connect(declared[0])
        results, publisher, job = client.results("s"), client.publisher("s", "e"), client.job("j")
        results.close()
        with pytest.raises(RuntimeError, match="closed"):
            results.read(timeout_s=1)
        client.close()
        for call in (client.health, job.state, partial(client.results, "s")):
            with pytest.raises(RuntimeError, match="closed"):
                call()
        with pytest.raises(RuntimeError, match="closed"):
            publisher.publish(np.zeros(3))

    await to_thread.run_sync(misuse)


async def test_closing_the_client_ends_a_call_that_waits_in_another_thread(
    declared: tuple[str, Bus],
) -> None:
    url, bus = declared
    await store(bus, 0)
    client = await to_thread.run_sync(blocking.connect, url)
    results = await to_thread.run_sync(client.results, "s")
    reads = threading.Event()

    def read() -> None:
        next(results)
        reads.set()
        with pytest.raises(RuntimeError, match="closed while"):
            next(results)

    def close() -> None:
        assert reads.wait(10)
        client.close()

    with fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(to_thread.run_sync, read, abandon_on_cancel=True))
            tasks.start_soon(partial(to_thread.run_sync, close, abandon_on_cancel=True))


async def test_unclosed_client_ends_and_pushed_samples_are_stored(
    declared: tuple[str, Bus],
) -> None:
    url, bus = declared
    program = f"""
import numpy as np
from pycwt_client import blocking

client = blocking.connect({url!r})
publisher = client.publisher("s", "e", batch_s=600)
publisher.push(np.zeros(3))
"""
    with fail_after(60):
        await anyio.run_process([sys.executable, "-W", "error", "-c", program], check=True)
    assert await bus.log.last_seq(storage.SIGNALS) == 1


async def test_an_error_in_the_body_comes_out_as_it_is(declared: tuple[str, Bus]) -> None:
    fault = KeyError("of the caller")

    def fail() -> None:
        with blocking.connect(declared[0]) as client, client.publisher("s", "e") as publisher:
            publisher.publish(np.zeros(3))
            raise fault

    with pytest.raises(KeyError) as raised:
        await to_thread.run_sync(fail)
    assert raised.value is fault


class Sleeper:
    """Wait until cancelled, and record the cancellation."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.cancelled = threading.Event()

    async def sleep(self) -> None:
        self.begun.set()
        try:
            await anyio.sleep_forever()
        finally:
            self.cancelled.set()


class Face(Blocking[Sleeper]):
    sleep = waiting(Sleeper.sleep)


class Interrupt:
    """Ctrl-C, once `own` has begun; however often the signal has to be sent, it is taken once."""

    def __init__(self, own: Sleeper) -> None:
        self._own = own
        self._taken = threading.Event()

    def take(self, *_: object) -> None:
        if not self._taken.is_set():
            self._taken.set()
            raise KeyboardInterrupt

    def send(self) -> None:
        assert self._own.begun.wait(10)
        # One that comes right before the main thread begins to wait does not wake it.
        while not self._taken.wait(0.05):
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


@contextmanager
def interrupted(own: Sleeper) -> Iterator[None]:
    """Interrupt what is done inside, whoever started the tests and may ignore interrupts."""
    interrupt = Interrupt(own)
    before = signal.signal(signal.SIGINT, interrupt.take)
    thread = threading.Thread(target=interrupt.send)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            yield
    finally:
        own.begun.set()
        thread.join()
        signal.signal(signal.SIGINT, before)


def test_an_interrupt_ends_the_call_in_the_other_thread_as_well() -> None:
    own = Sleeper()
    with from_thread.start_blocking_portal() as portal:
        with interrupted(own):
            Face(portal, own, ExitStack()).sleep()
        assert own.cancelled.wait(10)


class Opener:
    """Opens what waits for ever, before it is open, inside, or when it is left."""

    def __init__(self, waits: str) -> None:
        self.waits = waits
        self.sleeper = Sleeper()
        self.left = threading.Event()

    @asynccontextmanager
    async def sleeper_of(self) -> AsyncIterator[Sleeper]:
        try:
            if self.waits == "entering":
                await self.sleeper.sleep()
            yield self.sleeper
            if self.waits == "leaving":
                await self.sleeper.sleep()
        finally:
            self.left.set()


class OpenerFace(Blocking[Opener]):
    sleeper_of = opening(Opener.sleeper_of, Face)


@pytest.mark.parametrize("when", ["entering", "inside", "leaving"])
def test_an_interrupt_at_any_time_leaves_what_is_open_and_the_loop_running(when: str) -> None:
    own = Opener(when)
    with from_thread.start_blocking_portal() as portal:
        with interrupted(own.sleeper), OpenerFace(portal, own, ExitStack()).sleeper_of() as opened:
            if when == "inside":
                opened.sleep()
        assert own.left.wait(10)
        assert portal.call(anyio.sleep, 0) is None


def test_the_blocking_client_can_do_what_the_other_can() -> None:
    public = {name for name in dir(pycwt_client.Client) if name[0] != "_"}
    assert public - {"bus"} == {name for name in vars(blocking.Client) if name[0] != "_"}
    said = inspect.signature(blocking.Client.put_stream)
    assert said == inspect.signature(pycwt_client.Client.put_stream)
