"""The power fails while a device publishes: what `sync_interval: always` keeps, and what it costs.

The disk is a real file system that the kernel shuts down without writing anything back.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from cwt_runtime.bus import Bus, DurableLog
from cwt_runtime.bus.errors import BusError
from cwt_runtime.bus.nats import connect_bus
from cwt_runtime.settings import StorageSettings
from cwt_runtime.storage.topology import system_topology
from cwt_runtime.telemetry.logs import logger
from cwt_schemas import storage, subjects
from tests.deadlines import fail_after
from tests.seed import chance
from tests.servers import free_port, restartable_server
from tests.system.disk import disk, why_no_disk
from tests.system.laboratory import server_settings

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.system,
    pytest.mark.skipif(bool(why_no_disk()), reason=why_no_disk()),
]

ALWAYS = "sync_interval: always"
CHUNKS = 400
PUBLISHERS = 8


@dataclass
class Device:
    """Several publishers that count what was acknowledged."""

    log: DurableLog
    acknowledged: set[int] = field(default_factory=set)

    async def publish(self, first: int) -> None:
        for number in range(first, CHUNKS, PUBLISHERS):
            data = b"%d" % number
            await self.log.store(subjects.signal("s"), data.ljust(800), msg_id=f"s/{number}")
            self.acknowledged.add(number)


async def cut_power_while_publishing(
    folder: Path, jetstream: str, *, after: int
) -> tuple[set[int], set[int]]:
    """Cut the power when `after` chunks are acknowledged; return those, and the ones stored."""
    settings = server_settings(folder, jetstream, None)
    async with (
        disk(folder / "jetstream") as mounted,
        restartable_server(folder, free_port(), settings) as server,
        connect_bus(server.url, name="test", log=logger("test")) as bus,
    ):
        await bus.log.declare(system_topology(StorageSettings()))
        mounted.sync()  # without it, the streams themselves may be lost
        device = Device(bus.log)
        with fail_after(60):
            async with anyio.create_task_group() as tasks:
                for first in range(PUBLISHERS):
                    tasks.start_soon(device.publish, first)
                while len(device.acknowledged) < after:
                    await anyio.lowlevel.checkpoint()
                server.kill()
                mounted.cut_power()
                tasks.cancel_scope.cancel()
        await server.stop()
        await mounted.repair()
        await server.start()
        return device.acknowledged, await stored(bus)


async def stored(bus: Bus) -> set[int]:
    """Return the numbers of the stored chunks, each of which is stored once."""
    with fail_after(60):
        while True:
            with suppress(BusError):
                async with bus.log.read(storage.SIGNALS, (subjects.SIGNALS,)) as messages:
                    numbers = [int(each.message.data) async for each in messages]
                assert len(numbers) == len(set(numbers))
                return set(numbers)
            await anyio.sleep(0.05)


async def test_with_sync_always_a_power_cut_loses_nothing_acknowledged(tmp_path: Path) -> None:
    after = chance("power cut").randrange(1, CHUNKS)
    acknowledged, kept = await cut_power_while_publishing(tmp_path, ALWAYS, after=after)
    assert acknowledged <= kept


async def test_without_it_a_power_cut_loses_what_was_acknowledged(tmp_path: Path) -> None:
    """Otherwise the disk of these tests would lose nothing at all."""
    acknowledged, kept = await cut_power_while_publishing(tmp_path, "", after=CHUNKS // 2)
    assert kept < acknowledged
