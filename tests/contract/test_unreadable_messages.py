"""What no NATS client of good manners sends, and the server passes on."""

from __future__ import annotations

from functools import partial
from urllib.parse import urlsplit

import anyio
import orjson
import pytest
from nats.aio.msg import Msg

from cwt_runtime.bus.nats.client import OrderedClient
from tests.deadlines import fail_after

pytestmark = pytest.mark.anyio

#: By a device whose author wrote the protocol by hand. Each one ended the driver's reading, for
#: good or until it had connected again.
LINES = {
    "the subject is not text": b"PUB t.\xff 1\r\nx\r\n",
    "the reply is not text": b"PUB t.a \xff 1\r\nx\r\n",
    "the header block is too short": b"HPUB t.a 3 4\r\n\x00\x01\x02x\r\n",
    "the status is not text": b"HPUB t.a 15 16\r\nNATS/1.0 \xff\xff\r\n\r\nx\r\n",
    "white space in the subject": b"PUB t.\x0bfoo 1\r\nx\r\n",
}


@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
@pytest.mark.parametrize("straight", [False, True])
async def test_unreadable_message_ends_no_subscription(
    nats_url: str, line: bytes, *, straight: bool
) -> None:
    client, send = OrderedClient(), anyio.create_memory_object_stream[Msg](10)
    await client.connect(nats_url)
    subscribe = client.subscribe_straight if straight else partial(_with_callback, client)
    await subscribe("t.*", send[0].send)
    await client.flush()
    with fail_after(5):
        await _publish_raw(nats_url, line)
        await _publish_raw(nats_url, b"PUB t.next 4\r\nnext\r\n")
        assert (await send[1].receive()).data == b"x"
        assert (await send[1].receive()).data == b"next"
    assert client.stats["reconnects"] == 0
    await client.leave()
    send[0].close()
    send[1].close()


async def _with_callback(client: OrderedClient, subject: str, take: object) -> None:
    await client.subscribe(subject, cb=take)  # type: ignore[arg-type]


async def _publish_raw(url: str, line: bytes) -> None:
    at = urlsplit(url)
    options = {"verbose": False, "headers": True, "user": at.username, "pass": at.password}
    async with await anyio.connect_tcp(str(at.hostname), int(at.port or 0)) as stream:
        await stream.send(b"CONNECT %b\r\n%bPING\r\n" % (orjson.dumps(options), line))
        answer = b""
        while b"PONG\r\n" not in answer:
            answer += await stream.receive()
