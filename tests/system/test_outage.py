"""No service ends with its server: each continues after an outage of any length."""

from __future__ import annotations

from pathlib import Path

import anyio
import orjson
import pytest
from websockets.asyncio.client import ClientConnection, connect

from cwt_runtime.bus.nats import connect_bus
from cwt_runtime.telemetry.logs import Action, logger
from pycwt_client import Client
from tests.deadlines import fail_after
from tests.servers import RestartableServer, free_port, restartable_server
from tests.system.conftest import RunningSystem
from tests.system.gateway import gateway_of
from tests.system.scenario import (
    STREAM,
    blank,
    check_stored,
    collect,
    definition,
    expected,
    publish,
)
from tests.system.scenario import signal as samples_of

pytestmark = [pytest.mark.anyio, pytest.mark.system]

#: Longer than an ingest keeps its streams without the server, and than a request to it takes.
AWAY_S = 8.0


async def test_all_services_live_through_an_outage_and_lose_nothing(tmp_path: Path) -> None:
    """Ingest ended with exit code 1 when the server was away for more than 4 to 5 s."""
    async with (
        restartable_server(tmp_path / "nats", free_port()) as server,
        connect_bus(server.url, name="test", log=logger("test")) as bus,
    ):
        system = RunningSystem(url=server.url, bus=bus, folder=tmp_path)
        try:
            for service in ("ingest", "compute", "hwbridge"):
                await system.start(service, service)
            gateway = await gateway_of(system)
            url = gateway.url.replace("http://", "ws://")
            path = f"/ws/streams/{STREAM}?include=results&from=1"
            await Client(bus).put_stream(definition())
            async with connect(url + path, ping_interval=None, max_size=None) as socket:
                await lives_through_an_outage(system, server)
                await gives_all_results(socket)
            assert set((await system.stop_all()).values()) == {0}
        finally:
            for name in list(system.processes):
                system.kill(name)


async def gives_all_results(socket: ClientConnection) -> None:
    """Read the socket, which was open all the time, until every result has come."""
    found, wanted = set[str](), set(expected(samples_of()))
    with fail_after(60):
        while found != wanted:
            message = orjson.loads(await socket.recv())
            found |= {message["result"]["id"]} if message["type"] == "result" else set()


async def lives_through_an_outage(system: RunningSystem, server: RestartableServer) -> None:
    client, x = Client(system.bus), samples_of()
    await publish(client, x[:2000])
    await collect(client, 5)
    server.kill()
    await anyio.sleep(AWAY_S)
    assert [name for name, each in system.processes.items() if each.poll() is not None] == []
    await server.restart()
    await system.said("ingest", Action.START_RETRIED)
    with fail_after(60):
        await publish(client, x, first=2000)
    assert blank(await collect(client, len(expected(x)))) == blank(expected(x))
    await check_stored(system.bus, len(expected(x)))
