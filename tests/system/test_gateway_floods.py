"""Floods of connections and frames: whoever asks meanwhile is answered."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress

import anyio
import orjson
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from cwt_runtime.settings import REQUESTS_MAX_BYTES
from tests.deadlines import SCALE, fail_after
from tests.system.conftest import running_system
from tests.system.gateway import RunningGateway, gateway_of

pytestmark = [pytest.mark.anyio, pytest.mark.system]

IDLE_SOCKETS = 1500
CLIENTS = 64
REQUESTS = 8
MIB = 1024**2
#: Bodies of 7 MiB that fit the budget together, and how many more come.
HELD = REQUESTS_MAX_BYTES // (7 * MIB)
REFUSED = 8
ASKED = {"data": [0, 1, 0, -1, 0, 1, 0, -1], "dt": 0.25}
#: The settings of a gateway behind a proxy on its machine.
PROXIED = {"CWT_HTTP_REQUESTS_PER_MINUTE": "50", "CWT_HTTP_PROXIES": "127.0.0.1"}
CONFIG = '{"type": "config", "dt": 1.0}'
#: Their answers are larger than all buffers of a connection.
PINGS = 1024 * 1024
#: A ping with a mask and without content, as a frame.
PING_FRAME = b"\x89\x80\x00\x00\x00\x00"


@pytest.fixture(scope="module")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningGateway]:
    """A gateway that the tests of this module share; it has logged no fault at the end."""
    async with running_system(
        tmp_path_factory.mktemp("system"), workers=1, own={"proxied": PROXIED}
    ) as system:
        found = await gateway_of(system)
        yield found
        assert found.faults == []


async def answers(gateway: RunningGateway) -> bool:
    """Whether another client is answered."""
    with fail_after(30):
        async with gateway.client() as client:
            reply = await client.post("/api/v1/wavelet/cwt", json=ASKED)
            return reply.status_code == (await client.get("/health")).status_code == 200


def memory_bytes(gateway: RunningGateway) -> int:
    """Resident memory of the gateway."""
    pid = gateway.system.processes[gateway.name].pid
    with open(f"/proc/{pid}/statm") as file:  # noqa: PTH123
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def opened(gateway: RunningGateway, path: str = "/ws/stream/wct", **how: object) -> connect:
    return connect(f"ws://{gateway.host}{path}", **how)  # type: ignore[arg-type]


async def works(socket: ClientConnection) -> bool:
    """Whether a socket is answered."""
    with fail_after(30):
        await socket.send('{"type": "ping"}')
        while (told := orjson.loads(await socket.recv()))["type"] != "pong":
            assert told["type"] in {"ack", "error", "result"}
        return True


async def test_idle_sockets_do_not_block_new_clients(gateway: RunningGateway) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(IDLE_SOCKETS):
            await stack.enter_async_context(gateway.connection())
        assert await answers(gateway)


async def test_many_clients_get_results_or_retry_time(gateway: RunningGateway) -> None:
    statuses: list[int] = []
    signal = {"signal1": list(range(300)), "signal2": [i * i % 7 for i in range(300)], "dt": 1.0}

    async def ask(number: int) -> None:
        async with gateway.client() as client:
            for step in range(REQUESTS):
                match (number + step) % 4:
                    case 0:
                        reply = await client.get("/health")
                    case 1:
                        reply = await client.get("/api/v1/backends/")
                    case 2:
                        reply = await client.post("/api/v1/wavelet/cwt", json=ASKED)
                    case _:
                        asked = {**signal, "mc_count": 5, "seed": number}
                        reply = await client.post("/api/v1/wavelet/wct", json=asked)
                statuses.append(reply.status_code)

    with fail_after(100):
        async with anyio.create_task_group() as tasks:
            for number in range(CLIENTS):
                tasks.start_soon(ask, number)
    assert len(statuses) == CLIENTS * REQUESTS
    assert set(statuses) <= {200, 429}


async def test_large_bodies_at_the_same_time_take_no_more_than_their_budget(
    gateway: RunningGateway,
) -> None:
    before = memory_bytes(gateway)
    refused: list[bytes] = []
    enough = anyio.Event()
    head = (
        f"POST /api/v1/wavelet/cwt HTTP/1.1\r\nHost: {gateway.host}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {8 * MIB}\r\n\r\n"
    ).encode()

    async def keep_sending() -> None:
        async with gateway.connection() as connection:
            with suppress(anyio.BrokenResourceError):
                await connection.send(head + bytes(7 * MIB))
            refused.append(await connection.receive())
            if len(refused) == REFUSED:
                enough.set()

    async with anyio.create_task_group() as tasks:
        for _ in range(HELD + REFUSED):
            tasks.start_soon(keep_sending)
        with fail_after(60):
            await enough.wait()
        assert memory_bytes(gateway) < before + 3 * REQUESTS_MAX_BYTES
        assert await answers(gateway)
        tasks.cancel_scope.cancel()
    assert all(each.startswith(b"HTTP/1.1 429 ") for each in refused), refused
    assert await answers(gateway)


async def test_without_keys_a_flood_of_another_machine_is_limited_and_others_are_not(
    gateway: RunningGateway,
) -> None:
    proxied = await gateway_of(gateway.system, "proxied")
    flooding, other = ({"X-Forwarded-For": f"192.0.2.{number}"} for number in (1, 2))
    async with proxied.client() as http:
        with fail_after(30):
            while (reply := await http.get("/api/v1/streams", headers=flooding)).is_success:
                pass
        assert (reply.status_code, reply.json()["code"]) == (429, "overloaded")
        assert int(reply.headers["Retry-After"]) >= 1
        with pytest.raises(InvalidStatus, match="429"):
            await opened(proxied, additional_headers=flooding)
        assert (await http.get("/api/v1/streams", headers=other)).status_code == 200
        local = [(await http.get("/api/v1/streams")).status_code for _ in range(60)]
        assert set(local) == {200}


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1"])
async def test_a_socket_of_a_foreign_page_is_refused(gateway: RunningGateway, origin: str) -> None:
    for path in ("/ws/stream/wct", "/ws/streams/any"):
        with pytest.raises(InvalidStatus) as refused:
            async with opened(gateway, path, origin=origin):
                pass
        assert refused.value.response.status_code == 403


@pytest.mark.parametrize(
    "frame",
    [
        "", "{", "[]", "null", "7", '"ping"', '{"type": 7}', '{"type": "nothing"}', "[" * 100_000,
        '{"type": "data"}', '{"type": "data", "signal1": [1], "signal2": [NaN]}',
        '{"type": "config", "dt": 0}', '{"type": "config", "mode": "other", "dt": 1}',
        '{"type": "ping", "type": "config"}', '{"type": "end"}',
        b"", b"\xc1", b"\xdd\xff\xff\xff\xff", b"\x91" * 100_000, b"\x80", b"\x81\xa4type\xc4\x00",
    ],
    ids=lambda frame: repr(frame[:30]),
)  # fmt: skip
async def test_invalid_frame_is_an_error_and_socket_stays_open(
    gateway: RunningGateway, frame: str | bytes
) -> None:
    async with opened(gateway) as socket:
        for _ in range(2):
            await socket.send(frame)
            with fail_after(30):
                told = await socket.recv()
            if isinstance(told, str):
                assert orjson.loads(told)["type"] == "error"
        assert await works(socket)


async def test_a_frame_that_is_too_large_ends_its_socket_alone(gateway: RunningGateway) -> None:
    async with opened(gateway) as other, opened(gateway) as socket:
        with suppress(ConnectionClosed):
            await socket.send("x" * 20 * MIB)
        with fail_after(30), pytest.raises(ConnectionClosed):
            await socket.recv()
        assert await works(other)


def upgrade(gateway: RunningGateway) -> bytes:
    """Return the head of a request for a WebSocket."""
    return (
        f"GET /ws/stream/wct HTTP/1.1\r\nHost: {gateway.host}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    ).encode()


async def handshake(gateway: RunningGateway, connection: anyio.abc.SocketStream) -> None:
    """Open a WebSocket by hand, to send frames that no client would."""
    await connection.send(upgrade(gateway))
    with fail_after(30):
        assert (await connection.receive()).startswith(b"HTTP/1.1 101 ")


@pytest.mark.parametrize(
    "frames",
    [
        b"\x81\xfe\x00",  # half a head
        b"\x81\x85\x00\x00\x00\x00he",  # half a frame
        b"\x01\x85\x00\x00\x00\x00hello",  # the first fragment
        b"\x80\x80\x00\x00\x00\x00",  # the end of nothing
        b"\x81\x05hello",  # without a mask
        b"\xf1\x80\x00\x00\x00\x00",  # reserved bits
        b"\x83\x80\x00\x00\x00\x00",  # an opcode that there is not
        b"\x89\xfe\x01\x00\x00\x00\x00\x00" + bytes(256),  # a ping that is too long
        b"\x81\x82\x00\x00\x00\x00\xff\xfe",  # text that is no UTF-8
        b"\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00",  # a length beyond all limits
        b"\x88\x81\x00\x00\x00\x00x",  # a close of one byte
    ],
    ids=lambda frames: frames[:12].hex(),
)
async def test_invalid_frames_end_only_their_socket(gateway: RunningGateway, frames: bytes) -> None:
    async with opened(gateway) as other:
        async with gateway.connection() as connection:
            await handshake(gateway, connection)
            await connection.send(frames)
            await connection.send_eof()
            with fail_after(60), suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                while True:
                    await connection.receive()
        assert await works(other)


async def test_unread_pongs_are_not_buffered(
    gateway: RunningGateway,
) -> None:
    before = memory_bytes(gateway)
    flood = (PING_FRAME[:1] + b"\xfd" + bytes(4 + 125)) * 1024

    def send_and_never_read() -> None:
        with socket.create_connection(("127.0.0.1", gateway.port)) as connection:
            connection.settimeout(2 * SCALE)
            connection.sendall(upgrade(gateway))
            assert connection.recv(4096).startswith(b"HTTP/1.1 101 ")
            # That the gateway takes no more, or ends the connection, is as good.
            with suppress(OSError):
                for _ in range(PINGS // 1024):
                    connection.sendall(flood)
            most.append(memory_bytes(gateway))

    most: list[int] = []
    async with opened(gateway) as other:
        await anyio.to_thread.run_sync(send_and_never_read)
        assert await works(other)
    assert most[0] < before + 48 * MIB
    assert await answers(gateway)


async def test_a_message_of_fragments_without_end_ends_its_socket_alone(
    gateway: RunningGateway,
) -> None:
    async with opened(gateway) as other, gateway.connection() as connection:
        await handshake(gateway, connection)
        with fail_after(30), suppress(anyio.BrokenResourceError):
            await connection.send(b"\x01\x80\x00\x00\x00\x00")
            while True:
                await connection.send(b"\x00\x80\x00\x00\x00\x00" * 1000)
        assert await works(other)


async def test_client_that_leaves_during_computation_affects_no_other(
    gateway: RunningGateway,
) -> None:
    signals = {"signal1": [i % 7 for i in range(2000)], "signal2": [i % 5 for i in range(2000)]}
    chunk = orjson.dumps({"type": "data", **signals}).decode()
    async with opened(gateway) as other:
        for _ in range(5):
            async with opened(gateway) as socket:
                await socket.send('{"type": "config", "dt": 1.0, "method": "montecarlo"}')
                await socket.send(chunk)
                await socket.send(chunk)
                socket.transport.abort()
        assert await works(other)
    assert await answers(gateway)
