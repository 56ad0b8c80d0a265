"""Replies of the gateway while a worker or the server is down, and its recovery."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx
import pytest

from cwt_runtime.bus.nats import connect_bus
from cwt_runtime.telemetry.logs import logger
from tests.deadlines import fail_after
from tests.servers import RestartableServer, free_port, restartable_server
from tests.system.conftest import POLL_S, RunningSystem
from tests.system.gateway import gateway_of

pytestmark = [pytest.mark.anyio, pytest.mark.system]

ASKED = {"data": [0, 1, 0, -1, 0, 1, 0, -1], "dt": 0.25}
BACKENDS = "/api/v1/backends/"


@asynccontextmanager
async def system_of(folder: Path, server: RestartableServer) -> AsyncIterator[RunningSystem]:
    """Run ingest and a worker on a server that the test kills."""
    async with connect_bus(server.url, name="test", log=logger("test")) as bus:
        system = RunningSystem(url=server.url, bus=bus, folder=folder)
        try:
            await system.start("ingest", "ingest")
            await system.start("compute", "compute")
            yield system
            codes = await system.stop_all()
            assert set(codes.values()) == {0}, codes
        finally:
            for name in list(system.processes):
                system.kill(name)


async def becomes(client: httpx.AsyncClient, path: str, status: int) -> httpx.Response:
    """Ask until the status is as expected, and return the reply."""
    with fail_after(60):
        while (reply := await client.get(path)).status_code != status:
            assert reply.status_code in {200, 503, 504}
            await anyio.sleep(POLL_S)
    return reply


async def test_a_worker_or_a_server_that_is_killed_is_a_problem_that_passes(tmp_path: Path) -> None:
    async with (
        restartable_server(tmp_path / "nats", free_port()) as server,
        system_of(tmp_path, server) as system,
    ):
        gateway = await gateway_of(system)
        async with gateway.client() as client:
            assert (await client.get("/health")).status_code == 200

            system.kill("compute")
            health = await becomes(client, "/health", 503)
            assert health.json()["status"] == "unhealthy"
            assert health.json()["problems"][0].startswith("no worker replies")
            reply = await client.post("/api/v1/wavelet/cwt", json=ASKED)
            assert (reply.status_code, reply.json()["code"]) == (503, "unavailable")
            assert reply.headers["retry-after"]
            assert (await client.get("/readyz")).status_code == 200
            await system.start("compute", "compute")
            await becomes(client, "/health", 200)

            server.kill()
            assert (await becomes(client, "/readyz", 503)).json() == {"status": "unavailable"}
            statuses: list[int] = []

            async def ask(path: str) -> None:
                statuses.append((await client.get(path)).status_code)

            async with anyio.create_task_group() as tasks:
                for path in ("/health", BACKENDS, "/api/v1/streams", "/api/v1/jobs"):
                    tasks.start_soon(ask, path)
            assert set(statuses) <= {503, 504}
            assert (await client.get("/livez")).status_code == 200
            await server.restart()
            await becomes(client, "/readyz", 200)
            await becomes(client, "/health", 200)
            assert (await client.post("/api/v1/wavelet/cwt", json=ASKED)).status_code == 200
        assert gateway.faults == []
