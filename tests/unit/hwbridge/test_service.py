"""The bridge on the bus, over real ports of pseudo-terminals: what works, and every fault."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path

import anyio
import numpy as np
import pytest
from prometheus_client import REGISTRY

from cwt_hwbridge.model import run_bank, run_mc
from cwt_hwbridge.settings import HwBridgeSettings
from cwt_runtime.devices.plans import bank_job, null_job
from cwt_schemas import subjects
from cwt_schemas.errors import (
    Conflict,
    NotFound,
    Timeout,
    Unavailable,
    Unprocessable,
)
from cwt_schemas.hardware import HwList, HwListing
from cwt_schemas.hwlink import Feature
from cwt_schemas.hwops import (
    HwCancel,
    HwCancelled,
    HwCwtReply,
    HwCwtRequest,
    HwFftReply,
    HwFftRequest,
    HwInfo,
    HwInfoRequest,
    HwMcReply,
    HwMcRequest,
    HwSelftestReply,
    HwSelftestRequest,
)
from tests.deadlines import SCALE, fail_after
from tests.hwpeer.peer import DevicePeer
from tests.hwpeer.peer import Identity as DeviceIdentity
from tests.hwpeer.pty_device import Mood, PtyDevice
from tests.hwpeer.running import Caller, bridge
from tests.hwpeer.trouble import Trouble

pytestmark = pytest.mark.anyio

CWT = HwCwtRequest(data=np.sin(np.arange(400) / 5), dt=1.0, s0=4.0, octaves=2, timeout_s=20 * SCALE)
MC = HwMcRequest(al1=0.5, al2=0.2, dj=0.25, s0=8.0, rows=2, pairs=3, seed=5, timeout_s=20 * SCALE)
HARDWARE = Feature.FIR | Feature.SELFTEST | Feature.MC | Feature.BAUD


@pytest.fixture
def device(tmp_path: Path) -> Iterator[PtyDevice]:
    # Not as a simulation, which is given seconds for what a device does in milliseconds.
    with PtyDevice(tmp_path / "fpga", DevicePeer(DeviceIdentity(features=HARDWARE))) as device:
        yield device


@pytest.fixture
async def caller(device: PtyDevice) -> AsyncIterator[Caller]:
    async with bridge(f"fpga0=tangnano9k:{device.path}") as caller:
        yield caller


async def test_device_reports_identity(caller: Caller) -> None:
    info = await caller.device("info", HwInfoRequest(), HwInfo)
    assert (info.kind, info.state, info.simulated) == ("tangnano9k", "ready", False)
    assert info.operations == ("cwt", "mc", "selftest")
    listing = await caller.ask(subjects.HW_LIST, HwList(), HwListing)
    assert [(each.device, each.state) for each in listing.configured] == [("fpga0", "ready")]
    assert (await caller.until("connected")).device == "fpga0"


async def test_a_selftest_passes(caller: Caller) -> None:
    reply = await caller.device("selftest", HwSelftestRequest(seed=3), HwSelftestReply)
    assert reply.passed
    assert len(reply.checks) == 3
    assert (reply.device, reply.simulated) == ("fpga0", False)


async def test_a_simulation_says_so_with_every_result(tmp_path: Path) -> None:
    peer = DevicePeer(DeviceIdentity(features=HARDWARE | Feature.SIMULATED))
    with PtyDevice(tmp_path / "sim", peer) as device:
        async with bridge(f"fpga0=tangnano9k:{device.path}") as caller:
            assert (await caller.device("mc", MC, HwMcReply)).simulated


async def test_a_transform_is_the_models_bit_for_bit(caller: Caller) -> None:
    reply = await caller.device("cwt", CWT, HwCwtReply)
    job = bank_job(CWT)
    expected = job.split(run_bank(job.plan, job.samples).outputs)
    assert len(reply.octaves) == 2
    for octave, integers in zip(reply.octaves, expected, strict=True):
        assert np.array_equal(octave.integers, integers)


async def test_monte_carlo_is_the_models_bit_for_bit(caller: Caller) -> None:
    reply = await caller.device("mc", MC, HwMcReply)
    assert np.array_equal(reply.histograms, run_mc(null_job(MC).plan).histograms)
    assert (reply.seed, reply.build_hash) == (5, "0001020304050607")


async def test_what_the_device_lacks_is_refused_with_what_it_has(caller: Caller) -> None:
    with pytest.raises(Unprocessable, match=r"fft.*cwt, mc, selftest"):
        await caller.device("fft", HwFftRequest(data=np.ones(8)), HwFftReply)


async def test_a_device_unplugged_in_mid_operation_is_an_error_and_works_again_when_back(
    caller: Caller, device: PtyDevice
) -> None:
    await caller.device("info", HwInfoRequest(), HwInfo)
    device.unplug_after = device.fed + 1500
    with pytest.raises(Unavailable, match="unplugged"):
        await caller.device("cwt", CWT, HwCwtReply)
    await caller.until("lost")
    with pytest.raises(Unavailable, match="no port"):
        await caller.device("cwt", CWT, HwCwtReply)
    device.plug()
    assert (await caller.device("cwt", CWT, HwCwtReply)).saturations == 0


async def test_an_idle_device_that_is_unplugged_is_noticed(
    caller: Caller, device: PtyDevice
) -> None:
    await caller.until("connected")
    assert usable("fpga0") == 1
    device.unplug()
    assert "plugged in" in (await caller.until("lost")).detail
    assert usable("fpga0") == 0


def usable(device: str) -> float | None:
    """Return what Prometheus is told of a device."""
    labels = {"device": device, "kind": "tangnano9k"}
    return REGISTRY.get_sample_value("cwt_device_usable", labels)


@pytest.mark.slow
async def test_a_device_reset_in_mid_job_does_the_job_again(
    caller: Caller, device: PtyDevice
) -> None:
    device.peer.identity = DeviceIdentity(features=HARDWARE & ~Feature.BAUD)
    await caller.device("info", HwInfoRequest(), HwInfo)
    device.reset_after = device.fed + 1500
    reply = await caller.device("cwt", CWT, HwCwtReply)
    assert (await caller.until("reset")).device == "fpga0"
    job = bank_job(CWT)
    expected = job.split(run_bank(job.plan, job.samples).outputs)
    assert np.array_equal(reply.octaves[0].integers, expected[0])


@pytest.mark.slow
@pytest.mark.parametrize("rate", [0.0005, 0.002, 0.01])
async def test_a_bad_cable_gives_right_results_or_none(
    caller: Caller, device: PtyDevice, rate: float
) -> None:
    device.peer.identity = DeviceIdentity(features=HARDWARE & ~Feature.BAUD)
    await caller.device("info", HwInfoRequest(), HwInfo)
    device.trouble = Trouble(rate)
    try:
        reply = await caller.device("mc", MC, HwMcReply)
        assert np.array_equal(reply.histograms, run_mc(null_job(MC).plan).histograms)
    except Unavailable:
        assert rate > 0.001
    device.trouble = Trouble(0.0)
    again = await caller.device("mc", MC, HwMcReply)
    assert np.array_equal(again.histograms, run_mc(null_job(MC).plan).histograms)


@pytest.mark.slow
async def test_devices_that_make_no_sense_are_unavailable_and_come_back(tmp_path: Path) -> None:
    """Giving up takes seconds, so all kinds of nonsense come at the same time."""
    features = HARDWARE & ~Feature.BAUD
    devices: dict[Mood, PtyDevice] = {
        mood: PtyDevice(tmp_path / mood, DevicePeer(DeviceIdentity(features=features)))
        for mood in ("silent", "garbage", "flood")
    }

    async def one(caller: Caller, mood: Mood) -> None:
        await caller.ask(subjects.hw(mood, "info"), HwInfoRequest(), HwInfo)
        devices[mood].mood = mood
        with pytest.raises(Unavailable):
            await caller.ask(subjects.hw(mood, "cwt"), CWT, HwCwtReply)
        devices[mood].mood = "normal"
        assert (await caller.ask(subjects.hw(mood, "cwt"), CWT, HwCwtReply)).device == mood

    ports = ",".join(f"{mood}=tangnano9k:{device.path}" for mood, device in devices.items())
    with ExitStack() as stack:
        for device in devices.values():
            stack.enter_context(device)
        async with bridge(ports) as caller:
            with fail_after(30):
                async with anyio.create_task_group() as clients:
                    for mood in devices:
                        clients.start_soon(one, caller, mood)


async def test_other_protocol_version_is_reported(caller: Caller, device: PtyDevice) -> None:
    await caller.device("info", HwInfoRequest(), HwInfo)
    device.peer = DevicePeer(DeviceIdentity(version=2))
    with pytest.raises(Unavailable, match="version 2"):
        await caller.device("cwt", CWT, HwCwtReply)
    assert "version 2" in (await caller.until("wrong_device")).detail


async def test_concurrent_clients_wait_for_each_other(caller: Caller) -> None:
    replies: list[HwMcReply] = []

    async def one(seed: int) -> None:
        request = MC.model_copy(update={"seed": seed})
        replies.append(await caller.device("mc", request, HwMcReply))

    async with anyio.create_task_group() as clients:
        for seed in range(4):
            clients.start_soon(one, seed)
    for reply in replies:
        request = MC.model_copy(update={"seed": reply.seed})
        assert np.array_equal(reply.histograms, run_mc(null_job(request).plan).histograms)


async def test_port_in_use_is_reported(device: PtyDevice) -> None:
    async with bridge(f"a=tangnano9k:{device.path}") as first:
        await first.until("connected")
        async with bridge(f"fpga0=tangnano9k:{device.path}") as second:
            with pytest.raises(Unavailable, match="another program"):
                await second.device("info", HwInfoRequest(), HwInfo)


async def test_missing_port_is_reported() -> None:
    async with bridge("fpga0=tangnano9k:/dev/no-such-port") as caller:
        with pytest.raises(Unavailable, match="/dev/no-such-port"):
            await caller.device("selftest", HwSelftestRequest(), HwSelftestReply)
        listing = await caller.ask(subjects.HW_LIST, HwList(), HwListing)
        assert listing.configured[0].state == "absent"


def test_port_without_permission_is_reported(device: PtyDevice) -> None:
    """Root may open everything, so whoever tries is nobody."""
    device.path.resolve().chmod(0o000)
    script = (
        "import os, sys\n"
        "from cwt_hwbridge.serial_link import open_serial_line\n"
        "from cwt_hwbridge.errors import PortForbiddenError\n"
        "if os.geteuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "try: open_serial_line(sys.argv[1])\n"
        "except PortForbiddenError as error: print(error)\n"
    )
    path = str(device.path.resolve())
    done = subprocess.run(
        [sys.executable, "-c", script, path], capture_output=True, text=True, check=False
    )
    assert path in done.stdout, done.stderr


async def test_an_operation_ends_at_its_deadline_and_the_next_one_works(
    caller: Caller, device: PtyDevice
) -> None:
    await caller.device("info", HwInfoRequest(), HwInfo)
    device.peer.work.held = True
    hasty = MC.model_copy(update={"timeout_s": 0.3})
    with pytest.raises(Timeout, match=r"0\.3 s"):
        await caller.device("mc", hasty, HwMcReply)
    device.peer.work.held = False
    assert (await caller.device("mc", MC, HwMcReply)).seed == 5


async def cancelled_once_known(caller: Caller, name: str) -> HwCancelled:
    """Cancel an operation whose request may still be on its way to the bridge."""
    with fail_after(10):
        while True:
            try:
                return await caller.device("cancel", HwCancel(id=name), HwCancelled)
            except NotFound:
                await anyio.sleep(0.01)


@pytest.mark.slow
async def test_operations_can_be_cancelled_while_they_run_and_while_they_wait(
    caller: Caller, device: PtyDevice
) -> None:
    await caller.device("info", HwInfoRequest(), HwInfo)
    device.peer.work.held = True
    ended: list[str] = []

    async def one(name: str) -> None:
        with pytest.raises(Conflict, match=f"{name} was cancelled"):
            await caller.device("mc", MC.model_copy(update={"id": name}), HwMcReply)
        ended.append(name)

    async with anyio.create_task_group() as clients:
        clients.start_soon(one, "runs")
        progress = await caller.until("progress")
        clients.start_soon(one, "waits")
        waits = await cancelled_once_known(caller, "waits")
        runs = await caller.device("cancel", HwCancel(id="runs"), HwCancelled)
    assert (waits.was, runs.was, sorted(ended)) == ("queued", "running", ["runs", "waits"])
    assert progress.operation == "mc"
    with pytest.raises(NotFound, match="runs"):
        await caller.device("cancel", HwCancel(id="runs"), HwCancelled)


async def test_without_ports_nothing_is_opened_and_no_device_answers(device: PtyDevice) -> None:
    async with bridge("") as caller:
        listing = await caller.ask(subjects.HW_LIST, HwList(), HwListing)
        assert listing.configured == ()
    assert device.peer.executed == []


@pytest.mark.parametrize(
    ("ports", "words"),
    [
        ("fpga0:/dev/x", "form"),
        ("fpga0=arduino:/dev/x", "kind"),
        ("list=elm11:/dev/x", "name"),
        ("a=elm11:/dev/x,a=elm11:/dev/y", "twice"),
        ("a=elm11:/dev/x,b=elm11:/dev/x", "twice"),
    ],
)
def test_ports_that_cannot_be_meant_stop_the_service(ports: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        HwBridgeSettings(hw_ports=ports)
