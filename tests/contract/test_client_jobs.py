"""Jobs through the client, worked on by a real worker, over both buses; and in calls that wait."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from anyio import to_thread

import pycwt_mod
from cwt_runtime.bus import Bus
from cwt_runtime.bus.nats import connect_bus
from cwt_runtime.settings import StorageSettings
from cwt_runtime.storage.topology import system_topology
from cwt_runtime.telemetry.logs import logger
from cwt_schemas import storage
from cwt_schemas.errors import Conflict, NotFound, Unprocessable
from cwt_schemas.job import JobStatus
from pycwt_client import Client, CwtAnswer, MwctAnswer, PwctAnswer, WctAnswer, blocking
from tests.contract.test_jobs import workers
from tests.deadlines import fail_after
from tests.jobs import endless

pytestmark = pytest.mark.anyio

X, Y = np.random.default_rng(7).standard_normal((2, 200))


def pair(**changes: Any) -> dict[str, Any]:
    return {"type": "wct", "signal1": X, "signal2": Y, "dt": 0.5, "mc_count": 5, **changes}


def transform(**changes: Any) -> dict[str, Any]:
    return {"type": "cwt", "data": X, "dt": 0.5, **changes}


async def test_what_is_handed_over_is_told_while_it_goes_on_and_comes_as_the_library_gives_it(
    system_bus: Bus,
) -> None:
    client = Client(system_bus)
    async with workers(system_bus, "one"):
        job = await client.submit([transform(), pair(seed=1)], name="night")
        with fail_after(30):
            told = [each async for each in job.progress()]
        found = await job.collect(30)
    assert told[-1].status is JobStatus.COMPLETED
    assert [each.done for each in told] == sorted(each.done for each in told)
    assert (told[-1].done, told[-1].tasks_count) == (2, 2)
    one, two = (each.value() for each in found)
    assert isinstance(one, CwtAnswer)
    np.testing.assert_array_equal(one.coefs, pycwt_mod.cwt(X, 0.5, 0.25).coefs)
    assert isinstance(two, WctAnswer)
    expected = pycwt_mod.wct(X, Y, 0.5, 0.25, mc_count=5, seed=1)
    np.testing.assert_array_equal(two.signif, expected.signif)


async def test_coherences_of_several_signals_are_tasks(system_bus: Bus) -> None:
    given = np.random.default_rng(8).standard_normal((2, 200))
    fields = {"dt": 0.5, "mc_count": 5, "seed": 1, "given": given}
    tasks = [
        {"type": "pwct", "signal1": X, "signal2": Y, **fields},
        {"type": "mwct", "target": X, "deltaj0": 1.2, **fields},
    ]
    async with workers(system_bus, "one"):
        job = await Client(system_bus).submit(tasks)
        partial, multiple = (each.value() for each in await job.collect(30))
    assert isinstance(partial, PwctAnswer)
    assert isinstance(multiple, MwctAnswer)
    expected = pycwt_mod.pwct(X, Y, given, 0.5, 0.25, mc_count=5, seed=1)
    np.testing.assert_array_equal(partial.coherence, expected.coherence)
    np.testing.assert_array_equal(partial.signif, expected.signif)
    both = pycwt_mod.mwct(X, given, 0.5, 0.25, mc_count=5, seed=1, deltaj0=1.2)
    np.testing.assert_array_equal(multiple.coherence, both.coherence)


async def test_job_is_found_by_id_and_readable_repeatedly(system_bus: Bus) -> None:
    client = Client(system_bus)
    async with workers(system_bus, "one"):
        job = await client.submit([transform()], job_id="mine")
        await job.wait(30)
        again = Client(system_bus).job("mine")
        for _ in range(2):
            assert [each.index for each in await again.collect(30)] == [0]
        (listed,) = await client.jobs(JobStatus.COMPLETED)
        assert listed.job_id == "mine"
        assert (await client.submit([transform()], job_id="mine")).job_id == "mine"
        with pytest.raises(Conflict):
            await client.submit([transform(dj=0.5)], job_id="mine")


async def test_a_task_that_fails_fails_alone_and_carries_its_error(system_bus: Bus) -> None:
    client = Client(system_bus)
    too_long = np.ones(20)  # constant: no coherence
    async with workers(system_bus, "one"):
        job = await client.submit([transform(), pair(signal1=too_long, signal2=too_long)])
        assert (await job.wait(30)).status is JobStatus.FAILED
        good, bad = await job.collect(30)
        assert good.error is None
        with pytest.raises(Unprocessable):
            bad.value()
        await job.retry()
        assert (await job.wait(30)).attempt == 2


async def test_a_wrong_task_is_named_before_anything_is_queued(system_bus: Bus) -> None:
    client = Client(system_bus)
    async with workers(system_bus, "one"):
        with pytest.raises(Unprocessable, match=r"tasks\.1\.") as caught:
            await client.submit([transform(), transform(dt=-1)])
        assert caught.value.fields
        with pytest.raises(Unprocessable, match=r"\bdata\b.*\b2\b"):
            await client.submit([transform(data=np.ones((2, 2)))])
        assert await client.jobs() == ()
        with pytest.raises(NotFound):
            await client.job("nobody").state()


async def test_cancelled_job_ends_readers_of_its_results(system_bus: Bus) -> None:
    client = Client(system_bus)
    async with workers(system_bus, "one"):
        job = await client.submit([transform(), *(endless(seed) for seed in range(2))])
        with fail_after(30):
            async for news in job.progress():
                if news.done:
                    break
        state = await job.cancel()
        assert state.status is JobStatus.CANCELLED
        assert [each.index for each in await job.collect(30)] == [0]


async def test_more_than_a_message_carries_is_handed_over_through_the_object_store(
    system_bus: Bus,
) -> None:
    client = Client(system_bus)
    long = np.random.default_rng(1).standard_normal(200_000)
    async with workers(system_bus, "one"):
        tasks = [transform(data=long + i, J=2, dtype="float32") for i in range(6)]
        job = await client.submit(tasks)
        assert (await job.wait(60)).status is JobStatus.COMPLETED
        sizes = {each.value().coefs.shape for each in await job.collect(30)}  # type: ignore[union-attr]
    assert sizes == {(3, 200_000)}


async def test_jobs_are_handed_over_and_read_in_calls_that_wait(nats_url: str) -> None:
    def hand_over(url: str) -> tuple[list[float], list[int], str]:
        with blocking.connect(url) as client:
            job = client.submit([transform(), pair()])
            progress = [each.progress for each in job.progress()]
            indices = sorted(each.index for each in job.results())
            assert len(client.job(job.job_id).collect(30)) == len(client.jobs()) + 1
            return progress, indices, job.wait(30).status

    async with connect_bus(nats_url, name="test", log=logger("test")) as own:
        await own.log.declare(system_topology(StorageSettings()))
        async with workers(own, "one"):
            with fail_after(60):
                progress, indices, status = await to_thread.run_sync(hand_over, nats_url)
        assert await own.log.last_seq(storage.JOB_RESULTS) == 2
    assert progress[-1] == 100
    assert indices == [0, 1]
    assert status == JobStatus.COMPLETED
