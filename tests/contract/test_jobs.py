"""Jobs on both buses, with workers in this process and real compute processes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

import anyio
import msgpack  # type: ignore[import-untyped]
import numpy as np
import orjson
import pytest

import pycwt_mod
from cwt_compute.cluster.endpoint import simulate_endpoint
from cwt_compute.jobs.api import open_jobs
from cwt_compute.jobs.model import expansion_id
from cwt_compute.jobs.store import JobStore
from cwt_compute.jobs.tasks import is_spread
from cwt_compute.processes import ForkServer, open_pool
from cwt_compute.processes.fork_server import ForkedProcess
from cwt_compute.queries.transforms import answer_wct
from cwt_runtime.bus import Bus, StoreAck
from cwt_runtime.process.lifecycle import Stop
from cwt_runtime.rpc.context import service_context
from cwt_runtime.rpc.micro import Identity, serve_endpoints
from cwt_runtime.settings import StorageSettings
from cwt_runtime.storage.topology import system_topology
from cwt_runtime.telemetry.logs import logger
from cwt_schemas import storage, subjects
from cwt_schemas.codec import decode, encode
from cwt_schemas.errors import Conflict, NotFound, Unavailable, Unprocessable
from cwt_schemas.job import (
    JobOutcome,
    JobProgress,
    JobStatus,
    JobSubmit,
    JobSubmitted,
    JobTasks,
    JobWork,
    QueuedTask,
    SignificanceTask,
)
from cwt_schemas.message import DeadLetter, Message, StoredObject
from cwt_schemas.simulation import SimulateRequest
from tests.deadlines import fail_after
from tests.fork_server import FORK_SERVER
from tests.jobs import PACKED, JobClient, coherence, endless, overrated, quick, refused
from tests.memory_bus import MemoryBus
from tests.memory_bus.log import MemoryLog
from tests.memory_bus.objects import MemoryObjects

pytestmark = pytest.mark.anyio


@pytest.fixture
def bus(system_bus: Bus) -> Bus:
    """The system's own streams."""
    return system_bus


@asynccontextmanager
async def workers(bus: Bus, *names: str, server: ForkServer = FORK_SERVER) -> AsyncIterator[None]:
    """Workers with one compute process each, while the context is open."""
    stop = Stop()
    async with AsyncExitStack() as stack:
        stack.enter_context(service_context(bus))
        tasks = await stack.enter_async_context(anyio.create_task_group())
        for name in names:
            pool = await stack.enter_async_context(open_pool(server, name, 1))
            jobs = await open_jobs(bus, pool, name=name, max_tries=2, log=logger(name))
            identity = Identity(name="compute", id=name, version="0.0.1", description="")
            endpoints = [*jobs.endpoints, simulate_endpoint(pool)]
            await stack.enter_async_context(serve_endpoints(bus, identity, endpoints, logger(name)))
            tasks.start_soon(jobs.worker.run, stop)
        yield
        stop.set()


def array(message: Message | None, field: str) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    found = getattr(message, field)
    assert isinstance(found, np.ndarray)
    return found


async def test_a_job_is_worked_on_by_all_and_each_result_is_that_of_the_query(bus: Bus) -> None:
    client, tasks = JobClient(bus), [coherence(seed, n=100, mc_count=20) for seed in range(5)]
    async with workers(bus, "one", "two"):
        submitted = await client.submit(*tasks, name="five")
        state = await client.ended(submitted.job_id)

    assert submitted.tasks_count == 5
    assert (state.status, state.done, state.failed) == (JobStatus.COMPLETED, 5, 0)
    assert (state.progress, state.name) == (100, "five")
    assert state.started_ns is not None
    assert state.finished_ns is not None
    outcomes = await client.outcomes(submitted.job_id)
    for number, task in enumerate(tasks):
        assert state.results[number].status == "done"
        found, asked = outcomes[str(number)], answer_wct(task)
        np.testing.assert_array_equal(array(found.result, "WCT"), asked.WCT)
        np.testing.assert_array_equal(array(found.result, "signif"), array(asked, "signif"))


