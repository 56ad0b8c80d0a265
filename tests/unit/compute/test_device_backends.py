"""Monte Carlo on a device by way of the bridge, from the query to the line and back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
import numpy as np
import pytest

import pycwt_mod
from cwt_compute.devices.backends import requests_of, spread
from cwt_compute.devices.hardware import answer_hardware
from cwt_compute.jobs.tasks import check_tasks
from cwt_compute.queries.simulation import is_exact
from cwt_compute.queries.transforms import answer_significance
from cwt_hwbridge.model import run_mc
from cwt_runtime.devices.plans import null_job
from cwt_runtime.rpc.context import service_context
from cwt_schemas import subjects
from cwt_schemas.codec import ContentType, encode
from cwt_schemas.errors import Unavailable
from cwt_schemas.hardware import HwListing
from cwt_schemas.hwlink import Feature, MessageType
from cwt_schemas.job import JobStatus, SignificanceTask
from cwt_schemas.query import SignificanceRequest
from pycwt_mod.significance.simulation import MonteCarloPlan
from pycwt_mod.wavelets import Morlet
from tests.contract.test_jobs import workers
from tests.deadlines import fail_after
from tests.hwpeer.peer import DevicePeer, Identity
from tests.hwpeer.pty_device import PtyDevice
from tests.hwpeer.running import Caller, bridge
from tests.jobs import JobClient, coherence
from tests.memory_bus import MemoryBus

pytestmark = pytest.mark.anyio

ASKED = SignificanceRequest(
    al1=0.5, al2=0.3, dt=1.0, dj=0.25, s0=4.0, J=3, mc_count=60, backend="tangnano9k", seed=1
)


@pytest.fixture
def device(tmp_path: Path) -> Iterator[PtyDevice]:
    features = Feature.FIR | Feature.SELFTEST | Feature.MC
    with PtyDevice(tmp_path / "fpga", DevicePeer(Identity(features=features))) as device:
        yield device


@pytest.fixture
async def caller(device: PtyDevice) -> AsyncIterator[Caller]:
    async with bridge(f"fpga0=tangnano9k:{device.path}") as caller:
        await caller.until("connected")
        yield caller


@pytest.mark.slow
async def test_levels_from_a_device_lie_where_the_librarys_lie(caller: Caller) -> None:
    with service_context(caller.bus):
        reply = await anyio.to_thread.run_sync(answer_significance, ASKED)
        again = await anyio.to_thread.run_sync(answer_significance, ASKED)
    library = answer_significance(ASKED.model_copy(update={"backend": "sequential"}))
    assert reply.backend_used == "tangnano9k"
    assert np.array_equal(reply.signif, again.signif)
    assert np.abs(reply.signif - library.signif).max() < 0.05


async def test_octaves_that_feel_the_ends_of_the_record_are_simulated_by_the_worker(
    caller: Caller,
) -> None:
    asked = ASKED.model_copy(update={"n": 30, "mc_count": 5})
    with service_context(caller.bus):
        reply = await anyio.to_thread.run_sync(answer_significance, asked)
    library = answer_significance(asked.model_copy(update={"backend": "sequential"}))
    assert reply.backend_used == "tangnano9k"
    assert np.array_equal(reply.signif, library.signif)


async def test_a_device_that_is_absent_is_unavailable_unless_another_may_step_in() -> None:
    async with bridge("fpga0=tangnano9k:/dev/no-such-port") as caller:
        with service_context(caller.bus):
            with pytest.raises(Unavailable, match="fallback: true"):
                await anyio.to_thread.run_sync(answer_significance, ASKED)
            allowed = ASKED.model_copy(update={"fallback": True})
            reply = await anyio.to_thread.run_sync(answer_significance, allowed)
    assert reply.backend_used == "sequential"


@pytest.mark.slow
async def test_device_lost_during_operation_raises_without_fallback(
    caller: Caller, device: PtyDevice
) -> None:
    device.unplug_after = device.fed + 20_000
    with service_context(caller.bus), pytest.raises(Unavailable):
        await anyio.to_thread.run_sync(
            answer_significance, ASKED.model_copy(update={"fallback": True})
        )


async def until_ready(caller: Caller) -> None:
    """Wait much less long than a job without progress is thought stuck."""
    with fail_after(10):
        await caller.until_info(lambda info: info.state == "ready")


@pytest.mark.slow
async def test_device_stops_when_requester_of_simulation_is_cancelled(
    caller: Caller, device: PtyDevice
) -> None:
    device.peer.work.held = True  # only a word from the bridge ends it
    with service_context(caller.bus):
        async with anyio.create_task_group() as asking:
            asking.start_soon(
                partial(
                    anyio.to_thread.run_sync, answer_significance, ASKED, abandon_on_cancel=True
                )
            )
            await caller.until("progress")
            asking.cancel_scope.cancel()
    await until_ready(caller)
    assert MessageType.ABORT in device.peer.executed


@pytest.mark.slow
async def test_a_device_stops_when_the_job_that_uses_it_is_cancelled(
    caller: Caller, device: PtyDevice
) -> None:
    device.peer.work.held = True
    client = JobClient(caller.bus)
    task = coherence(1, n=100, mc_count=20).model_copy(update={"backend": "tangnano9k"})
    async with workers(caller.bus, "one"):
        submitted = await client.submit(task)
        await caller.until("progress")
        state = await client.cancel(submitted.job_id)
        await until_ready(caller)
    assert state.status is JobStatus.CANCELLED


async def test_hardware_query_lists_usable_hardware(caller: Caller) -> None:
    reply = await answer_hardware(caller.bus)
    assert (reply.fpga.available, reply.fpga.device) == (True, "fpga0")
    assert reply.fpga.build_hash == "0001020304050607"
    assert "port" in reply.embedded.detail


async def test_levels_of_a_device_are_not_kept_as_those_of_the_library() -> None:
    assert [is_exact(name) for name in ("sequential", "tangnano9k", "elm11")] == [
        True, False, False,
    ]  # fmt: skip


def test_both_devices_are_listed_and_not_available_without_a_bus() -> None:
    listed = {info.name: info for info in pycwt_mod.list_backends()}
    assert not listed["tangnano9k"].available
    assert listed["elm11"].type == "hardware"


def plan(J: int, dj: float) -> MonteCarloPlan:
    return MonteCarloPlan(
        al1=0.5, al2=0.5, dj=dj, s0=2.0, J=J, wavelet=Morlet(), mc_count=20,
        convention="standard", entropy=1,
    )  # fmt: skip


def test_a_task_becomes_requests_for_the_same_rows() -> None:
    for tasks in plan(40, 1 / 16).tasks():
        asked = requests_of(tasks[0])
        kept = tasks[0].rows.scales[slice(*tasks[0].rows.keep)]
        scales = np.concatenate([null_job(each).scales for each in asked])
        assert np.allclose(scales, kept)
        assert len({each.seed for each in asked}) == len(asked)


def test_missing_neighbours_are_not_smoothed() -> None:
    first, *_, last = plan(12, 0.25).tasks()
    assert requests_of(first[0])[0].below == 0
    assert requests_of(last[0])[0].above == 0


def test_no_count_is_lost_between_the_bins_of_device_and_library() -> None:
    (request,) = requests_of(plan(3, 0.25).tasks()[0][0])
    counts = run_mc(null_job(request).plan).histograms
    fine = spread(counts)
    assert fine.shape == (4, 1000)
    assert np.array_equal(fine.sum(axis=1), counts.sum(axis=1))
    assert fine.min() >= 0


async def test_bridge_receives_no_request_for_other_backends() -> None:
    async with listening(MemoryBus()) as asked:
        elsewhere = ASKED.model_copy(update={"backend": "sequential"})
        await anyio.to_thread.run_sync(answer_significance, elsewhere)
        assert asked == []


async def test_a_job_of_many_tasks_for_a_device_asks_the_bridge_once() -> None:
    """A thousand tasks took two thousand questions to the bridge before the job was taken."""
    tasks = [SignificanceTask(type="significance", **ASKED.model_dump())] * 20
    async with listening(MemoryBus()) as asked:
        await anyio.to_thread.run_sync(check_tasks, tasks, 1024)
    assert asked == [subjects.HW_LIST]


@asynccontextmanager
async def listening(bus: MemoryBus) -> AsyncIterator[list[str]]:
    """A bridge without devices; what it was asked."""
    asked: list[str] = []
    async with (
        bus.subscribe(subjects.HW_LIST) as questions,
        anyio.create_task_group() as group,
    ):

        async def answer() -> None:
            async for question in questions:
                asked.append(question.subject)
                assert question.reply is not None
                await bus.publish(question.reply, encode(HwListing(devices=()), ContentType.JSON))

        group.start_soon(answer)
        with service_context(bus):
            yield asked
        group.cancel_scope.cancel()
