"""Messages that another client publishes to the inboxes of a service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import nats
import pytest
from nats.aio.client import Client as Driver
from nats.aio.msg import Msg

from cwt_runtime.bus import Bus
from cwt_runtime.bus.errors import BusUnreachableError
from cwt_runtime.bus.nats import connect_bus
from cwt_runtime.telemetry import metrics
from cwt_runtime.telemetry.logs import logger
from cwt_schemas import storage, subjects
from tests.contract.conftest import small_topology
from tests.deadlines import fail_after
from tests.servers import processed

pytestmark = pytest.mark.anyio

LOG = logger("test")

#: Reply subject, status line and body; sent to an inbox in which a service waits for messages. The
#: server itself refuses messages of clients whose reply subject begins with ``$JS.ACK``.
FORGED = {
    "a reply of one token": ("x", None, b"x"),
    "a reply of nine tokens": ("a.b.c.d.e.f.g.h.i", None, b"x"),
    "a reply like that of a delivery": ("JS.ACK.CWT_SIGNALS.c.1.1.1.1.0", None, b"x"),
    "no reply and no status": ("", None, b"x"),
    "no reply, and JSON": ("", None, b'{"type": 1, "error": []}'),
    "an error that is not one": (
        "",
        None,
        b'{"type": "io.nats.jetstream.api.v1.consumer_create_response", "error": 1}',
    ),
    "an unknown status": ("", "999 Nonsense", b""),
}


@asynccontextmanager
async def stranger(url: str) -> AsyncIterator[tuple[Driver, anyio.abc.ObjectReceiveStream[Msg]]]:
    """Yield a client outside the system, and the JetStream requests that it receives."""
    async with await nats.connect(url) as driver:
        send, receive = anyio.create_memory_object_stream[Msg](1000)
        await driver.subscribe("$JS.API.CONSUMER.>", cb=send.send)
        await processed(driver)
        with send, receive:
            yield driver, receive


async def forge(driver: Driver, inbox: str, reply: str, status: str | None, body: bytes) -> None:
    """Publish to an inbox; a status line needs the protocol itself."""
    if status is None:
        await driver.publish(inbox, body, reply=reply)
    else:
        block = f"NATS/1.0 {status}\r\n\r\n".encode()
        sizes = f"{len(block)} {len(block) + len(body)}"
        line = f"HPUB {inbox} {sizes}\r\n".encode() + block + body + b"\r\n"
        await driver._send_command(line)
    await processed(driver)


def ignored() -> float:
    return float(metrics.BUS_IGNORED._value.get())


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED)
async def test_a_reader_ignores_what_its_consumer_did_not_send(
    nats_url: str, forged: tuple[str, str | None, bytes]
) -> None:
    subject = subjects.signal("s")
    async with connect_bus(nats_url, name="test", log=LOG) as bus:
        await bus.log.declare(small_topology())
        await bus.log.store(subject, b"1", msg_id="1")
        async with (
            stranger(nats_url) as (driver, requests),
            bus.log.replay(storage.SIGNALS, (subject,)) as messages,
        ):
            with fail_after(20):
                assert (await anext(messages)).message.data == b"1"
                before = ignored()
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(_forge_when_pulled, driver, requests, forged, bus, subject)
                    assert (await anext(messages)).message.data == b"2"
                assert ignored() > before


async def _forge_when_pulled(
    driver: Driver,
    requests: anyio.abc.ObjectReceiveStream[Msg],
    forged: tuple[str, str | None, bytes],
    bus: Bus,
    subject: str,
) -> None:
    async for request in requests:
        await forge(driver, request.reply, *forged)
        if ".MSG.NEXT." in request.subject:
            break
    await bus.log.store(subject, b"2", msg_id="2")


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED)
async def test_a_worker_ignores_what_its_queue_did_not_send(
    nats_url: str, forged: tuple[str, str | None, bytes]
) -> None:
    async with connect_bus(nats_url, name="test", log=LOG) as bus:
        await bus.log.declare(small_topology())
        async with (
            stranger(nats_url) as (driver, requests),
            bus.log.consume(storage.WINDOWS, storage.COMPUTE_WINDOWS) as queue,
        ):
            with fail_after(20):
                before = ignored()
                subject = subjects.window("s", "a")
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(_forge_when_pulled, driver, requests, forged, bus, subject)
                    delivery = await queue.next()
                assert delivery.stored.message.data == b"2"
                assert ignored() > before


@pytest.mark.parametrize("body", [b"x", b"", b"[]", b"1", b"{}", b'{"error": 1}', b"\xff"])
async def test_forged_acknowledgement_is_a_transient_error(nats_url: str, body: bytes) -> None:
    async with (
        connect_bus(nats_url, name="test", log=LOG) as bus,
        await nats.connect(nats_url) as driver,
    ):

        async def answer(request: Msg) -> None:
            await driver.publish(request.reply, body)

        await driver.subscribe("t.stored", cb=answer)
        await processed(driver)
        with pytest.raises(BusUnreachableError):
            await bus.log.store("t.stored", b"x", msg_id="1")
