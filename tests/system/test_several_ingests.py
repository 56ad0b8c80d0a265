"""Several ingests share the streams, and take over those of an ingest that stops."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cwt_ingest.ownership import checkpoint_key
from cwt_runtime.telemetry.logs import Action
from cwt_schemas import decode, storage
from cwt_schemas.checkpoint import StreamCheckpoint
from pycwt_client import Client
from tests.deadlines import fail_after
from tests.system.conftest import RunningSystem, running_system
from tests.system.scenario import (
    STREAM,
    blank,
    check_stored,
    collect,
    definition,
    expected,
    publish,
)
from tests.system.scenario import signal as samples_of

pytestmark = [pytest.mark.anyio, pytest.mark.system]

#: What the operator is promised.
TAKEOVER_S = 10.0


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[RunningSystem]:
    """A system with two ingests, and a stream half of which has been published."""
    async with running_system(tmp_path, workers=1) as running:
        await running.start("other", "ingest")
        client = Client(running.bus)
        await client.put_stream(definition())
        await publish(client, samples_of()[:2000])
        await collect(client, 5)
        yield running


async def goes_on(running: RunningSystem) -> None:
    """Publish the other half, and find each result once and nothing else, such as a false event."""
    client, x = Client(running.bus), samples_of()
    await publish(client, x, first=2000)
    assert blank(await collect(client, len(expected(x)))) == blank(expected(x))
    await check_stored(running.bus, len(expected(x)))


async def owner_other_than(running: RunningSystem, *instances: str | None) -> str:
    """Return the owner of the stream once it is not one of `instances`."""
    # Not by asking: a halted ingest is asked like any other, and says nothing.
    bucket = await running.bus.log.bucket(storage.KV_CHECKPOINTS)
    async with bucket.watch(checkpoint_key(STREAM)) as changes:
        async for change in changes:
            owner = decode(StreamCheckpoint, change.value or b"").owner
            if owner is not None and owner not in instances:
                return owner
    raise AssertionError("a watch does not end")


async def names_of(running: RunningSystem) -> tuple[str, str, str]:
    """Return which of the two follows the stream and which does not, and the first's instance."""
    with fail_after(TAKEOVER_S):
        owner = await owner_other_than(running)
    if owner == running.log("ingest")[0]["instance"]:
        return "ingest", "other", owner
    return "other", "ingest", owner


async def test_two_ingests_lose_nothing_and_tell_nothing_twice(pair: RunningSystem) -> None:
    await goes_on(pair)


async def test_other_ingest_takes_over_from_killed_one(pair: RunningSystem) -> None:
    owner, _, instance = await names_of(pair)
    pair.kill(owner)
    with fail_after(TAKEOVER_S):
        await owner_other_than(pair, instance)
    await goes_on(pair)


async def test_other_ingest_takes_over_from_silent_one(pair: RunningSystem) -> None:
    owner, _, instance = await names_of(pair)
    pair.processes[owner].send_signal(signal.SIGSTOP)
    with fail_after(TAKEOVER_S):
        await owner_other_than(pair, instance)
    pair.processes[owner].send_signal(signal.SIGCONT)
    await pair.said(owner, Action.START_RETRIED)
    await goes_on(pair)


async def test_other_ingest_takes_over_immediately_from_stopped_one(pair: RunningSystem) -> None:
    owner, _, instance = await names_of(pair)
    assert await pair.stop(owner) == 0
    with fail_after(3):
        await owner_other_than(pair, instance)
    await goes_on(pair)


async def test_restarted_ingest_continues_after_kill(pair: RunningSystem) -> None:
    owner, other, _ = await names_of(pair)
    assert await pair.stop(other) == 0
    pair.kill(owner)
    await pair.start("again", "ingest")
    await goes_on(pair)
