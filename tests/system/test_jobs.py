"""Jobs with real processes and a real server, whichever of them goes away in between."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import anyio
import numpy as np
import orjson
import pytest

from cwt_compute.queries.transforms import answer_wct
from cwt_runtime.bus.nats import connect_bus
from cwt_runtime.settings import StorageSettings
from cwt_runtime.storage.topology import system_topology
from cwt_runtime.telemetry.logs import Action, logger
from cwt_schemas import storage
from cwt_schemas.codec import decode
from cwt_schemas.errors import NotFound
from cwt_schemas.job import JobStatus
from cwt_schemas.message import DeadLetter
from cwt_schemas.query import WctRequest
from pycwt_client import Client
from pycwt_client.answers import WctAnswer
from tests.deadlines import fail_after
from tests.jobs import PACKED, JobClient, coherence, endless, overrated, quick
from tests.processes import children
from tests.servers import RestartableServer, free_port, restartable_server
from tests.system.conftest import POLL_S, RunningSystem

pytestmark = [pytest.mark.anyio, pytest.mark.system, pytest.mark.timeout(240)]

MIB = 1024 * 1024
#: Looking at all processes takes milliseconds.
SCAN_S = 0.1


@asynccontextmanager
async def compute_workers(
    folder: Path, count: int, **environment: str
) -> AsyncIterator[tuple[RunningSystem, RestartableServer]]:
    """A server and some workers, nothing else."""
    async with (
        restartable_server(folder / "nats", free_port()) as server,
        connect_bus(server.url, name="test", log=logger("test")) as bus,
    ):
        system = RunningSystem(url=server.url, bus=bus, folder=folder, environment=environment)
        try:
            async with anyio.create_task_group() as tasks:
                for number in range(count):
                    tasks.start_soon(system.start, f"compute-{number}", "compute")
            yield system, server
            codes = await system.stop_all()
            assert set(codes.values()) <= {0}, codes
        finally:
            for name in list(system.processes):
                system.kill(name)


async def nothing_left(system: RunningSystem) -> None:
    """Return when the queue of tasks is empty."""
    with fail_after(30):
        while True:
            backlog = await system.bus.log.backlog(storage.TASKS, storage.COMPUTE_TASKS)
            if backlog.waiting == backlog.in_flight == 0:
                return
            await anyio.sleep(POLL_S)


async def test_a_worker_killed_in_mid_job_costs_one_task_a_second_try(tmp_path: Path) -> None:
    tasks = [coherence(seed, n=300, mc_count=150) for seed in range(8)]
    async with compute_workers(tmp_path, 2) as (system, _):
        client = JobClient(system.bus)
        job = await client.submit(*tasks)
        await client.ended(job.job_id, done=2)
        system.kill("compute-0")
        state = await client.ended(job.job_id)
        outcomes = await client.outcomes(job.job_id)
        await nothing_left(system)

    assert (state.status, state.done, state.failed) == (JobStatus.COMPLETED, 8, 0)
    assert {outcome.attempt for outcome in outcomes.values()} == {1}
    for number, task in enumerate(tasks):
        result, alone = outcomes[str(number)].result, answer_wct(task)
        np.testing.assert_array_equal(getattr(result, "WCT", None), alone.WCT)
        np.testing.assert_array_equal(getattr(result, "signif", None), alone.signif)


async def test_a_server_killed_in_mid_job_and_started_again_loses_and_repeats_nothing(
    tmp_path: Path,
) -> None:
    async with compute_workers(tmp_path, 1) as (system, server):
        client = JobClient(system.bus)
        job = await client.submit(*(coherence(seed, n=300, mc_count=150) for seed in range(10)))
        before = await client.ended(job.job_id, done=2)
        await server.kill_and_restart()
        state = await client.ended(job.job_id)
        again = await client.submit(*(coherence(seed, n=300, mc_count=150) for seed in range(10)))
        await nothing_left(system)

    assert (state.status, state.done) == (JobStatus.COMPLETED, 10)
    kept = {task.task_id: task.stream_seq for task in before.results if task.status == "done"}
    assert kept.items() <= {task.task_id: task.stream_seq for task in state.results}.items()
    assert (again.job_id, again.status) == (job.job_id, JobStatus.COMPLETED)


async def test_job_has_one_outcome_per_task_when_processes_are_killed(
    tmp_path: Path,
) -> None:
    async with compute_workers(tmp_path, 2) as (system, server):
        client = JobClient(system.bus)
        job = await client.submit(quick(1), *[overrated()] * 100, quick(2))
        await client.ended(job.job_id, done=1)
        system.kill("compute-0")
        await server.kill_and_restart()
        state = await client.ended(job.job_id)
        outcomes = await client.outcomes(job.job_id)
        await nothing_left(system)

    assert (state.status, state.done, state.failed) == (JobStatus.FAILED, 2, 100)
    assert len(outcomes) == 102


async def test_task_that_kills_its_process_fails_alone(tmp_path: Path) -> None:
    async with compute_workers(tmp_path, 1, CWT_COMPUTE_MAX_TRIES="2") as (system, _):
        client = JobClient(system.bus)
        # Below what is spread over all workers, and far longer than it takes to be killed.
        poison = endless().model_copy(update={"mc_count": 3500})
        job = await client.submit(quick(1), quick(2), poison)
        state = await client.ended(job.job_id, done=2)
        while not state.status.ended:
            for pid in compute_processes(system, "compute-0"):
                os.kill(pid, signal.SIGKILL)
            await anyio.sleep(0.1)
            state = await client.get(job.job_id)
        after = await client.submit(quick(3))
        assert (await client.ended(after.job_id)).status is JobStatus.COMPLETED
        async with system.bus.log.replay(storage.DEAD, ("cwt.dead.>",)) as letters:
            with fail_after(10):
                letter = decode(DeadLetter, (await anext(letters)).message.data, PACKED)

    assert (state.status, state.done, state.failed) == (JobStatus.FAILED, 2, 1)
    assert "killed by signal 9" in (state.results[2].error or "")
    assert "failed 2 times" in letter.reason


async def test_an_expired_job_is_not_found_and_its_outcomes_are_gone(tmp_path: Path) -> None:
    async with compute_workers(tmp_path, 1) as (system, _):
        client = JobClient(system.bus)
        job = await client.submit(quick(1))
        await client.ended(job.job_id)
        # Only now: a worker on a busy machine may take longer than that to come to the job.
        limits = StorageSettings(jobs_max_age_s=1)
        await system.bus.log.declare(system_topology(limits), update=True)
        with fail_after(30), pytest.raises(NotFound, match="removed CWT_JOBS_MAX_AGE_S"):
            await forgotten(client, job.job_id)
        with fail_after(30):
            while await client.outcomes(job.job_id):  # noqa: ASYNC110 - age has no event
                await anyio.sleep(POLL_S)


async def forgotten(client: JobClient, job_id: str) -> None:
    while True:
        await client.get(job_id)
        await anyio.sleep(POLL_S)


async def test_a_job_waits_for_room_rather_than_lose_what_it_computed(tmp_path: Path) -> None:
    async with compute_workers(tmp_path, 1, CWT_JOB_RESULTS_MAX_BYTES=str(MIB)) as (system, _):
        client = JobClient(system.bus)
        job = await client.submit(*(quick(seed, n=4000) for seed in range(4)))
        await system.said("compute-0", Action.STORE_RETRIED)
        full = await client.get(job.job_id)
        await system.bus.log.declare(system_topology(StorageSettings()), update=True)
        state = await client.ended(job.job_id)

    assert full.status is JobStatus.RUNNING
    assert full.done < 4
    assert (state.status, state.done) == (JobStatus.COMPLETED, 4)


@pytest.mark.parametrize("full", ["CWT_JOB_RESULTS_MAX_BYTES", "CWT_OBJECTS_MAX_BYTES"])
async def test_a_job_that_waits_for_room_can_be_cancelled_and_holds_up_no_other(
    tmp_path: Path, full: str
) -> None:
    """Its worker waited for space to store an unneeded outcome, and took no other task."""
    samples = 4000 if full == "CWT_JOB_RESULTS_MAX_BYTES" else 40_000
    async with compute_workers(tmp_path, 1, **{full: str(3 * MIB)}) as (system, _):
        client = JobClient(system.bus)
        job = await client.submit(*[quick(n=samples)] * 8)
        await system.said("compute-0", Action.STORE_RETRIED)
        await client.cancel(job.job_id)
        other = await client.submit(quick(1))
        state = await client.ended(other.job_id)
        await nothing_left(system)

    assert state.status is JobStatus.COMPLETED


async def test_a_task_that_is_not_done_in_time_is_handed_back_by_a_worker_that_ends(
    tmp_path: Path,
) -> None:
    async with compute_workers(tmp_path, 2, CWT_DRAIN_S="0.1") as (system, _):
        client = JobClient(system.bus)
        # The server would not take it from a worker that is killed before the test is over.
        topology = system_topology(StorageSettings())
        patient = tuple(replace(each, ack_wait_s=3600.0) for each in topology.consumers)
        await system.bus.log.declare(replace(topology, consumers=patient), update=True)
        job = await client.submit(endless().model_copy(update={"mc_count": 500}))
        with fail_after(30):
            await system.stop(await computing(system))
        with fail_after(30):
            await computing(system)
        assert (await client.ended(job.job_id)).status is JobStatus.COMPLETED


def compute_processes(system: RunningSystem, name: str) -> list[int]:
    """Return the forks of the fork servers that a service has."""
    servers = children(system.processes[name].pid)
    return [child for server in servers for child in children(server)]


async def computing(system: RunningSystem) -> str:
    """Return a worker that has a compute process, as soon as there is one."""
    while True:
        for name in system.processes:
            if compute_processes(system, name):
                return name
        await anyio.sleep(SCAN_S)


async def test_cluster_query_equals_single_worker_when_workers_die(tmp_path: Path) -> None:
    x, y = np.random.default_rng(3).standard_normal((2, 200))
    alone = answer_wct(WctRequest(dt=1.0, signal1=x, signal2=y, dj=1 / 12, mc_count=1000, seed=1))
    async with compute_workers(tmp_path, 3) as (system, _):
        client = Client(system.bus)
        names = {info.name: info.available for info in await client.backends()}
        assert names["cluster"]
        found: list[WctAnswer] = []

        async def ask() -> None:
            found.append(
                await client.wct(
                    x, y, 1.0, dj=1 / 12, mc_count=1000, seed=1, backend="cluster", timeout_s=120
                )
            )

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            system.kill(await helper(system))

    assert found[0].backend_used == "cluster"
    np.testing.assert_array_equal(found[0].signif, alone.signif)


async def helper(system: RunningSystem) -> str:
    """Return a worker that computes shares of a question that another one was asked."""
    with fail_after(60):
        while True:
            for name in system.processes:
                instance = system.log(name)[0]["instance"]
                reply = await system.bus.request(f"$SRV.STATS.compute.{instance}", b"", timeout_s=5)
                asked = {
                    each["name"]: each["num_requests"]
                    for each in orjson.loads(reply.data)["endpoints"]
                }
                if asked["simulate"] and not asked["wct"]:
                    return name
            await anyio.sleep(POLL_S)


async def test_cancelled_job_frees_its_worker_immediately(tmp_path: Path) -> None:
    async with compute_workers(tmp_path, 1) as (system, _):
        client = JobClient(system.bus)
        poison = endless().model_copy(update={"mc_count": 3500})
        job = await client.submit(quick(1), *([poison] * 3))
        await client.ended(job.job_id, done=1)
        await client.cancel(job.job_id)
        after = await client.submit(quick(3))
        assert (await client.ended(after.job_id)).status is JobStatus.COMPLETED
        state = await client.get(job.job_id)
        await nothing_left(system)

    assert state.status is JobStatus.CANCELLED
    assert [task.status for task in state.results] == ["done", *["cancelled"] * 3]
