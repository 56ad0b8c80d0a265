"""A backup is restored on another server, and the work continues there."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cwt_ingest.ownership import checkpoint_key
from cwt_schemas import storage
from tests.jobs import JobClient
from tests.system.outliving import (
    CHUNKS,
    DEFINITION,
    RECORDING,
    STREAM,
    TASKS,
    check_job,
    check_results,
    check_stored,
    publish,
    results,
    server_on,
    start,
)
from tests.system.scenario import checkpointed, events

pytestmark = [pytest.mark.anyio, pytest.mark.system]

DATA = Path("nats", "jetstream")
STREAMS = Path("jetstream", "$G", "streams")


async def test_a_copy_of_a_stopped_server_continues_with_streams_and_jobs(tmp_path: Path) -> None:
    tasks = TASKS[:4]
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    async with server_on(first) as system:
        client = await start(system)
        await client.put_stream(DEFINITION)
        await JobClient(system.bus).submit(*tasks, job_id="job")
        async with client.publisher(STREAM, RECORDING.epoch) as publisher:
            await publish(publisher, 0, 40)
        await JobClient(system.bus).ended("job", done=1)
    shutil.copytree(first / DATA, second / DATA)
    async with server_on(second) as system:
        client = await start(system)
        async with client.publisher(STREAM, RECORDING.epoch) as publisher:
            await publish(publisher, 40, CHUNKS)
            await publisher.finish()
        await check_results(system.bus)
        await check_job(system.bus, "job", tasks)


@pytest.mark.parametrize(
    ("older", "kinds"),
    [("CWT_SIGNALS", ["gap"]), ("KV_cwt_checkpoints", []), ("CWT_RESULTS", [])],
)
async def test_a_part_of_the_store_that_is_older_than_the_rest_costs_no_result(
    tmp_path: Path, older: str, kinds: list[str]
) -> None:
    """The data of one stream is from an earlier backup than the others'."""
    async with server_on(tmp_path) as system:
        client = await start(system)
        await client.put_stream(DEFINITION)
        async with client.publisher(STREAM, RECORDING.epoch) as publisher:
            await publish(publisher, 0, 30)
            await checkpointed(system.bus, 30)
    backup = tmp_path / "backup"
    shutil.copytree(tmp_path / DATA, backup)
    async with server_on(tmp_path) as system:
        client = await start(system)
        async with client.publisher(STREAM, RECORDING.epoch) as publisher:
            await publish(publisher, 30, 50)
            await checkpointed(system.bus, 50)
    shutil.rmtree(tmp_path / DATA / STREAMS / older)
    shutil.copytree(backup / STREAMS / older, tmp_path / DATA / STREAMS / older)
    async with server_on(tmp_path) as system:
        if older == "CWT_RESULTS":
            await (await system.bus.log.bucket(storage.KV_CHECKPOINTS)).delete(
                checkpoint_key(STREAM)
            )
        client = await start(system)
        async with client.publisher(STREAM, RECORDING.epoch) as publisher:
            await publish(publisher, 50, CHUNKS)
            await publisher.finish()
        await results(system.bus)
        await check_stored(system.bus)
        assert [event.kind for event in await events(client, len(kinds))] == kinds
