"""Streams over HTTP: definitions, and chunks in each of their encodings."""

from __future__ import annotations

from typing import Any

import anyio
import numpy as np
import pytest

from cwt_schemas import storage
from cwt_schemas.chunk_codec import decode_chunk
from cwt_schemas.codec import ContentType, encode
from cwt_schemas.live import SignalChunk
from tests.memory_bus import MemoryBus
from tests.unit.gateway.conftest import catalogue, gateway

pytestmark = pytest.mark.anyio

TWO_CHANNELS: dict[str, Any] = {"fs_hz": 100.0, "channels": [{"name": "a"}, {"name": "b"}]}
STREAM = "/api/v1/streams/icu"


async def chunks_in(bus: MemoryBus) -> list[SignalChunk]:
    async with bus.log.read(storage.SIGNALS, ("cwt.signal.icu",)) as stored:
        messages = [each.message async for each in stored]
    return [decode_chunk(each.headers, each.data, 2) for each in messages]


async def test_another_method_is_refused_with_those_of_the_path(bus: MemoryBus) -> None:
    async with gateway(bus) as http:
        refused = await http.patch(STREAM)
    assert (refused.status_code, refused.headers["allow"]) == (405, "DELETE, GET, HEAD, PUT")


@pytest.mark.parametrize("kind", ["results", "events"])
async def test_a_time_beyond_the_calendar_is_refused(bus: MemoryBus, kind: str) -> None:
    async with catalogue(bus), gateway(bus) as http:
        await http.put(STREAM, json=TWO_CHANNELS)
        params = {"from": "9999-12-31T23:59:59-23:59"}
        refused = await http.get(f"{STREAM}/{kind}", params=params)
    assert (refused.status_code, list(refused.json()["fields"])) == (422, ["from"])


async def test_a_stream_is_defined_read_listed_and_ended(bus: MemoryBus) -> None:
    async with catalogue(bus), gateway(bus) as http:
        assert (await http.get(STREAM)).status_code == 404
        put = await http.put(STREAM, json=TWO_CHANNELS)
        assert (put.status_code, put.json()["definition"]["name"]) == (200, "icu")
        assert (await http.get(STREAM)).json() | {"results_bytes_per_s": 0} == put.json()
        listed = (await http.get("/api/v1/streams")).json()["streams"]
        assert [each["definition"]["name"] for each in listed] == ["icu"]
        assert (await http.delete(STREAM)).status_code == 200
        assert (await http.delete(STREAM)).status_code == 404


@pytest.mark.slow
async def test_the_data_of_a_stream_is_removed_once_the_stream_has_ended(bus: MemoryBus) -> None:
    chunk = {"schema": "signal.chunk/1", "epoch": "e", "samples": [[1, 2], [3, 4]]}
    async with catalogue(bus), gateway(bus) as http:
        await http.put(STREAM, json=TWO_CHANNELS)
        assert (await http.post(f"{STREAM}/chunks", json=chunk)).status_code == 202
        refused = await http.delete(f"{STREAM}/data")
        assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
        assert len(await chunks_in(bus)) == 1
        await http.delete(STREAM)
        removed = (await http.delete(f"{STREAM}/data")).json()
    assert (removed["name"], removed["chunks"], removed["results"]) == ("icu", 1, 0)
    assert await chunks_in(bus) == []


@pytest.mark.parametrize(
    ("change", "field"),
    [({"name": "other"}, "name"), ({"fs_hz": -1.0}, "fs_hz"), ({"colour": "red"}, "colour")],
)
async def test_a_wrong_definition_is_refused_by_its_field(
    bus: MemoryBus, change: dict[str, Any], field: str
) -> None:
    async with catalogue(bus), gateway(bus) as http:
        reply = await http.put(STREAM, json=TWO_CHANNELS | change)
        assert (reply.status_code, list(reply.json()["fields"])) == (422, [field])
        assert (await http.put(STREAM, content=b"{", headers=_type("json"))).status_code == 422


