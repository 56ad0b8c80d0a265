"""Roles of deploy/users.conf: each one can do its work, and nothing else."""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import numpy as np
import pytest

from cwt_runtime.bus.errors import BusError, BusTimeoutError
from cwt_runtime.bus.nats import connect_bus
from cwt_runtime.process.embedded_server import server_binary
from cwt_runtime.process.orphan_guard import guarded
from cwt_runtime.settings import StorageSettings
from cwt_runtime.storage.topology import system_topology
from cwt_runtime.telemetry.logs import logger
from cwt_schemas import storage, subjects
from cwt_schemas.errors import ContractError
from pycwt_client import Client, connect
from tests.contract.test_services import running
from tests.servers import free_port

pytestmark = [pytest.mark.anyio, pytest.mark.system]

USERS = Path(__file__).parents[2] / "deploy" / "users.conf"
PASSWORDS = {f"{role.upper()}_PASSWORD": f"of-{role}" for role in ("service", "device", "analyst")}


@asynccontextmanager
async def guarded_server(folder: Path) -> AsyncIterator[Callable[[str], str]]:
    """Run a server with those users; a function that gives each role its address."""
    port = free_port()
    config = folder / "nats.conf"
    config.write_text(
        f'listen: "127.0.0.1:{port}"\nmax_payload: 8388608\n'
        f'jetstream {{ store_dir: "{folder}" }}\n' + USERS.read_text()
    )
    server = subprocess.Popen(  # noqa: ASYNC220
        guarded([server_binary(), "-c", str(config)]), env={**os.environ, **PASSWORDS},
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield lambda role: f"nats://{role}:of-{role}@127.0.0.1:{port}"
    finally:
        server.kill()
        server.wait()


async def kept(client: Client) -> int:
    return await client.bus.log.last_seq(storage.SIGNALS)


async def test_each_role_can_do_its_work_and_nothing_else(tmp_path: Path) -> None:
    x = np.random.default_rng(1).standard_normal(200)
    async with (
        guarded_server(tmp_path) as url_of,
        connect_bus(url_of("service"), name="service", log=logger("test")) as bus,
    ):
        await bus.log.declare(system_topology(StorageSettings()))
        async with (
            running(bus, "compute"),
            connect(url_of("device")) as device,
            connect(url_of("analyst")) as analyst,
        ):
            async with device.publisher("s", "e") as publisher:
                await publisher.publish(x)
            assert await kept(analyst) == 1
            assert (await analyst.cwt(x, 1.0)).coefs.size
            job = await analyst.submit([{"type": "cwt", "data": x, "dt": 1.0}])
            assert (await job.collect(60))[0].error is None
            with pytest.raises(ContractError):
                await device.health(timeout_s=1)
            with anyio.move_on_after(2), pytest.raises(BusError):
                await analyst.bus.log.store(subjects.signal("s"), b"", msg_id="forged")
            assert await kept(analyst) == 1
            queue = f"$JS.API.CONSUMER.INFO.{storage.TASKS}.{storage.COMPUTE_TASKS}"
            assert (await bus.request(queue, b"", timeout_s=5)).data
            with pytest.raises(BusTimeoutError):
                await analyst.bus.request(queue, b"", timeout_s=1)
