"""A system of version 0.1.0 is upgraded: nothing is lost, and nothing is there twice."""

from __future__ import annotations

import os
import tarfile
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest

from cwt_compute.queries.transforms import answer_wct
from cwt_runtime.bus import Bus
from cwt_runtime.bus.nats import connect_bus
from cwt_runtime.process.embedded_server import start_server
from cwt_runtime.telemetry.logs import logger
from cwt_schemas import storage, subjects
from cwt_schemas.job import JobStatus, SignificanceTask
from cwt_schemas.live import AnalysisResult
from cwt_schemas.query import WctReply
from pycwt_client import Client, Publisher
from tests.deadlines import fail_after
from tests.jobs import JobClient
from tests.system.conftest import RunningSystem
from tests.system.older import ARCHIVE, JOB, RECORDING, SETTINGS, STORED, TASKS, start_older
from tests.system.recording import CHUNK, check, definition, expected_count
from tests.system.scenario import STREAM

pytestmark = [pytest.mark.anyio, pytest.mark.system]

#: A checkout of version 0.1.0, whose services a test replaces while they run.
OLD_TREE = Path(os.environ.get("CWT_OLD_TREE", "")).absolute()
#: Number of chunks of the recording.
CHUNKS = len(RECORDING.samples) // CHUNK
#: A task whose outcome depends on the version.
LEVEL = SignificanceTask(
    type="significance", al1=0.5, al2=0.5, dt=1.0, dj=0.25, s0=2.0, J=8, mc_count=20
)


@asynccontextmanager
async def server_on(folder: Path) -> AsyncIterator[RunningSystem]:
    """Run a server on the store in `folder`, and whatever the test starts."""
    async with (
        start_server(folder / "nats") as server,
        connect_bus(server.url, name="test", log=logger("test")) as bus,
    ):
        system = RunningSystem(url=server.url, bus=bus, folder=folder, environment=SETTINGS)
        try:
            yield system
            codes = await system.stop_all()
            assert set(codes.values()) <= {0}, codes
        finally:
            for name in list(system.processes):
                system.kill(name)


async def publish(publisher: Publisher, first: int, end: int) -> None:
    """Publish the chunks of the recording from `first` on, and before `end`."""
    for at in range(first * CHUNK, end * CHUNK, CHUNK):
        await publisher.publish(RECORDING.samples[at : at + CHUNK], first_sample=at)


async def check_results(bus: Bus) -> None:
    """Check that each result of the recording is stored once and right, and no dead letter."""
    stream, found = definition(STREAM), list[AnalysisResult]()
    expected = expected_count(stream, [RECORDING])
    async with Client(bus).results(STREAM) as feed:
        with fail_after(60):
            while len(found) < expected:
                found.append(await anext(feed))
        assert feed.repeated == 0
    check(found, stream, RECORDING)
    counts = await bus.log.subject_counts(storage.RESULTS, subjects.results_of(STREAM))
    assert sum(counts.values()) == expected
    assert not await bus.log.subject_counts(storage.DEAD, subjects.DEAD)


async def check_job(jobs: JobClient, job: str, *, count: int) -> None:
    """Check that every task of the job has one outcome, and that of `TASKS` its values."""
    state = await jobs.ended(job)
    assert (state.status, state.done, state.failed) == (JobStatus.COMPLETED, count, 0)
    outcomes = await jobs.outcomes(job)
    for number, task in enumerate(TASKS):
        result = outcomes[str(number)].result
        assert isinstance(result, WctReply)
        np.testing.assert_allclose(result.WCT, answer_wct(task).WCT, atol=1e-9)


async def test_a_store_of_version_0_1_0_is_read_and_its_work_is_finished(tmp_path: Path) -> None:
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path / "nats", filter="data")
    async with server_on(tmp_path) as system:
        client = Client(system.bus)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(system.start, "ingest", "ingest")
            tasks.start_soon(system.start, "compute", "compute")
        async with client.publisher(STREAM, RECORDING.epoch) as publisher:
            await publish(publisher, STORED, CHUNKS)
            await publisher.finish()
        # Version 0.1.0 has no markers.
        await client.mark(STREAM, "upgraded", epoch=RECORDING.epoch, first_sample=10)
        await check_results(system.bus)
        await check_job(JobClient(system.bus), JOB, count=len(TASKS))


@pytest.mark.skipif(
    "CWT_OLD_TREE" not in os.environ, reason="CWT_OLD_TREE is not the path of version 0.1.0"
)
async def test_running_services_of_version_0_1_0_are_replaced_one_by_one(tmp_path: Path) -> None:
    async with server_on(tmp_path) as system:
        client, jobs = Client(system.bus), JobClient(system.bus)
        await start_older(system, OLD_TREE, "old-ingest", "ingest")
        for name in ("old-compute-0", "old-compute-1"):
            await start_older(system, OLD_TREE, name, "compute")
        # An upgraded client works with services that are not.
        await client.put_stream(definition(STREAM))
        await jobs.submit(*TASKS, job_id="first")
        steps: list[Callable[[], Coroutine[Any, Any, object]]] = [
            lambda: system.start("compute-0", "compute"),
            lambda: jobs.submit(*TASKS, LEVEL, job_id="second"),
            lambda: system.stop("old-compute-0"),
            lambda: system.start("ingest", "ingest"),
            lambda: system.stop("old-ingest"),
            lambda: system.start("compute-1", "compute"),
            lambda: jobs.ended("second"),
            lambda: system.stop("old-compute-1"),
        ]
        async with client.publisher(STREAM, RECORDING.epoch) as publisher:
            part = CHUNKS // len(steps)
            for number, step in enumerate(steps):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(step)
                    await publish(publisher, number * part, (number + 1) * part)
            await publisher.finish()
        await check_results(system.bus)
        await check_job(jobs, "first", count=len(TASKS))
        await check_job(jobs, "second", count=len(TASKS) + 1)