async def test_the_same_submission_again_is_the_same_job(bus: Bus) -> None:
    client = JobClient(bus)
    async with workers(bus, "one"):
        first = await client.submit(quick(1), quick(2))
        again = await client.submit(quick(1), quick(2))
        await client.ended(first.job_id)
        late = await client.submit(quick(1), quick(2))
        other = await client.submit(quick(1), quick(3))

        assert first.job_id == again.job_id == late.job_id != other.job_id
        assert late.status is JobStatus.COMPLETED
        assert len((await client.list()).jobs) == 2


async def test_another_job_under_the_same_id_is_a_conflict(bus: Bus) -> None:
    client = JobClient(bus)
    async with workers(bus, "one"):
        await client.submit(quick(1), job_id="mine")
        assert (await client.submit(quick(1), job_id="mine")).job_id == "mine"
        with pytest.raises(Conflict, match=r"\bmine\b"):
            await client.submit(quick(2), job_id="mine")


async def test_a_job_of_a_newer_version_is_refused_by_name_and_not_listed(bus: Bus) -> None:
    """No job was listed until it expired."""
    client = JobClient(bus)
    async with workers(bus, "one"):
        submitted = await client.submit(quick(1))
        records = await bus.log.bucket(storage.KV_JOBS)
        await records.put("newer", msgpack.packb({"schema": "job.record/99"}))
        with pytest.raises(Unprocessable, match=r"job\.record version '99'"):
            await client.get("newer")
        assert [job.job_id for job in (await client.list()).jobs] == [submitted.job_id]


async def test_nothing_is_queued_of_a_job_with_an_impossible_task(bus: Bus) -> None:
    client = JobClient(bus)
    wrong = coherence().model_copy(update={"backend": "abacus"})
    odd = quick().model_copy(update={"mother": "paul", "param": 4.5})
    async with workers(bus, "one"):
        with pytest.raises(Unprocessable) as refusal:
            await client.submit(quick(), wrong, odd, job_id="wrong")
        with pytest.raises(NotFound):
            await client.get("wrong")

    assert refusal.value.fields == ("tasks.1.backend", "tasks.2.param")
    assert await bus.log.last_seq(storage.TASKS) == 0


async def test_a_task_that_is_refused_fails_alone_with_its_reason(bus: Bus) -> None:
    client = JobClient(bus)
    async with workers(bus, "one"):
        job = await client.submit(quick(1), refused(), quick(2))
        state = await client.ended(job.job_id)

    assert (state.status, state.done, state.failed) == (JobStatus.FAILED, 2, 1)
    assert [task.status for task in state.results] == ["done", "failed", "done"]
    assert "signal1" in (state.results[1].error or "")
    outcome = (await client.outcomes(job.job_id))["1"]
    assert outcome.error is not None
    assert outcome.error.code == "unprocessable"


async def test_a_retry_computes_what_failed_and_nothing_else(bus: Bus) -> None:
    client = JobClient(bus)
    async with workers(bus, "one"):
        job = await client.submit(quick(1), refused())
        before = await client.ended(job.job_id)
        await client.retry(job.job_id)
        after = await client.ended(job.job_id)

    assert (before.attempt, after.attempt) == (1, 2)
    assert after.status is JobStatus.FAILED
    seqs = [[task.stream_seq for task in state.results] for state in (before, after)]
    assert seqs[0][0] == seqs[1][0]
    assert seqs[0][1] != seqs[1][1]
    assert (await client.outcomes(job.job_id))["1"].attempt == 2


async def test_only_failed_tasks_are_retried_and_only_running_ones_cancelled(
    bus: Bus,
) -> None:
    client = JobClient(bus)
    async with workers(bus, "one"):
        job = await client.submit(quick(1))
        await client.ended(job.job_id)
        with pytest.raises(Conflict, match="already completed"):
            await client.cancel(job.job_id)
        with pytest.raises(Conflict, match="every task"):
            await client.retry(job.job_id)
        for ask in (client.get, client.cancel, client.retry):
            with pytest.raises(NotFound, match="nobody"):
                await ask("nobody")


