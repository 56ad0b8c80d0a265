"""Faults in a laboratory: nothing is lost or counted twice, and every fault is reported."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import repeat
from pathlib import Path

import orjson
import pytest

from cwt_schemas import storage, subjects
from cwt_schemas.chunk_codec import encode_raw_chunk
from cwt_schemas.codec import ContentType, encode
from cwt_schemas.headers import CONTENT_TYPE
from cwt_schemas.live import SignalChunk
from pycwt_client import Client
from tests import pipeline
from tests.deadlines import fail_after
from tests.system.conftest import RunningSystem, running_system
from tests.system.scenario import (
    CHUNK,
    blank,
    check_stored,
    checkpointed,
    collect,
    definition,
    events,
    expected,
    publish,
    signal,
)

pytestmark = [pytest.mark.anyio, pytest.mark.system]


@pytest.fixture
async def small(tmp_path: Path) -> AsyncIterator[RunningSystem]:
    """One worker is enough here."""
    async with running_system(tmp_path, workers=1) as running:
        await Client(running.bus).put_stream(definition())
        yield running


async def test_unusable_chunks_are_reported_and_stream_continues(small: RunningSystem) -> None:
    client, x = Client(small.bus), signal(2000)
    rubbish: list[tuple[dict[str, str], bytes]] = [
        ({}, b"not json"),
        ({CONTENT_TYPE: ContentType.MSGPACK.value}, b"\xc1"),
        ({CONTENT_TYPE: ContentType.OCTETS.value, "Cwt-Dtype": "<f4", "Cwt-Epoch": "e"}, b"123"),
        ({}, orjson.dumps({"schema": "signal.chunk/1", "epoch": "e", "samples": [[1, 2, 3]]})),
        ({}, orjson.dumps({"schema": "signal.chunk/1", "epoch": "e", "samples": [["a", "b"]]})),
    ]
    await publish(client, x[:1000])
    for i, (headers, body) in enumerate(rubbish):
        await small.bus.log.store(subjects.signal("s"), body, msg_id=f"rubbish{i}", headers=headers)
    await publish(client, x, first=1000)
    told = await events(client, len(rubbish))
    assert [event.kind for event in told] == ["rejected"] * len(rubbish)
    assert all(event.detail for event in told)
    assert blank(await collect(client, len(expected(x)))) == blank(expected(x))


async def test_the_three_encodings_give_the_same(small: RunningSystem) -> None:
    client, x = Client(small.bus), signal(1500)
    for i, chunk in enumerate(pipeline.chunks_of(x, repeat(CHUNK))):
        headers, body = encodings(chunk)[i % 3]
        await small.bus.log.store(
            subjects.signal("s"), body, msg_id=f"s/e/{chunk.first_sample}", headers=headers
        )
    assert blank(await collect(client, len(expected(x)))) == blank(expected(x))


def encodings(chunk: SignalChunk) -> list[tuple[dict[str, str], bytes]]:
    return [
        encode_raw_chunk(chunk),
        ({CONTENT_TYPE: ContentType.MSGPACK.value}, encode(chunk, ContentType.MSGPACK)),
        ({}, encode(chunk, ContentType.JSON)),
    ]


async def test_chunk_of_unknown_stream_is_reported_on_its_subject(
    small: RunningSystem,
) -> None:
    await small.bus.log.store(subjects.signal("nobody"), b"x", msg_id="x")
    async with Client(small.bus).events("nobody") as feed:
        with fail_after(10):
            event = await anext(feed)
    assert event.kind == "rejected"
    assert "cwt.stream.put" in event.detail


async def test_killed_ingest_continues_from_its_checkpoint(
    small: RunningSystem,
) -> None:
    client, x = Client(small.bus), signal(6000)
    for end in (1000, 2000, 3000):
        await publish(client, x[:end], first=end - 1000)
        await checkpointed(small.bus, end // CHUNK)
    await publish(client, x[:4000], first=3000)
    await collect(client, len(expected(x[:3000])) + 1)
    small.kill("ingest")
    await publish(client, x, first=4000)
    await small.start("ingest", "ingest")
    assert blank(await collect(client, len(expected(x)))) == blank(expected(x))
    await check_stored(small.bus, len(expected(x)))
    resumed = [each for each in small.log("ingest") if each["action"] == "stream_resumed"][-1]
    assert 3000 // CHUNK <= int(str(resumed["last_seq"])) <= 4000 // CHUNK


async def test_restarted_ingest_continues_where_it_stopped(
    small: RunningSystem,
) -> None:
    client, x = Client(small.bus), signal()
    await publish(client, x[:2000])
    await collect(client, 5)
    assert await small.stop("ingest") == 0
    await publish(client, x, first=2000)
    await small.start("ingest", "ingest")
    assert blank(await collect(client, len(expected(x)))) == blank(expected(x))
    await check_stored(small.bus, len(expected(x)))


async def test_sigterm_ends_every_service_cleanly_with_its_work_done(
    small: RunningSystem,
) -> None:
    client, x = Client(small.bus), signal(2000)
    await publish(client, x)
    for name in ("ingest", "compute-0", "hwbridge"):
        assert await small.stop(name) == 0
        actions = [record["action"] for record in small.log(name)]
        assert actions[-1] == "stopped"
        assert "failed" not in actions
    backlog = await small.bus.log.backlog(storage.WINDOWS, storage.COMPUTE_WINDOWS)
    assert backlog.in_flight == 0
