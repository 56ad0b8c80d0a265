"""What the alerts and the dashboard read is at /metrics of a running system."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import anyio
import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from cwt_runtime.bus.nats import connect_bus
from cwt_runtime.process.embedded_server import start_server
from cwt_runtime.telemetry.logs import logger
from pycwt_client import Client
from tests.alerts import dashboard_expressions, rules, selectors
from tests.deadlines import fail_after
from tests.jobs import JobClient, quick
from tests.servers import free_port
from tests.system.conftest import POLL_S, RunningSystem
from tests.system.gateway import RunningGateway
from tests.system.scenario import CHUNK, definition, publish, signal

pytestmark = [pytest.mark.anyio, pytest.mark.system]

#: Prometheus adds them to all series, and makes the series "up".
ADDED = {"job", "instance"}


async def exposed(ports: Iterable[int]) -> set[tuple[str, str]]:
    """Return the samples of all services as pairs of name and label; the name alone has ""."""
    found = {("up", "")}
    async with httpx.AsyncClient() as http:
        for port in ports:
            text = (await http.get(f"http://127.0.0.1:{port}/metrics")).text
            for family in text_string_to_metric_families(text):
                for sample in family.samples:
                    found |= {(sample.name, label) for label in (*sample.labels, "")}
    return found


async def use(system: RunningSystem) -> None:
    """Publish a stream with a gap, compute a job, and ask over HTTP."""
    client, samples = Client(system.bus), signal(2000)
    await client.put_stream(definition())
    await publish(client, samples[: 10 * CHUNK])
    await publish(client, samples, first=12 * CHUNK)
    jobs = JobClient(system.bus)
    await jobs.ended((await jobs.submit(quick())).job_id)
    async with RunningGateway(system, "gateway").client() as http:
        await http.get("/health")


async def test_every_metric_and_label_of_alerts_and_dashboard_is_exposed(tmp_path: Path) -> None:
    missing = {
        (selector.name, label)
        for expression in (*(rule["expr"] for rule in rules()), *dashboard_expressions())
        for selector in selectors(expression)
        for label in (*(selector.labels - ADDED), "")
    }
    ports = {name: free_port() for name in ("ingest", "compute", "hwbridge", "gateway")}
    async with (
        start_server(tmp_path / "nats") as server,
        connect_bus(server.url, name="test", log=logger("test")) as bus,
    ):
        system = RunningSystem(url=server.url, bus=bus, folder=tmp_path)
        try:
            for name, port in ports.items():
                system.environment = {
                    "CWT_METRICS_PORT": str(port),
                    "CWT_HTTP_PORT": "0",
                    "CWT_HW_PORTS": f"fpga0=tangnano9k:{tmp_path / 'absent'}",
                }
                await system.start(name, name)
            await use(system)
            with suppress(TimeoutError), fail_after(60):
                while missing := missing - await exposed(ports.values()):  # noqa: ASYNC110 - asked
                    await anyio.sleep(POLL_S)
            assert missing == set()
        finally:
            for name in list(system.processes):
                system.kill(name)