async def test_a_chunk_is_stored_in_any_encoding_and_once(bus: MemoryBus) -> None:
    samples = np.arange(6, dtype="<f4").reshape(3, 2)
    fields = {"schema": "signal.chunk/1", "epoch": "e", "first_sample": 0}
    message = SignalChunk(epoch="e", first_sample=3, samples=samples)
    raw = {**_type("octet-stream"), "CWT-DTYPE": "<f4", "cwt-epoch": "e", "Cwt-First-Sample": "6"}
    async with catalogue(bus), gateway(bus) as http:
        await http.put(STREAM, json=TWO_CHANNELS)
        path = f"{STREAM}/chunks"
        packed = encode(message, ContentType.MSGPACK)
        replies = [
            await http.post(path, json={**fields, "samples": samples.tolist()}),
            await http.post(path, content=packed, headers=_type("msgpack")),
            await http.post(path, content=samples.tobytes(), headers=raw),
            await http.post(path, content=samples.tobytes(), headers=raw),
        ]
    assert [each.status_code for each in replies] == [202] * 4
    assert [(each.json()["seq"], each.json()["duplicate"]) for each in replies] == [
        (1, False),
        (2, False),
        (3, False),
        (3, True),
    ]
    stored = await chunks_in(bus)
    assert [each.first_sample for each in stored] == [0, 3, 6]
    assert all(np.array_equal(each.samples, samples) for each in stored)


async def test_chunks_without_a_position_are_all_stored(bus: MemoryBus) -> None:
    chunk = {"schema": "signal.chunk/1", "epoch": "e", "samples": [[1.0, 2.0]]}
    async with catalogue(bus), gateway(bus) as http:
        await http.put(STREAM, json=TWO_CHANNELS)
        for _ in range(2):
            assert not (await http.post(f"{STREAM}/chunks", json=chunk)).json()["duplicate"]
    assert len(await chunks_in(bus)) == 2


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"Cwt-Dtype": "<f4", "Cwt-Epoch": "e"}, b"\0" * 12, 422),
        ({"Cwt-Dtype": "<f9", "Cwt-Epoch": "e"}, b"\0" * 8, 422),
        ({"Cwt-Dtype": "<f4"}, b"\0" * 8, 422),
        ({"Cwt-Dtype": "<f4", "Cwt-Epoch": "e", "cwt-channels": "3"}, b"\0" * 24, 422),
        ({"Content-Type": "text/csv"}, b"1,2", 415),
        ({"Content-Type": "application/json"}, b'{"samples": [1, 2]}', 422),
    ],
)
async def test_a_wrong_chunk_is_refused_and_not_stored(
    bus: MemoryBus, headers: dict[str, str], body: bytes, status: int
) -> None:
    async with catalogue(bus), gateway(bus) as http:
        await http.put(STREAM, json=TWO_CHANNELS)
        given = {**_type("octet-stream"), **headers}
        reply = await http.post(f"{STREAM}/chunks", content=body, headers=given)
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    assert await chunks_in(bus) == []


async def test_a_chunk_of_no_stream_is_not_stored(bus: MemoryBus) -> None:
    async with catalogue(bus), gateway(bus) as http:
        for name in ("icu", "not.a.name"):
            reply = await http.post(f"/api/v1/streams/{name}/chunks", json={})
            assert (reply.status_code, reply.json()["code"]) == (404, "not_found")


async def test_a_stream_that_is_defined_anew_takes_its_new_channels_at_once(bus: MemoryBus) -> None:
    chunk = {"schema": "signal.chunk/1", "epoch": "e", "samples": [1.0, 2.0]}
    async with catalogue(bus), gateway(bus) as http:
        await http.put(STREAM, json=TWO_CHANNELS)
        assert (await http.post(f"{STREAM}/chunks", json=chunk)).status_code == 422
        await http.put(STREAM, json=TWO_CHANNELS | {"channels": [{"name": "a"}]})
        assert (await http.post(f"{STREAM}/chunks", json=chunk)).status_code == 202


async def test_without_ingest_the_bus_is_unavailable(bus: MemoryBus) -> None:
    async with gateway(bus) as http:
        with anyio.fail_after(5):
            reply = await http.get(STREAM)
    assert (reply.status_code, reply.json()["code"]) == (503, "unavailable")
    assert reply.headers["retry-after"] == "1"


def _type(kind: str) -> dict[str, str]:
    return {"Content-Type": f"application/{kind}"}
