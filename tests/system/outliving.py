"""A stream and a job that outlive the server and the services on which they began."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import numpy as np

from cwt_compute.queries.transforms import answer_wct
from cwt_runtime.bus import Bus
from cwt_runtime.bus.nats import connect_bus
from cwt_runtime.process.embedded_server import start_server
from cwt_runtime.telemetry.logs import logger
from cwt_schemas import storage, subjects
from cwt_schemas.job import JobStatus, TaskRequest, WctTask
from cwt_schemas.live import AnalysisResult
from cwt_schemas.query import WctReply
from cwt_schemas.stream import StreamDefinition
from pycwt_client import Client, Publisher
from tests.deadlines import fail_after
from tests.jobs import JobClient, coherence
from tests.system.conftest import RunningSystem
from tests.system.recording import CHUNK, Recording, check, definition, expected_count
from tests.system.scenario import STREAM

__all__ = [
    "CHUNKS", "DEFINITION", "EXPECTED", "RECORDING", "STREAM", "TASKS",
    "check_job", "check_results", "check_stored", "publish", "results", "server_on", "start",
]  # fmt: skip

RECORDING = Recording.of(random.Random(1))
DEFINITION: StreamDefinition = definition(STREAM)
#: Number of chunks of the recording, and of its results.
CHUNKS = len(RECORDING.samples) // CHUNK
EXPECTED = expected_count(DEFINITION, [RECORDING])
TASKS = [coherence(seed, n=100, mc_count=400) for seed in range(12)]


@asynccontextmanager
async def server_on(folder: Path, **environment: str) -> AsyncIterator[RunningSystem]:
    """Run a server on the data in ``nats`` in `folder`, and the services that the test starts."""
    async with (
        start_server(folder / "nats") as server,
        connect_bus(server.url, name="test", log=logger("test")) as bus,
    ):
        system = RunningSystem(url=server.url, bus=bus, folder=folder, environment=environment)
        try:
            yield system
            codes = await system.stop_all()
            assert set(codes.values()) <= {0}, codes
        finally:
            for name in list(system.processes):
                system.kill(name)


async def start(system: RunningSystem) -> Client:
    """Start ingest and a worker; return a client."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(system.start, "ingest", "ingest")
        tasks.start_soon(system.start, "compute", "compute")
    return Client(system.bus)


async def publish(publisher: Publisher, first: int, end: int) -> None:
    """Publish the chunks of the recording from `first` on, and before `end`."""
    for at in range(first * CHUNK, end * CHUNK, CHUNK):
        await publisher.publish(RECORDING.samples[at : at + CHUNK], first_sample=at)


async def results(bus: Bus) -> list[AnalysisResult]:
    """Return the results of the recording, each once."""
    async with Client(bus).results(STREAM) as feed:
        with fail_after(60):
            return [await anext(feed) for _ in range(EXPECTED)]


async def check_stored(bus: Bus) -> None:
    """Check that no result of the recording is stored twice, and no dead letter."""
    counts = await bus.log.subject_counts(storage.RESULTS, subjects.results_of(STREAM))
    assert sum(counts.values()) == EXPECTED
    assert not await bus.log.subject_counts(storage.DEAD, subjects.DEAD)


async def check_results(bus: Bus) -> None:
    """Check that each result of the recording is stored once and right."""
    check(await results(bus), DEFINITION, RECORDING)
    await check_stored(bus)


async def check_job(bus: Bus, job: str, tasks: Sequence[TaskRequest] = TASKS) -> None:
    """Check that every task of the job has one outcome, with the right coherence."""
    jobs = JobClient(bus)
    state = await jobs.ended(job)
    assert (state.status, state.done, state.failed) == (JobStatus.COMPLETED, len(tasks), 0)
    outcomes = await jobs.outcomes(job)
    for number, task in enumerate(tasks):
        if isinstance(task, WctTask):
            result = outcomes[str(number)].result
            assert isinstance(result, WctReply)
            alone = answer_wct(task.model_copy(update={"significance_level": None}))
            np.testing.assert_allclose(result.WCT, alone.WCT, atol=1e-9)
