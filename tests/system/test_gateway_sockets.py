"""WebSockets of a gateway that is a process, with a client of another make."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import orjson
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Close

from cwt_gateway.sockets import SEND_TIMEOUT_S
from cwt_schemas import storage, subjects
from pycwt_client import Client
from tests.contract.test_services import definition
from tests.deadlines import fail_after
from tests.system.conftest import RunningSystem, running_system
from tests.system.gateway import RunningGateway, gateway_of

pytestmark = [pytest.mark.anyio, pytest.mark.system]

STREAM = {"type": "config", "mode": "stream", "dt": 0.01, "fmin_hz": 4.0, "fmax_hz": 20.0}
LARGE = 1024 * 1024
#: More than the buffers of the kernel take on a connection on the same machine.
MANY = 30


@asynccontextmanager
async def socket_of(
    gateway: RunningGateway, path: str, **options: Any
) -> AsyncIterator[ClientConnection]:
    url = gateway.url.replace("http://", "ws://") + path
    async with connect(url, max_size=None, ping_interval=None, **options) as socket:
        yield socket


async def receive(socket: ClientConnection) -> dict[str, Any]:
    with fail_after(30):
        message: dict[str, Any] = orjson.loads(await socket.recv())
    return message


async def own_stream(socket: ClientConnection) -> str:
    await socket.send(orjson.dumps(STREAM).decode())
    name: str = (await receive(socket))["stream"]
    return name


async def close_frame(socket: ClientConnection) -> Close:
    """Return the close frame after all that comes before it."""
    with fail_after(60):
        return await _read_to_end(socket, [])


async def names(client: Client) -> set[str]:
    return {status.definition.name for status in await client.list_streams()}


async def test_sockets_end_together_with_owned_streams(tmp_path: Path) -> None:
    async with running_system(tmp_path, workers=1) as system:
        client = Client(system.bus)
        await client.put_stream(definition("s"))
        gateway = await gateway_of(system)
        await _refuse_a_foreign_page_and_a_large_frame(gateway)
        await _cut_off_a_client_that_does_not_read(gateway, system)
        left = await _kill_a_gateway(gateway, system)
        gateway = await gateway_of(system)
        await _stop_a_gateway(gateway, system)
        gateway = await gateway_of(system)
        with fail_after(60):
            while left in await names(client) or await _results_of_sockets(client):  # noqa: ASYNC110 - in another process
                await anyio.sleep(0.2)
        assert gateway.faults == []
        assert await names(client) == {"s"}


async def _results_of_sockets(client: Client) -> bool:
    """Return whether there are results of a connection, such as of a window that was under way."""
    counts = await client.bus.log.subject_counts(storage.RESULTS, subjects.RESULTS)
    return any(subject.startswith("cwt.result.ws-") for subject in counts)


async def _refuse_a_foreign_page_and_a_large_frame(gateway: RunningGateway) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with socket_of(gateway, "/ws/stream/wct", origin="https://evil.example"):
            pass
    assert refused.value.response.status_code == 403
    async with socket_of(gateway, "/ws/stream/wct", origin=gateway.url) as socket:
        with suppress(ConnectionClosed):  # before the whole frame was sent
            await socket.send(b"x" * 10 * LARGE)
        assert (await close_frame(socket)).code == 1009


async def _cut_off_a_client_that_does_not_read(
    gateway: RunningGateway, system: RunningSystem
) -> None:
    for number in range(MANY):
        body = orjson.dumps({"id": f"{number}", "detail": "x" * LARGE})
        await system.bus.log.store(subjects.event("s"), body, msg_id=f"{number}")
    found: list[int] = []
    async with socket_of(gateway, "/ws/streams/s?from=1&include=events", max_queue=1) as socket:
        socket.transport.pause_reading()
        await anyio.sleep(SEND_TIMEOUT_S + 2)
        socket.transport.resume_reading()
        end = await _read_to_end(socket, found)
    assert end.code == 1013
    cursor = int(end.reason.removeprefix("from="))
    assert 0 < len(found) < MANY
    async with socket_of(gateway, f"/ws/streams/s?from={cursor}&include=events") as socket:
        assert (await receive(socket))["next"] == cursor
        found += [(await receive(socket))["seq"] for _ in range(MANY - len(found))]
    assert found == sorted(set(found))
    assert len(found) == MANY


async def _read_to_end(socket: ClientConnection, events: list[int]) -> Close:
    with suppress(ConnectionClosed):
        while True:
            message = await receive(socket)
            if message["type"] == "event":
                events.append(message["seq"])
    assert socket.protocol.close_rcvd is not None
    return socket.protocol.close_rcvd


async def _kill_a_gateway(gateway: RunningGateway, system: RunningSystem) -> str:
    async with socket_of(gateway, "/ws/stream/wct") as socket:
        name = await own_stream(socket)
        system.kill(gateway.name)
    assert name in await names(Client(system.bus))
    return name


async def _stop_a_gateway(gateway: RunningGateway, system: RunningSystem) -> None:
    async with (
        socket_of(gateway, "/ws/stream/wct") as own,
        socket_of(gateway, "/ws/streams/s") as live,
    ):
        name = await own_stream(own)
        data = {"type": "data", "signal1": [0.0] * 300, "signal2": [1.0] * 300}
        await own.send(orjson.dumps(data).decode())
        await receive(own)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_expect_code, own, 1012)
            tasks.start_soon(_expect_code, live, 1012)
            assert await system.stop(gateway.name) == 0
    assert name not in await names(Client(system.bus))


async def _expect_code(socket: ClientConnection, code: int) -> None:
    assert (await close_frame(socket)).code == code
