"""The blocking face does what the client does, over a real server."""

from __future__ import annotations

import inspect
import signal
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path

import anyio
import numpy as np
import pytest
from anyio import from_thread, to_thread

import pycwt_client
from pycwt_client import blocking
from pycwt_client.blocking.face import Blocking, waiting
from schemas import storage, subjects
from schemas.codec import ContentType, encode
from schemas.errors import Unavailable
from schemas.headers import CONTENT_TYPE
from services.runtime.bus import Bus
from services.runtime.embedded_server import start_server
from services.runtime.errors import StorageFullError
from services.runtime.logs import logger
from services.runtime.nats_bus import connect_bus
from services.runtime.retry import RetryPolicy
from tests.contract.conftest import SMALL_STREAM_BYTES, small_topology
from tests.unit.client.blocks import block

pytestmark = pytest.mark.anyio

MSGPACK = {CONTENT_TYPE: ContentType.MSGPACK.value}


@pytest.fixture
async def declared(tmp_path: Path) -> AsyncIterator[tuple[str, Bus]]:
    """A server with the system's streams: its address, and a bus to look at it."""
    async with (
        start_server(tmp_path / "nats") as server,
        connect_bus(server.url, name="test", log=logger("test")) as bus,
    ):
        await bus.log.declare(small_topology())
        yield server.url, bus


async def store(bus: Bus, first: int) -> None:
    each = block(0, first)
    body = encode(each, ContentType.MSGPACK)
    await bus.log.store(subjects.result("s", "a"), body, msg_id=each.id, headers=MSGPACK)


async def test_chunks_are_published_and_kept(declared: tuple[str, Bus]) -> None:
    url, bus = declared

    def publish() -> int:
        with blocking.connect(url) as client, client.publisher("s", "e") as publisher:
            publisher.publish(np.zeros((5, 2)))
            publisher.publish(np.zeros((5, 2)))
            publisher.finish()
        return publisher.kept

    assert await to_thread.run_sync(publish) == 2
    assert await bus.log.last_seq(storage.SIGNALS) == 3


async def test_results_are_read_and_the_reading_goes_on_after_a_timeout(
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


class Sleeper:
    """Waits for ever, and says when it was cancelled."""

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


@pytest.fixture
def _interruptible() -> Iterator[None]:
    """Whoever started the tests may ignore interrupts, as a shell does for what it sends behind."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_interruptible")
def test_an_interrupt_ends_the_call_in_the_other_thread_as_well() -> None:
    own = Sleeper()

    def interrupt() -> None:
        assert own.begun.wait(10)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    with from_thread.start_blocking_portal() as portal:
        threading.Thread(target=interrupt).start()
        with pytest.raises(KeyboardInterrupt):
            Face(portal, own, ExitStack()).sleep()
        assert own.cancelled.wait(10)


def test_the_blocking_client_can_do_what_the_other_can() -> None:
    public = {name for name in dir(pycwt_client.Client) if name[0] != "_"}
    assert public - {"bus"} == {name for name in vars(blocking.Client) if name[0] != "_"}
    said = inspect.signature(blocking.Client.put_stream)
    assert said == inspect.signature(pycwt_client.Client.put_stream)
