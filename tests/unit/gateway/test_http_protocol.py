"""Clients that are slow, silent, or too many do not hold the gateway's connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

import anyio
import anyio.abc
import httpx
import pytest
import uvicorn
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin

from cwt_gateway.app import listen, make_app, server_config
from cwt_gateway.guards import OriginGuard
from cwt_gateway.http_protocol import HttpProtocol
from cwt_gateway.problems import PROBLEM_TYPE
from cwt_gateway.settings import GatewaySettings
from cwt_gateway.socket_protocol import SocketProtocol
from cwt_runtime.telemetry.logs import logger
from tests.deadlines import SCALE, fail_after
from tests.memory_bus import MemoryBus

pytestmark = pytest.mark.anyio

REQUEST_S = 0.1 * SCALE
READ_S = 0.1 * SCALE
PING_S = 0.1 * SCALE
MESSAGES = 10
#: More than all buffers between a server and a client that does not read.
LARGE = b"x" * 32 * 1024**2
GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Hasty(HttpProtocol):
    max_connections = 3
    request_s = REQUEST_S
    read_s = READ_S


class Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serving(app: ASGIApp, http: type[HttpProtocol] = Hasty) -> AsyncIterator[int]:
    """Serve `app` on the port that is yielded."""
    with listen("127.0.0.1", 0) as listening:
        server = Server(
            uvicorn.Config(
                app, http=http, ws=SocketProtocol, lifespan="off", log_config=None,
                timeout_keep_alive=60, ws_ping_interval=PING_S, ws_ping_timeout=PING_S,
            )
        )  # fmt: skip
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.serve, [listening])
            yield listening.getsockname()[1]
            server.should_exit = True


async def short(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("reached")(scope, receive, send)


async def large(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse(LARGE)(scope, receive, send)


async def rest(connection: anyio.abc.SocketStream) -> bytes:
    """Return what comes until the connection ends."""
    received = b""
    with fail_after(30):
        try:
            while True:
                received += await connection.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return received


async def got(connection: anyio.abc.SocketStream) -> bytes:
    """Send a request and return the beginning of the response."""
    await connection.send(GET)
    with fail_after(30):
        return await connection.receive()


async def test_a_connection_without_a_request_is_closed() -> None:
    async with serving(short) as port, await anyio.connect_tcp("127.0.0.1", port) as silent:
        assert await rest(silent) == b""


def test_an_idle_connection_is_open_for_longer_than_clients_keep_one() -> None:
    config = server_config(short, GatewaySettings(), MemoryBus())
    clients_s = httpx.Limits().keepalive_expiry
    assert clients_s is not None
    assert config.http is HttpProtocol
    assert min(config.timeout_keep_alive, HttpProtocol.request_s) >= 2 * clients_s


async def test_a_request_that_comes_byte_by_byte_is_given_up_on() -> None:
    async with serving(short) as port, await anyio.connect_tcp("127.0.0.1", port) as slow:
        assert b"200" in await got(slow)
        with fail_after(30), suppress(anyio.BrokenResourceError):
            while True:
                await slow.send(b"X")
                await anyio.sleep(REQUEST_S / 10)  # what is tested is the time it takes


async def test_the_rest_of_a_refused_body_is_not_waited_for() -> None:
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n"
    async with serving(short) as port, await anyio.connect_tcp("127.0.0.1", port) as slow:
        await slow.send(head)
        assert (await rest(slow)).endswith(b"reached")


async def test_a_client_that_does_not_read_its_response_is_given_up_on() -> None:
    async with serving(large) as port, await anyio.connect_tcp("127.0.0.1", port) as stalled:
        assert b"200" in await got(stalled)
        await anyio.sleep(3 * READ_S)  # the client's own doing
        assert len(await rest(stalled)) < len(LARGE)


async def test_a_client_that_reads_slowly_gets_all_of_its_response() -> None:
    async with serving(large) as port, await anyio.connect_tcp("127.0.0.1", port) as slow:
        size = len(await got(slow))
        began = asyncio.get_running_loop().time()
        with fail_after(60):
            while size < len(LARGE):
                size += len(await slow.receive())
                if asyncio.get_running_loop().time() < began + 3 * READ_S:
                    await anyio.sleep(READ_S / 5)  # the client's own doing


async def test_new_connection_replaces_longest_idle_one() -> None:
    async with serving(short) as port:
        idle = [await anyio.connect_tcp("127.0.0.1", port) for _ in range(Hasty.max_connections)]
        async with await anyio.connect_tcp("127.0.0.1", port) as newcomer:
            assert b"200" in await got(newcomer)
            assert b"200" in await got(idle[-1])
            assert await rest(idle[0]) == b""
        for each in idle:
            await each.aclose()


async def test_new_connection_is_refused_while_all_are_busy() -> None:
    release = anyio.Event()

    async def waits(scope: Scope, receive: Receive, send: Send) -> None:
        await release.wait()
        await short(scope, receive, send)

    async with serving(waits) as port:
        busy = [await anyio.connect_tcp("127.0.0.1", port) for _ in range(Hasty.max_connections)]
        for each in busy:
            await each.send(GET)
        async with await anyio.connect_tcp("127.0.0.1", port) as newcomer:
            refused = await rest(newcomer)
        assert refused.startswith(b"HTTP/1.1 429 ")
        assert b"overloaded" in refused
        assert b"retry-after" in refused.lower()
        release.set()
        for each in busy:
            with fail_after(30):
                assert b"200" in await each.receive()
            await each.aclose()


async def test_a_socket_is_not_taken_for_a_request_that_does_not_come() -> None:
    async def echo(_scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        text = (await receive())["text"]
        await send({"type": "websocket.send", "text": text})

    async with serving(echo) as port, connect(f"ws://127.0.0.1:{port}") as client:
        await anyio.sleep(2 * REQUEST_S)  # what is tested is that nothing happens
        await client.send("still there")
        assert await client.recv() == "still there"


async def test_client_with_queued_messages_is_not_disconnected() -> None:
    """Its pong lies behind them: reading pauses while they wait."""

    async def busy(_scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await anyio.sleep(5 * PING_S)  # a computation
        for _ in range(MESSAGES):
            await receive()
        await send({"type": "websocket.send", "text": "all"})
        await receive()

    async with serving(busy) as port, connect(f"ws://127.0.0.1:{port}") as client:
        for _ in range(MESSAGES):
            await client.send("x")
        with fail_after(30):
            assert await client.recv() == "all"


async def test_a_foreign_page_gets_the_reason_over_a_websocket() -> None:
    async with serving(OriginGuard(short, ())) as port:
        with pytest.raises(InvalidStatus) as refused:
            async with connect(f"ws://127.0.0.1:{port}", origin=Origin("http://evil.example")):
                raise AssertionError
    assert refused.value.response.status_code == 403
    assert b"foreign_origin" in refused.value.response.body


@pytest.mark.parametrize("path", ["/ws/none", "/ws/stream/wct/", "/live", "/api/v1/streams/a"])
async def test_a_websocket_at_a_path_that_has_none_gets_problem_details(path: str) -> None:
    app = make_app(MemoryBus(), GatewaySettings(), log=logger("gateway"))
    async with serving(app) as port:
        with pytest.raises(InvalidStatus) as refused:
            async with connect(f"ws://127.0.0.1:{port}{path}"):
                raise AssertionError
    response = refused.value.response
    assert response.status_code == 404
    assert response.headers["content-type"] == PROBLEM_TYPE
    assert b"/ws/streams/{name}" in response.body


@pytest.mark.parametrize("path", ["/ws/stream/wct", "/ws/streams/a"])
async def test_a_request_for_a_websocket_says_that_it_is_one(path: str) -> None:
    app = make_app(MemoryBus(), GatewaySettings(), log=logger("gateway"))
    async with serving(app) as port, httpx.AsyncClient() as http:
        reply = await http.get(f"http://127.0.0.1:{port}{path}")
    assert (reply.status_code, reply.json()["code"]) == (426, "upgrade_required")
    assert reply.headers["upgrade"] == "websocket"
