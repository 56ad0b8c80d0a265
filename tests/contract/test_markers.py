"""Markers of a running system: stored alongside results, and read on from any place."""

from __future__ import annotations

from typing import Any

import anyio
import numpy as np
import orjson
import pytest
from anyio import to_thread

from cwt_ingest.marker_desk import MARKERS_PER_MINUTE
from cwt_runtime.bus import Bus
from cwt_runtime.bus.nats import connect_bus
from cwt_runtime.settings import StorageSettings
from cwt_runtime.storage.topology import system_topology
from cwt_runtime.telemetry.logs import logger
from cwt_schemas import subjects
from cwt_schemas.headers import MSG_ID
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


async def ask_to_store(bus: Bus, name: str, **fields: object) -> dict[str, Any]:
    """Request that ingest stores a marker, under a message id of the sender's choice."""
    body = {"schema": "signal.marker/1", "stream": name, "t_ns": 17, "text": "x", **fields}
    headers = {MSG_ID: "an id of a result"}
    reply = await bus.request(subjects.mark(name), orjson.dumps(body), headers, timeout_s=20)
    found: dict[str, Any] = orjson.loads(reply.data)
    return found


async def test_ingest_stores_a_marker_once_whatever_id_its_sender_chooses(system_bus: Bus) -> None:
    client = Client(system_bus)
    async with running(system_bus, "ingest"):
        await client.put_stream(definition())
        first, again, other = [await ask_to_store(system_bus, "s", t_ns=t) for t in (17, 17, 18)]
        async with client.markers("s") as markers:
            with fail_after(20):
                stored = [(await anext(markers)).t_ns for _ in range(2)]
    assert (again["seq"], again["duplicate"]) == (first["seq"], True)
    assert (other["duplicate"], stored) == (False, [17, 18])


async def test_ingest_refuses_markers_of_other_streams_and_too_many(system_bus: Bus) -> None:
    client = Client(system_bus)
    async with running(system_bus, "ingest"):
        undefined = await ask_to_store(system_bus, "s")
        await client.put_stream(definition())
        foreign = await ask_to_store(system_bus, "s", stream="other")
        with fail_after(60):
            number = 0
            while "error" not in (flood := await ask_to_store(system_bus, "s", t_ns=number)):
                number += 1
    codes = [each["error"]["code"] for each in (undefined, foreign, flood)]
    assert codes == ["not_found", "unprocessable", "overloaded"]
    assert flood["error"]["detail"]["retry_after_s"] > 0
    assert number >= MARKERS_PER_MINUTE
