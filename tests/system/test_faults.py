"""What goes wrong in a laboratory: nothing is lost, nothing counts twice, and all of it is told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import repeat
from pathlib import Path

import anyio
import numpy as np
import orjson
import pytest
from numpy.typing import NDArray

from pycwt_client import Client
from schemas import storage, subjects
from schemas.codec import ContentType, encode, encode_raw_chunk
from schemas.event import StreamEvent
from schemas.headers import CONTENT_TYPE
from schemas.result import AnalysisResult
from schemas.signal import SignalChunk
from schemas.stream import AnalysisSpec, Channel, StreamDefinition
from tests import pipeline
from tests.system.conftest import RunningSystem, running_system

pytestmark = [pytest.mark.anyio, pytest.mark.system]

FS = 100.0
CHUNK = 50


def definition() -> StreamDefinition:
    spec = AnalysisSpec(
        name="a", op="wct", pairs=(("x", "y"),), fmin_hz=2, fmax_hz=16, hop_s=0.5,
        quantity="coherence",
    )  # fmt: skip
    channels = (Channel(name="x"), Channel(name="y"))
    return StreamDefinition(name="s", fs_hz=FS, channels=channels, analyses=(spec,))


def signal(n: int = 4000) -> NDArray[np.float64]:
    return np.random.default_rng(5).standard_normal((n, 2))


def expected(samples: NDArray[np.float64]) -> dict[str, AnalysisResult]:
    return pipeline.results(definition(), pipeline.chunks_of(samples, repeat(CHUNK)))


async def publish(client: Client, samples: NDArray[np.float64], first: int = 0) -> None:
    async with client.publisher("s", "e") as publisher:
        for at in range(first, len(samples), CHUNK):
            await publisher.publish(samples[at : at + CHUNK], first_sample=at)


async def collect(client: Client, count: int) -> dict[str, AnalysisResult]:
    found: dict[str, AnalysisResult] = {}
    async with client.results("s") as feed:
        with anyio.fail_after(60):
            while len(found) < count:
                result = await anext(feed)
                assert result.id not in found, "the log holds a result twice"
                found[result.id] = result
    return {key: pipeline.numbers(value) for key, value in found.items()}


async def events(client: Client, count: int) -> list[StreamEvent]:
    async with client.events("s") as feed:
        with anyio.fail_after(30):
            return [await anext(feed) for _ in range(count)]


def blank(found: dict[str, AnalysisResult]) -> dict[str, AnalysisResult]:
    return {key: pipeline.numbers(value) for key, value in found.items()}


@pytest.fixture
async def small(tmp_path: Path) -> AsyncIterator[RunningSystem]:
    """One worker is enough here."""
    async with running_system(tmp_path, workers=1) as running:
        await Client(running.bus).put_stream(definition())
        yield running


async def test_unusable_chunks_are_told_and_the_stream_goes_on(small: RunningSystem) -> None:
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
    assert await collect(client, len(expected(x))) == blank(expected(x))


async def test_the_three_encodings_give_the_same(small: RunningSystem) -> None:
    client, x = Client(small.bus), signal(1500)
    for i, chunk in enumerate(pipeline.chunks_of(x, repeat(CHUNK))):
        headers, body = encodings(chunk)[i % 3]
        await small.bus.log.store(
            subjects.signal("s"), body, msg_id=f"s/e/{chunk.first_sample}", headers=headers
        )
    assert await collect(client, len(expected(x))) == blank(expected(x))


def encodings(chunk: SignalChunk) -> list[tuple[dict[str, str], bytes]]:
    return [
        encode_raw_chunk(chunk),
        ({CONTENT_TYPE: ContentType.MSGPACK.value}, encode(chunk, ContentType.MSGPACK)),
        ({}, encode(chunk, ContentType.JSON)),
    ]


async def test_a_chunk_of_an_unknown_stream_is_told_on_that_streams_subject(
    small: RunningSystem,
) -> None:
    await small.bus.log.store(subjects.signal("nobody"), b"x", msg_id="x")
    async with Client(small.bus).events("nobody") as feed:
        with anyio.fail_after(10):
            event = await anext(feed)
    assert event.kind == "rejected"
    assert "cwt.stream.put" in event.detail


async def test_ingest_killed_in_mid_stream_loses_nothing_and_repeats_nothing(
    small: RunningSystem,
) -> None:
    client, x = Client(small.bus), signal()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(publish, client, x)
        await collect(client, 5)
        small.kill("ingest")
        await small.start("ingest", "ingest")
    assert await collect(client, len(expected(x))) == blank(expected(x))


async def test_ingest_stopped_and_started_again_goes_on_where_it_was(
    small: RunningSystem,
) -> None:
    client, x = Client(small.bus), signal()
    await publish(client, x[:2000])
    await collect(client, 5)
    assert await small.stop("ingest") == 0
    await publish(client, x, first=2000)
    await small.start("ingest", "ingest")
    assert await collect(client, len(expected(x))) == blank(expected(x))
    assert await small.bus.log.last_seq(storage.RESULTS) == len(expected(x))


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
