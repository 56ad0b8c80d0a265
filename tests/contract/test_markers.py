"""Markers of a running system: stored alongside results, and read on from any place."""

from __future__ import annotations

import anyio
import numpy as np
import orjson
import pytest
from anyio import to_thread

from cwt_runtime.bus import Bus
from cwt_runtime.bus.nats import connect_bus
from cwt_runtime.settings import StorageSettings
from cwt_runtime.storage.topology import system_topology
from cwt_runtime.telemetry.logs import logger
from cwt_schemas import subjects
from pycwt_client import Client, blocking
from tests.contract.test_services import definition, running
from tests.deadlines import fail_after
from tests.servers import SharedServer

pytestmark = pytest.mark.anyio


async def test_markers_of_a_device_a_person_and_a_stimulus_computer_are_read_on(
    system_bus: Bus,
) -> None:
    client = Client(system_bus)
    async with running(system_bus, "ingest"):
        await client.put_stream(definition())
        async with client.publisher("s", "e") as device:
            await device.publish(np.zeros(120))
            await device.mark("device")
        with fail_after(20):
            while (await client.get_stream("s")).next_sample != 120:
                await anyio.lowlevel.checkpoint()
        await client.mark("s", "person")
        body = {"schema": "signal.marker/1", "stream": "s", "t_ns": 17, "text": "stimulus"}
        await system_bus.log.store(subjects.marker("s"), orjson.dumps(body), msg_id="17")
    with fail_after(20):
        async with client.markers("s") as markers:
            first = await anext(markers)
            place = markers.seq
        async with client.markers("s", start_seq=place + 1) as markers:
            rest = [await anext(markers), await anext(markers)]
    found = [(each.text, each.epoch, each.first_sample, each.t_ns) for each in (first, *rest)]
    assert found == [
        ("device", "e", 120, None),
        ("person", "e", 120, None),
        ("stimulus", None, None, 17),
    ]


async def test_a_notebook_sets_and_reads_markers(nats_shared: SharedServer) -> None:
    def run(url: str) -> list[str]:
        with blocking.connect(url) as client:
            client.put_stream(definition())
            with client.publisher("s", "e") as publisher:
                publisher.publish(np.zeros(5))
                publisher.mark("device")
            client.mark("s", "person", first_sample=3)
            with client.markers("s") as markers:
                return [markers.read(timeout_s=10).text for _ in range(2)]

    async with (
        nats_shared.account() as url,
        connect_bus(url, name="test", log=logger("test")) as bus,
    ):
        await bus.log.declare(system_topology(StorageSettings()))
        async with running(bus, "ingest"):
            assert await to_thread.run_sync(run, url) == ["device", "person"]
