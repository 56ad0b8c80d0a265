"""Three servers as one: a node dies, and nothing that was acknowledged is lost."""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import anyio
import pytest

from cwt_runtime.accounts.folder import password_file, write_accounts
from cwt_runtime.bus import Bus
from cwt_runtime.bus.errors import BusError
from cwt_runtime.bus.nats import connect_bus
from cwt_runtime.connect_settings import ConnectSettings
from cwt_runtime.process.embedded_server import server_binary
from cwt_runtime.process.orphan_guard import guarded
from cwt_runtime.settings import StorageSettings
from cwt_runtime.storage.topology import system_topology
from cwt_runtime.telemetry.logs import logger
from cwt_schemas import storage, subjects
from tests.deadlines import fail_after
from tests.servers import free_port

pytestmark = [pytest.mark.anyio, pytest.mark.system]

CONFIG = Path(__file__).parents[2] / "deploy" / "nats" / "cluster.conf"
ROUTE_PASSWORD = "between-nodes"
MIB = 1024**2
#: Three copies of the usual sizes are more than a test may reserve.
LIMITS = StorageSettings(
    replicas=3, signals_max_bytes=64 * MIB, windows_max_bytes=64 * MIB, results_max_bytes=64 * MIB,
    tasks_max_bytes=64 * MIB, job_results_max_bytes=64 * MIB, objects_max_bytes=64 * MIB,
    replies_max_bytes=64 * MIB, answers_max_bytes=64 * MIB,
)  # fmt: skip
NODES = 3
T = TypeVar("T")
BEFORE, AFTER = 200, 200


def ports() -> list[tuple[int, int, int]]:
    """Return client, cluster and monitoring port of each node."""
    return [(free_port(), free_port(), free_port()) for _ in range(NODES)]


@asynccontextmanager
async def cluster(
    folder: Path,
) -> AsyncIterator[tuple[ConnectSettings, list[subprocess.Popen[bytes]]]]:
    """Run the nodes of that configuration; how their operator connects, and their processes."""
    used = ports()
    routes = ", ".join(f"nats://node:{ROUTE_PASSWORD}@127.0.0.1:{route}" for _, route, _ in used)
    write_accounts(folder, ())
    config = folder / CONFIG.name
    config.write_text(CONFIG.read_text())
    nodes = []
    for i, (client, route, monitor) in enumerate(used):
        own = {
            "NODE": f"n{i}", "LISTEN": f"127.0.0.1:{client}", "MONITOR": f"127.0.0.1:{monitor}",
            "CLUSTER": f"127.0.0.1:{route}", "ROUTES": f"[{routes}]",
            "STORE": str(folder / f"n{i}"), "ROUTE_PASSWORD": ROUTE_PASSWORD,
        }  # fmt: skip
        with (folder / f"n{i}.log").open("wb") as output:
            nodes.append(
                subprocess.Popen(  # noqa: ASYNC220
                    guarded([server_binary(), "-c", str(config)]),
                    env={**os.environ, **own},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                )
            )
    try:
        operator = ConnectSettings(
            url=",".join(f"nats://127.0.0.1:{client}" for client, _, _ in used),
            user="operator",
            password_file=str(password_file(folder, "operator")),
        )
        yield operator, nodes
    finally:
        for node in nodes:
            node.kill()
            node.wait()


async def until_kept(bus: Bus, number: int) -> None:
    """Store a chunk under its id until it is acknowledged, as devices do."""
    with fail_after(60):
        while True:
            try:
                await bus.log.store(subjects.signal("s"), b"%d" % number, msg_id=f"s/e/{number}")
                return
            except BusError:
                await anyio.sleep(0.1)


async def once_led(read: Callable[[], Awaitable[T]]) -> T:
    """Return what `read` does, as soon as its stream has a leader: each elects its own."""
    with fail_after(60):
        while True:
            try:
                return await read()
            except BusError as error:
                if not error.transient:
                    raise
                await anyio.sleep(0.1)


async def until_declared(bus: Bus) -> None:
    """Make the streams as soon as the servers have found each other."""
    await once_led(lambda: bus.log.declare(system_topology(LIMITS)))


async def kept_numbers(bus: Bus) -> list[int]:
    found: list[int] = []
    async with bus.log.replay(storage.SIGNALS, (subjects.SIGNALS,)) as messages:
        with fail_after(30):
            while len(found) < BEFORE + AFTER:
                found.append(int((await anext(messages)).message.data))
            with anyio.move_on_after(0.5):
                found.append(int((await anext(messages)).message.data))
    return found


@pytest.mark.parametrize("dies", range(NODES))
async def test_acknowledged_chunks_are_stored_once_when_a_node_is_killed(
    tmp_path: Path, dies: int
) -> None:
    async with (
        cluster(tmp_path) as (operator, nodes),
        connect_bus(operator, name="test", log=logger("test")) as bus,
    ):
        await until_declared(bus)
        bucket = await bus.log.bucket(storage.KV_STREAMS)
        await bucket.put("s", b"definition")
        answers = await bus.log.objects(storage.ANSWERS)
        await answers.put("a", bytes(3 * MIB))
        for number in range(BEFORE):
            await until_kept(bus, number)
        nodes[dies].kill()
        for number in range(BEFORE, BEFORE + AFTER):
            await until_kept(bus, number)
        assert await kept_numbers(bus) == list(range(BEFORE + AFTER))
        entry = await once_led(lambda: bucket.get("s"))
        assert entry is not None
        assert entry.value == b"definition"
        assert await once_led(lambda: answers.get("a")) == bytes(3 * MIB)