async def test_cancelling_ends_what_runs_and_the_rest_never_starts(bus: Bus) -> None:
    client = JobClient(bus)
    async with workers(bus, "one", "two"):
        job = await client.submit(quick(1), endless(1), endless(2), quick(2), job_id="long")
        await client.ended("long", done=1)
        with fail_after(20):
            state = await client.cancel("long")
            # A new job is worked on: both workers are free again.
            other = await client.submit(quick(3), quick(4))
            await client.ended(other.job_id)
        assert (await client.cancel("long")).status is JobStatus.CANCELLED

    assert state.status is JobStatus.CANCELLED
    told = await client_state(bus, job.job_id)
    assert set(told) <= {"done", "cancelled"}
    assert told[1] == told[2] == "cancelled"


class NoProcesses(ForkServer):
    """A machine that starts no process any more."""

    def fork(self, worker: str) -> ForkedProcess:
        raise OSError(f"no memory for {worker}")


async def test_where_no_process_starts_a_task_is_retried_and_then_fails_with_the_reason(
    bus: Bus,
) -> None:
    """Its message was left to the server's deadline, and the reason was in a log alone."""
    client = JobClient(bus)
    async with workers(bus, "one", server=NoProcesses("none")):
        job = await client.submit(quick())
        state = await client.ended(job.job_id)

    assert state.status is JobStatus.FAILED
    assert state.results[0].error is not None
    assert "failed 2 times" in state.results[0].error
    assert "no memory for one" in state.results[0].error


class UnreadableObjects(MemoryObjects):
    async def put(self, name: str, data: bytes) -> StoredObject:
        del data
        return await super().put(name, b"\xc1")


class UnreadableLog(MemoryLog):
    """Stores objects that no job can be read from."""

    def __init__(self) -> None:
        super().__init__()
        self._unreadable: dict[str, MemoryObjects] = {}

    async def objects(self, name: str) -> MemoryObjects:
        spec = (await super().objects(name)).spec
        return self._unreadable.setdefault(name, UnreadableObjects(spec))


async def test_a_job_whose_tasks_cannot_be_read_fails() -> None:
    """Its message came back every ten seconds, and the job stayed queued for ever."""
    log = UnreadableLog()
    await log.declare(system_topology(StorageSettings()))
    bus = MemoryBus(log)
    client = JobClient(bus)
    async with workers(bus, "one"):
        job = await client.submit(quick(1), quick(2))
        state = await client.ended(job.job_id)
        async with log.read(storage.DEAD, (subjects.DEAD,)) as letters:
            dead = [decode(DeadLetter, each.message.data, PACKED) async for each in letters]

    assert (state.status, state.done) == (JobStatus.FAILED, 0)
    (letter,) = dead
    assert letter.reason.startswith("failed 2 times, which is the limit")


class HeldLog(MemoryLog):
    """Holds a worker up where it looks for an outcome of the task ``held``/0."""

    def __init__(self) -> None:
        super().__init__()
        self.looked, self.released = anyio.Event(), anyio.Event()

    async def subject_counts(self, stream: str, pattern: str) -> Mapping[str, int]:
        if pattern == subjects.job_result("held", "0"):
            self.looked.set()
            await self.released.wait()
        return await super().subject_counts(stream, pattern)


async def test_a_job_cancelled_just_before_its_task_begins_does_not_run_it() -> None:
    """The task ran to its end, and kept its worker for as long: nothing looked again."""
    log = HeldLog()
    bus = MemoryBus(log)
    await log.declare(system_topology(StorageSettings()))
    client = JobClient(bus)
    async with workers(bus, "one"):
        await client.submit(endless(), job_id="held")
        with fail_after(20):
            await log.looked.wait()
            await client.cancel("held")
            await anyio.wait_all_tasks_blocked()  # the worker has seen the cancellation
            log.released.set()
            other = await client.submit(quick())
            await client.ended(other.job_id)


class SlowRetryLog(MemoryLog):
    """Holds up the first retry of a job where it enqueues its message."""

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.released = anyio.Event(), anyio.Event()

    async def store(
        self,
        subject: str,
        data: bytes,
        *,
        msg_id: str,
        headers: Mapping[str, str] | None = None,
        expect_seq: int | None = None,
    ) -> StoreAck:
        if msg_id == expansion_id("twice", 2) and not self.reached.is_set():
            self.reached.set()
            await self.released.wait()
        return await super().store(
            subject, data, msg_id=msg_id, headers=headers, expect_seq=expect_seq
        )


