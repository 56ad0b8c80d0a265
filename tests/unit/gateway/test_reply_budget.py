"""Replies share a budget until their clients have read them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import httpx
import numpy as np
import orjson
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from cwt_gateway.app import make_app
from cwt_gateway.http_protocol import HttpProtocol
from cwt_gateway.reply_budget import PART_BYTES, SMALL_BYTES, ReplyGuard, hold_reply
from cwt_gateway.settings import GatewaySettings
from cwt_runtime.telemetry.logs import logger
from cwt_schemas import subjects
from cwt_schemas.codec import ContentType, encode_tree
from cwt_schemas.errors import Unavailable
from cwt_schemas.headers import CONTENT_TYPE
from tests.deadlines import fail_after
from tests.memory_bus import MemoryBus
from tests.unit.gateway.test_http_protocol import serving

pytestmark = pytest.mark.anyio

MIB = 1024**2
CWT = "/api/v1/wavelet/cwt"
#: A reply whose JSON, 17 MB, is larger than all buffers between the gateway and its client.
REPLY = encode_tree({"wave": np.random.default_rng(5).standard_normal(850_000)})
#: Enough for one while it is encoded, not for two.
BUDGET = 40 * MIB


@asynccontextmanager
async def worker(bus: MemoryBus) -> AsyncIterator[None]:
    """Answer every request for a transform."""

    async def answer() -> None:
        async with bus.subscribe(subjects.query("cwt")) as requests:
            ready.set()
            async for request in requests:
                assert request.reply is not None
                headers = {CONTENT_TYPE: ContentType.MSGPACK.value}
                await bus.publish(request.reply, REPLY, headers)

    ready = anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(answer)
        await ready.wait()
        yield
        tasks.cancel_scope.cancel()


async def test_a_reply_waits_for_the_memory_of_one_that_its_client_does_not_read() -> None:
    bus = MemoryBus()
    app = make_app(bus, GatewaySettings(http_replies_max_bytes=BUDGET), log=logger("gateway"))
    head = b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    async with worker(bus), serving(app, HttpProtocol) as port:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as http:
            async with await anyio.connect_tcp("127.0.0.1", port) as stalled:
                await stalled.send(head % CWT.encode() + b"Content-Length: 2\r\n\r\n{}")
                with fail_after(30):
                    assert (await stalled.receive()).startswith(b"HTTP/1.1 200 ")
                refused = await http.post(CWT, json={})
                assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
                assert refused.headers["retry-after"] == "1"
                assert (await http.get("/openapi.json")).status_code == 200
            with fail_after(30):
                while (reply := await http.post(CWT, json={})).status_code == 503:  # noqa: ASYNC110
                    await anyio.sleep(0.01)
        assert len(orjson.loads(reply.content)["wave"]) == 850_000


class Nested:
    """Replies of which each is held while the next one is asked for; the last one is sent."""

    def __init__(self, limit: int) -> None:
        self._guard = ReplyGuard(self._route, limit)

    async def ask(self, *sizes: int) -> list[int]:
        """Return the sizes of the parts in which the last reply is sent."""
        parts: list[int] = []

        async def send(message: Message) -> None:
            if message["type"] == "http.response.body":
                parts.append(len(message["body"]))
                assert message.get("more_body", False) == (sum(parts) < sizes[-1])

        await self._guard({"type": "http", "headers": [], "sizes": sizes}, nothing_comes, send)
        return parts

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        first, *others = scope["sizes"]
        hold_reply(Request(scope), first)
        if others:
            await self.ask(*others)
        else:
            await Response(bytes(first))(scope, receive, send)


async def nothing_comes() -> Message:
    raise AssertionError


async def test_a_single_reply_always_fits_and_is_sent_in_parts() -> None:
    assert await Nested(PART_BYTES).ask(2 * PART_BYTES + 1) == [PART_BYTES, PART_BYTES, 1]


async def test_a_reply_that_does_not_fit_beside_another_is_refused_until_that_is_over() -> None:
    replies = Nested(MIB)
    for _ in range(2):
        with pytest.raises(Unavailable) as refused:
            await replies.ask(MIB // 2, MIB // 2 + 1)
        assert (refused.value.detail or {})["retry_after_s"] == 1
        await replies.ask(MIB // 2, MIB // 2)


async def test_small_replies_pass_while_the_budget_is_used_up() -> None:
    replies = Nested(MIB)
    await replies.ask(MIB, SMALL_BYTES)
    with pytest.raises(Unavailable):
        await replies.ask(MIB, SMALL_BYTES + 1)
