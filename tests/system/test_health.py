"""Health reports the state of storage, queues and missing services."""

from __future__ import annotations

import resource
from pathlib import Path

import anyio
import httpx
import orjson
import pytest

from cwt_runtime.bus.errors import BusError
from cwt_runtime.bus.nats import connect_bus
from cwt_runtime.telemetry.logs import logger
from cwt_schemas import storage, subjects
from cwt_schemas.service import HealthReply
from pycwt_client import Client
from tests.deadlines import fail_after
from tests.servers import free_port, restartable_server
from tests.system.command import run
from tests.system.conftest import POLL_S, RunningSystem
from tests.system.gateway import gateway_of
from tests.system.scenario import CHUNK, collect, definition, expected, publish, signal

pytestmark = [pytest.mark.anyio, pytest.mark.system]

MIB = 1024 * 1024


async def becomes(client: Client, status: str) -> HealthReply:
    """Ask until the status is as expected, and return the reply."""
    with fail_after(30):
        while (reply := await client.health()).status != status:  # noqa: ASYNC110 - asked
            await anyio.sleep(POLL_S)
    return reply


async def test_a_stream_that_cannot_be_written_is_a_problem_for_everybody_who_asks(
    system: RunningSystem,
) -> None:
    client = Client(system.bus)
    gateway = await gateway_of(system)
    assert (await client.health()).problems == ()
    _, hard = resource.prlimit(system.server_pid, resource.RLIMIT_FSIZE)
    resource.prlimit(system.server_pid, resource.RLIMIT_FSIZE, (2 * MIB, hard))
    with pytest.raises(BusError), fail_after(60):  # noqa: PT012 - as many as there is room for
        for number in range(100):
            await system.bus.log.store(
                subjects.signal("undefined"), bytes(500_000), msg_id=str(number)
            )
    (problem,) = (await becomes(client, "degraded")).problems
    assert problem.startswith(f"{storage.SIGNALS}: cannot be written: ")
    async with gateway.client() as http:
        reply = await http.get("/health")
        assert (reply.status_code, reply.json()["problems"]) == (503, [problem])
        assert (await http.get("/readyz")).status_code == 200
    assert problem in await run("doctor", url=system.url, code=1)


async def test_missing_ingest_is_a_problem(system: RunningSystem) -> None:
    client = Client(system.bus)
    system.kill("ingest")
    assert (await becomes(client, "degraded")).problems == (
        "no ingest runs: streams are not analysed",
    )
    await system.start("ingest", "ingest")
    await becomes(client, "ok")


async def test_ingest_continues_when_its_consumers_are_paused(system: RunningSystem) -> None:
    client, samples = Client(system.bus), signal(1200)
    wanted = expected(samples)
    await client.put_stream(definition())
    await publish(client, samples[:CHUNK])
    readers: list[str] = []
    with fail_after(30):  # ingest may not have begun to read the stream
        while not readers:
            names = f"$JS.API.CONSUMER.NAMES.{storage.SIGNALS}"
            reply = await system.bus.request(names, b"", timeout_s=5)
            readers = orjson.loads(reply.data)["consumers"]
    for reader in readers:
        await system.bus.request(
            f"$JS.API.CONSUMER.PAUSE.{storage.SIGNALS}.{reader}",
            b'{"pause_until":"2099-01-01T00:00:00Z"}',
            timeout_s=5,
        )
    await publish(client, samples, first=CHUNK)
    assert set(await collect(client, len(wanted))) == set(wanted)


@pytest.mark.parametrize("service", ["ingest", "compute", "hwbridge", "gateway"])
async def test_every_service_has_liveness_and_readiness_probes(
    tmp_path: Path, service: str
) -> None:
    port = free_port()
    async with (
        restartable_server(tmp_path / "nats", free_port()) as server,
        connect_bus(server.url, name="test", log=logger("test")) as bus,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http,
    ):
        environment = {"CWT_METRICS_PORT": str(port), "CWT_HTTP_PORT": "0"}
        system = RunningSystem(url=server.url, bus=bus, folder=tmp_path, environment=environment)
        try:
            await system.start("one", service)

            async def ready(status: int) -> str:
                with fail_after(30):
                    while (reply := await http.get("/readyz")).status_code != status:  # noqa: ASYNC110
                        await anyio.sleep(POLL_S)
                return str(reply.json()["status"])

            assert await ready(200) == "ok"
            assert "python_info" in (await http.get("/metrics")).text
            server.kill()
            assert await ready(503) == "no connection to NATS"
            assert (await http.get("/livez")).json() == {"status": "ok"}
            await server.restart()
            await ready(200)
        finally:
            system.kill("one")