async def test_of_two_clients_that_retry_a_job_the_slower_one_changes_nothing() -> None:
    """It began an attempt whose tasks nothing enqueued: the job stayed queued for ever."""
    log = SlowRetryLog()
    bus = MemoryBus(log)
    await log.declare(system_topology(StorageSettings()))
    client = JobClient(bus)

    async def retry_late() -> None:
        with pytest.raises(Conflict, match="retried by another client"):
            await client.retry("twice")

    async with workers(bus, "one"), anyio.create_task_group() as clients:
        await client.submit(refused(), job_id="twice")
        await client.ended("twice")
        clients.start_soon(retry_late)
        with fail_after(20):
            await log.reached.wait()
            await client.retry("twice")
            assert (await client.ended("twice")).attempt == 2
            log.released.set()


async def client_state(bus: Bus, job_id: str) -> list[str]:
    async with workers(bus, "reader"):
        return [task.status for task in (await JobClient(bus).get(job_id)).results]


async def test_cancelled_job_can_be_retried(bus: Bus) -> None:
    client = JobClient(bus)
    tasks = [coherence(seed, n=200, mc_count=300) for seed in range(4)]
    async with workers(bus, "one"):
        job = await client.submit(*tasks)
        await client.ended(job.job_id, done=1)
        await client.cancel(job.job_id)
        assert (await client.retry(job.job_id)).status in {JobStatus.QUEUED, JobStatus.RUNNING}
        state = await client.ended(job.job_id)

    assert (state.status, state.done, state.attempt) == (JobStatus.COMPLETED, 4, 2)
    assert len(await client.outcomes(job.job_id)) == 4


@pytest.mark.parametrize("done", [4, 6, 7, 8])
async def test_cancelling_while_the_last_tasks_end_leaves_one_truth(bus: Bus, done: int) -> None:
    """Whichever comes first, the state is the same to everybody and does not change any more."""
    client = JobClient(bus)
    async with workers(bus, "one", "two"):
        job = await client.submit(*map(quick, range(8)))
        await client.ended(job.job_id, done=done)
        try:
            state = await client.cancel(job.job_id)
        except Conflict:
            state = await client.get(job.job_id)
        other = await client.submit(quick(100), quick(101))
        await client.ended(other.job_id)
        late = await client.get(job.job_id)

    assert state.status is late.status
    assert late.status in {JobStatus.COMPLETED, JobStatus.CANCELLED}
    statuses = [task.status for task in late.results]
    assert statuses.count("done") == late.done == len(await client.outcomes(job.job_id))
    assert (late.status is JobStatus.COMPLETED) <= (late.done == 8)
    assert (done == 8) <= (late.status is JobStatus.COMPLETED)


async def test_progress_is_announced_to_the_end(bus: Bus) -> None:
    client, told = JobClient(bus), []
    async with bus.subscribe(subjects.progress("mine")) as announced, workers(bus, "one"):
        await client.submit(*map(quick, range(20)), job_id="mine")
        with fail_after(30):
            async for message in announced:
                told.append(decode(JobProgress, message.data))
                if told[-1].status.ended:
                    break

    assert [each.done for each in told] == sorted(each.done for each in told)
    assert (told[-1].status, told[-1].done, told[-1].progress) == ("completed", 20, 100)


async def test_a_large_simulation_is_spread_over_all_workers(bus: Bus) -> None:
    client, smallest = JobClient(bus), endless().model_copy(update={"mc_count": 3800})
    assert is_spread(smallest)
    assert not is_spread(smallest.model_copy(update={"mc_count": 3700}))
    async with bus.subscribe(subjects.query("simulate")) as shares, workers(bus, "one", "two"):
        job = await client.submit(smallest)
        with fail_after(30):
            async for message in shares:
                assert decode(SimulateRequest, message.data, PACKED).tasks
                break
        await client.cancel(job.job_id)


