"""Markers over HTTP."""

from __future__ import annotations

from typing import Any

import anyio
import anyio.lowlevel
import pytest

from cwt_runtime.bus import StoreAck
from cwt_runtime.bus.errors import BusUnreachableError
from cwt_runtime.settings import StorageSettings
from cwt_runtime.storage.topology import system_topology
from cwt_schemas import storage, subjects
from cwt_schemas.codec import ContentType, decode, encode
from cwt_schemas.headers import CONTENT_TYPE
from cwt_schemas.marker import Marker
from tests.memory_bus import MemoryBus
from tests.memory_bus.log import MemoryLog
from tests.unit.gateway.conftest import catalogue, gateway

pytestmark = pytest.mark.anyio

STREAM = "/api/v1/streams/icu"
DEFINITION: dict[str, Any] = {"fs_hz": 100.0, "channels": [{"name": "a"}]}
MSGPACK = {CONTENT_TYPE: ContentType.MSGPACK.value}
NOTE: dict[str, Any] = {"epoch": "e", "first_sample": 7, "text": "eyes closed"}


async def test_a_marker_is_set_and_read(bus: MemoryBus) -> None:
    async with catalogue(bus), gateway(bus) as http:
        await http.put(STREAM, json=DEFINITION)
        made = await http.post(f"{STREAM}/markers", json={**NOTE, "duration_s": 2, "channel": "a"})
        assert made.status_code == 201
        marker = decode(Marker, made.content, ContentType.JSON)
        assert (marker.stream, marker.first_sample, marker.text) == ("icu", 7, "eyes closed")
        packed = await http.post(f"{STREAM}/markers", json={"t_ns": 5, "text": "on"})
        assert packed.json()["epoch"] is None
        forged = encode(Marker(stream="other", t_ns=1, text="forged"), ContentType.JSON)
        headers = {CONTENT_TYPE: ContentType.JSON.value}
        await bus.log.store(subjects.marker("icu"), forged, msg_id="f", headers=headers)
        page = (await http.get(f"{STREAM}/markers")).json()
    assert [each["seq"] for each in page["items"]] == [1, 2]
    assert [each["marker"] for each in page["items"]] == [made.json(), packed.json()]
    assert page["next"] is None


async def test_others_are_served_while_a_large_body_is_refused(bus: MemoryBus) -> None:
    """It was decoded on the event loop: the largest one blocked all clients for 150 ms."""
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await anyio.lowlevel.checkpoint()

    async def turns_during(body: bytes) -> int:
        before = turns
        reply = await http.post(f"{STREAM}/markers", content=body, headers=MSGPACK)
        assert reply.status_code == 422
        return turns - before

    async with catalogue(bus), gateway(bus) as http:
        await http.put(STREAM, json=DEFINITION)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(count_turns)
            small = await turns_during(b"\x80")
            # A map whose text is a list of 100,000 lists.
            large = await turns_during(b"\x81\xa4text\xdd\0\1\x86\xa0" + b"\x90" * 100_000)
            tasks.cancel_scope.cancel()
    assert large > small + 10


async def test_a_bus_that_is_away_is_reported_immediately() -> None:
    class Away(MemoryLog):
        attempts = 0

        async def store(self, subject: str, *given: Any, **options: Any) -> StoreAck:
            if subject.startswith("cwt.marker."):
                self.attempts += 1
                raise BusUnreachableError("no server")
            return await super().store(subject, *given, **options)

    log = Away()
    await log.declare(system_topology(StorageSettings()))
    bus = MemoryBus(log)
    async with catalogue(bus), gateway(bus) as http:
        await http.put(STREAM, json=DEFINITION)
        refused = await http.post(f"{STREAM}/markers", json=NOTE)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert log.attempts == 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"text": None}, "text"),
        ({"t_ns": 1}, "first_sample"),
        ({"channel": "b"}, "channel"),
        ({"first_sample": None, "epoch": None}, "t_ns"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_a_wrong_marker_is_refused_by_its_field(
    bus: MemoryBus, change: dict[str, Any], field: str
) -> None:
    async with catalogue(bus), gateway(bus) as http:
        await http.put(STREAM, json=DEFINITION)
        refused = await http.post(f"{STREAM}/markers", json={**NOTE, **change})
        assert (refused.status_code, list(refused.json()["fields"])) == (422, [field])
        for method, path in (("POST", "other"), ("GET", "other"), ("POST", "no.name")):
            unknown = await http.request(method, f"/api/v1/streams/{path}/markers", json=NOTE)
            assert unknown.status_code == 404
    assert await bus.log.subject_counts(storage.RESULTS, subjects.MARKERS) == {}
