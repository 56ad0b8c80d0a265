"""What one client cannot take from the others, tried from outside of a running system."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import numpy as np
import pytest

from cwt_runtime.bus.errors import BusError
from cwt_runtime.retry import RetryPolicy
from cwt_schemas import storage, subjects
from cwt_schemas.errors import Overloaded
from cwt_schemas.stream import StreamDefinition
from pycwt_client import Client
from tests.deadlines import fail_after
from tests.system.conftest import POLL_S, RunningSystem, running_system

pytestmark = [pytest.mark.anyio, pytest.mark.system]

MIB = 1024**2
LOG_BYTES = 8 * MIB
LIMITS = {
    "CWT_SIGNALS_MAX_BYTES": str(LOG_BYTES),
    "CWT_STREAMS_MAX": "2",
    "CWT_WINDOWS_PER_STREAM": "1",
}
NO_RETRY = RetryPolicy(max_tries=1)
PATIENT = RetryPolicy(first_delay_s=0.1, max_delay_s=0.5, max_tries=200)
#: 256 KiB.
CHUNK = np.zeros((32 * 1024, 2), "<f4")


@pytest.fixture
async def system(tmp_path: Path) -> AsyncIterator[RunningSystem]:
    """Ingest with a small signal log, and no worker that takes windows."""
    async with running_system(tmp_path, workers=0, environment=LIMITS) as running:
        yield running


def definition(name: str) -> StreamDefinition:
    power = {
        "name": "power", "op": "cwt", "channels": ["a", "b"], "fmin_hz": 100, "fmax_hz": 200,
        "hop_s": 0.5, "quantity": "power",
    }  # fmt: skip
    fields = {
        "name": name, "fs_hz": 1000.0, "channels": [{"name": "a"}, {"name": "b"}],
        "analyses": [power],
    }  # fmt: skip
    return StreamDefinition.model_validate(fields)


async def publish_until_refused(client: Client, stream: str, *, defined: bool = True) -> None:
    with pytest.raises(BusError):  # noqa: PT012 - as much as there is room for
        async with client.publisher(
            stream, "flood", in_flight=1, retry=NO_RETRY, defined=defined
        ) as publisher:
            while True:
                await publisher.publish(CHUNK)


async def reason_of_refusal(client: Client, stream: str) -> str:
    """Return the detail of the first event `rejected` about the room in the log."""
    with fail_after(30):
        async with client.events(stream) as events:
            async for event in events:
                if event.kind == "rejected" and "signal log" in event.detail:
                    return event.detail
    raise AssertionError


async def test_a_stream_that_floods_the_log_leaves_room_for_another(system: RunningSystem) -> None:
    """The log was full for all streams, for a day."""
    client = Client(system.bus)
    for name in ("flood", "victim"):
        await client.put_stream(definition(name))
    await publish_until_refused(client, "flood")
    async with client.publisher("victim", "e", retry=PATIENT) as victim:
        with fail_after(60):
            for _ in range(4):
                await victim.publish(CHUNK)
    assert victim.kept == 4
    detail = await reason_of_refusal(client, "flood")
    assert "share is 2 MiB (CWT_SIGNALS_SHARE)" in detail
    usage = await system.bus.log.usage(storage.SIGNALS)
    assert usage.size_bytes < LOG_BYTES


async def test_names_that_are_not_defined_leave_room_for_a_stream(system: RunningSystem) -> None:
    client = Client(system.bus)
    await client.put_stream(definition("victim"))
    await publish_until_refused(client, "invented", defined=False)
    async with client.publisher("victim", "e", retry=PATIENT) as victim:
        with fail_after(60):
            for _ in range(4):
                await victim.publish(CHUNK)
    assert victim.kept == 4
    assert "removed; stream invented is not defined" in await reason_of_refusal(client, "invented")
    with fail_after(30):
        while await system.bus.log.subject_counts(storage.SIGNALS, subjects.signal("invented")):  # noqa: ASYNC110 - another process
            await anyio.sleep(POLL_S)


async def test_more_streams_than_the_limit_are_refused_with_the_numbers(
    system: RunningSystem,
) -> None:
    client = Client(system.bus)
    for name in ("a", "b", "b"):  # the same again is not one more
        await client.put_stream(definition(name))
    with pytest.raises(Overloaded, match="2 streams are defined, the limit is 2") as refused:
        await client.put_stream(definition("c"))
    assert refused.value.detail == {"count": 2, "limit": 2}
    await client.delete_stream("a")
    await client.put_stream(definition("c"))