async def test_a_simulation_that_is_spread_gives_the_numbers_of_one_worker(bus: Bus) -> None:
    client = JobClient(bus)
    task = endless(5).model_copy(update={"mc_count": 200, "backend": "cluster"})
    async with workers(bus, "one", "two"):
        job = await client.submit(task)
        state = await client.ended(job.job_id)

    assert state.status is JobStatus.COMPLETED, state.results
    result = (await client.outcomes(job.job_id))["0"].result
    assert getattr(result, "backend_used", None) == "cluster"
    np.testing.assert_array_equal(array(result, "signif"), levels_of_one_worker(task))


def levels_of_one_worker(
    task: SignificanceTask,
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return pycwt_mod.wct_significance(
        task.al1, task.al2, task.dt, task.dj, task.s0, task.J, mc_count=task.mc_count, rng=task.seed
    )


async def test_a_result_too_large_for_a_message_is_an_object(bus: Bus) -> None:
    client = JobClient(bus)
    task = quick(1, n=20_000).model_copy(update={"dj": 1 / 3})
    async with workers(bus, "one"):
        job = await client.submit(task)
        state = await client.ended(job.job_id)

    where = state.results[0].object
    assert where is not None
    assert (await client.outcomes(job.job_id))["0"].object == where
    body = await (await bus.log.objects(storage.OBJECTS)).get(where.name)
    assert body is not None
    assert len(body) == where.size
    outcome = decode(JobOutcome, body, PACKED, max_bytes=None)
    assert array(outcome.result, "wave").shape[1] == 20_000


async def test_a_short_job_does_not_wait_for_all_of_a_long_one_before_it(bus: Bus) -> None:
    """All tasks of a job went on the queue at once, and those of the next one behind them."""
    client = JobClient(bus)
    async with workers(bus, "one"):
        long = await client.submit(quick(1), *[overrated()] * 120)
        await client.ended(long.job_id, done=1)
        short = await client.submit(quick(2), quick(3))
        assert (await client.ended(short.job_id)).status is JobStatus.COMPLETED
        met = await client.get(long.job_id)
        after = await client.ended(long.job_id)

    assert met.failed < 60
    assert (after.done, after.failed) == (1, 120)
    assert len(await client.outcomes(long.job_id)) == 121


async def test_a_job_whose_tasks_are_lost_ends_as_failed(bus: Bus) -> None:
    """It was said to run for ever."""
    client = JobClient(bus)
    async with workers(bus, "one"):
        job = await client.submit(quick(1), refused(), job_id="lost")
        await client.ended(job.job_id)
        record = await (await JobStore.open(bus.log, logger("test"))).existing("lost")
        await (await bus.log.objects(storage.OBJECTS)).delete(record.tasks.name)
        await client.retry("lost")
        state = await client.ended("lost")

    assert (state.status, state.done, state.attempt) == (JobStatus.FAILED, 1, 2)
    assert await bus.log.last_seq(storage.DEAD) == 1


async def test_outcomes_in_json_can_be_read_by_anything(bus: Bus) -> None:
    client = JobClient(bus)
    submit = JobSubmit(tasks=(quick(1), refused()), encoding="json")
    async with workers(bus, "one"):
        job = await client.ask("submit", submit, JobSubmitted)
        await client.ended(job.job_id)
        outcomes = await client.outcomes(job.job_id)
        packed = await client.submit(quick(1), refused())

    assert [outcomes[task].status for task in "01"] == ["done", "failed"]
    subject = subjects.job_result(job.job_id, "0")
    async with bus.log.replay(storage.JOB_RESULTS, (subject,)) as messages:
        body = (await anext(messages)).message.data
    assert list(orjson.loads(body)["result"]["wave"]) == ["re", "im"]
    assert packed.job_id != job.job_id


async def test_tasks_too_large_for_a_message_are_submitted_as_an_object(bus: Bus) -> None:
    client = JobClient(bus)
    tasks = JobTasks(tasks=tuple(map(quick, range(3))))
    objects = await bus.log.objects(storage.OBJECTS)
    where = await objects.put("anything", encode(tasks, PACKED))
    async with workers(bus, "one"):
        job = await client.ask("submit", JobSubmit(tasks_object=where), JobSubmitted)
        state = await client.ended(job.job_id)
        gone = where.model_copy(update={"name": "nothing"})
        with pytest.raises(Unprocessable, match="object"):
            await client.ask("submit", JobSubmit(tasks_object=gone), JobSubmitted)

    assert (state.status, state.done) == (JobStatus.COMPLETED, 3)
    assert job.job_id == (await resubmitted(bus, tasks)).job_id


async def test_tasks_that_are_not_those_of_the_digest_are_refused(bus: Bus) -> None:
    """The digest was not checked, so a client that may write the bucket chose what is computed."""
    objects = await bus.log.objects(storage.OBJECTS)
    where = await objects.put("mine", encode(JobTasks(tasks=(quick(1),)), PACKED))
    other = await objects.put("mine", encode(JobTasks(tasks=(quick(2),)), PACKED))
    assert where.size == other.size
    async with workers(bus, "one"):
        with pytest.raises(Unprocessable) as refusal:
            await JobClient(bus).ask("submit", JobSubmit(tasks_object=where), JobSubmitted)
    assert refusal.value.fields == ("tasks_object.sha256",)


async def test_a_job_whose_tasks_were_replaced_ends_as_failed(bus: Bus) -> None:
    client = JobClient(bus)
    async with workers(bus, "one"):
        job = await client.submit(quick(1), refused(), job_id="replaced")
        await client.ended(job.job_id)
        record = await (await JobStore.open(bus.log, logger("test"))).existing("replaced")
        objects = await bus.log.objects(storage.OBJECTS)
        await objects.put(record.tasks.name, encode(JobTasks(tasks=(quick(3), quick(4))), PACKED))
        await client.retry("replaced")
        state = await client.ended("replaced")

    assert (state.status, state.done, state.attempt) == (JobStatus.FAILED, 1, 2)
    assert await bus.log.last_seq(storage.DEAD) == 1


async def resubmitted(bus: Bus, tasks: JobTasks) -> JobSubmitted:
    """The same tasks, in the message."""
    async with workers(bus, "two"):
        return await JobClient(bus).submit(*tasks.tasks)


async def test_a_task_that_was_computed_is_not_computed_again(bus: Bus) -> None:
    """The worker died after the outcome was kept, and before it could acknowledge."""
    client = JobClient(bus)
    async with workers(bus, "one"):
        job = await client.submit(quick(1), quick(2))
        before = await client.ended(job.job_id)
    work = JobWork(job_id=job.job_id, attempt=1, work=QueuedTask(task_id="0", request=quick(1)))
    await bus.log.store(
        subjects.task(job.job_id),
        encode(work, PACKED),
        msg_id="redelivered",
        headers={"Content-Type": PACKED.value},
    )
    async with workers(bus, "two"):
        other = await client.submit(quick(3))
        await client.ended(other.job_id)
        after = await client.get(job.job_id)

    assert after.results == before.results


async def test_work_of_a_job_that_has_expired_is_dropped(bus: Bus) -> None:
    client = JobClient(bus)
    work = JobWork(job_id="gone", attempt=1, work=QueuedTask(task_id="0", request=quick(1)))
    await bus.log.store(
        subjects.task("gone"),
        encode(work, PACKED),
        msg_id="late",
        headers={"Content-Type": PACKED.value},
    )
    async with workers(bus, "one"):
        other = await client.submit(quick(3))
        await client.ended(other.job_id)

    assert await client.outcomes("gone") == {}
    backlog = await bus.log.backlog(storage.TASKS, storage.COMPUTE_TASKS)
    assert (backlog.waiting, backlog.in_flight) == (0, 0)


async def test_a_storage_without_room_refuses_the_job_and_says_so(
    bus: Bus,
) -> None:
    client = JobClient(bus)
    small = system_topology(StorageSettings(objects_max_bytes=1024 * 1024))
    await bus.log.declare(small, update=True)
    async with workers(bus, "one"):
        with pytest.raises(Unavailable, match="limit"):
            await client.submit(*(quick(seed, n=20_000) for seed in range(10)), job_id="large")
        with pytest.raises(NotFound):
            await client.get("large")
