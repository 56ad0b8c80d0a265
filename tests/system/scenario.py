"""A stream, its samples and the expected results, shared by the system tests."""

from __future__ import annotations

from itertools import repeat
from pathlib import Path

import anyio
import numpy as np
from numpy.typing import NDArray

from cwt_ingest.ownership import checkpoint_key
from cwt_runtime.bus import Bus
from cwt_schemas import decode, storage, subjects
from cwt_schemas.analysis import AnalysisSpec
from cwt_schemas.checkpoint import StreamCheckpoint
from cwt_schemas.codec import content_type_of
from cwt_schemas.live import AnalysisResult, StreamEvent
from cwt_schemas.stream import Channel, StreamDefinition
from pycwt_client import Client
from tests import pipeline
from tests.deadlines import fail_after
from tests.system.conftest import POLL_S, START_S

__all__ = [
    "CHUNK",
    "STREAM",
    "blank",
    "check_stored",
    "checkpointed",
    "collect",
    "definition",
    "events",
    "expected",
    "gone",
    "publish",
    "signal",
    "written",
]

STREAM = "s"
FS = 100.0
CHUNK = 50
EPOCH = "e"


def definition() -> StreamDefinition:
    spec = AnalysisSpec(
        name="a", op="wct", pairs=(("x", "y"),), fmin_hz=2, fmax_hz=16, hop_s=0.5,
        quantity="coherence",
    )  # fmt: skip
    channels = (Channel(name="x"), Channel(name="y"))
    return StreamDefinition(name=STREAM, fs_hz=FS, channels=channels, analyses=(spec,))


def signal(n: int = 4000) -> NDArray[np.float64]:
    return np.random.default_rng(5).standard_normal((n, 2))


def expected(samples: NDArray[np.float64]) -> dict[str, AnalysisResult]:
    """Return the expected results of the samples, by id."""
    return pipeline.results(definition(), pipeline.chunks_of(samples, repeat(CHUNK), epoch=EPOCH))


def blank(found: dict[str, AnalysisResult]) -> dict[str, AnalysisResult]:
    """Return the results without the fields that depend on the worker and the time."""
    return {key: pipeline.numbers(value) for key, value in found.items()}


async def publish(client: Client, samples: NDArray[np.float64], first: int = 0) -> None:
    async with client.publisher(STREAM, EPOCH) as publisher:
        for at in range(first, len(samples), CHUNK):
            await publisher.publish(samples[at : at + CHUNK], first_sample=at)


async def collect(client: Client, count: int, stream: str = STREAM) -> dict[str, AnalysisResult]:
    """Return the first `count` results of the log, none of which may be there twice."""
    found: dict[str, AnalysisResult] = {}
    async with client.results(stream) as feed:
        with fail_after(90):
            while len(found) < count:
                result = await anext(feed)
                found[result.id] = result
    assert feed.repeated == 0, "the log holds a result twice"
    assert len(found) == count
    return found


async def events(client: Client, count: int) -> list[StreamEvent]:
    async with client.events(STREAM) as feed:
        with fail_after(30):
            return [await anext(feed) for _ in range(count)]


async def check_stored(bus: Bus, count: int) -> None:
    """Check that the log holds `count` results and no event but of lag, true on a busy machine."""
    results, kinds = 0, list[str]()
    async with bus.log.read(storage.RESULTS, (subjects.RESULTS, subjects.EVENTS)) as stored:
        async for each in stored:
            if each.message.subject.startswith(subjects.EVENTS.removesuffix("*")):
                encoding = content_type_of(each.message.headers)
                kinds.append(decode(StreamEvent, each.message.data, encoding).kind)
            else:
                results += 1
    assert results == count
    assert set(kinds) <= {"lag"}


async def checkpointed(bus: Bus, chunks: int) -> None:
    """Wait until a checkpoint of ingest covers this number of chunks."""
    bucket = await bus.log.bucket(storage.KV_CHECKPOINTS)
    with fail_after(30):
        while True:
            entry = await bucket.get(checkpoint_key(STREAM))
            if entry and decode(StreamCheckpoint, entry.value).progress.chunks >= chunks:
                return
            await anyio.sleep(POLL_S)


async def gone(pid: int) -> None:
    """Return when the process has ended, whether or not its parent knows."""
    with fail_after(START_S):
        while _status(pid) != "Z":  # noqa: ASYNC110 - a process of others has no event
            await anyio.sleep(POLL_S)


async def written(log: Path, word: str) -> None:
    """Return when `word` is in the file."""
    with fail_after(START_S):
        while word not in log.read_text():  # noqa: ASYNC110, ASYNC240 - a file has no event
            await anyio.sleep(POLL_S)


def _status(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return "Z"
