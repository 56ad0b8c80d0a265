"""The programs in examples/ do what they say, against the running system."""

from __future__ import annotations

import os
import sys
from urllib.parse import urlsplit

import anyio
import pytest

from cwt_cli.samples import RECORDING
from pycwt_client import Client
from tests.deadlines import fail_after
from tests.system.command import run as command
from tests.system.conftest import RunningSystem

pytestmark = [pytest.mark.anyio, pytest.mark.system]


async def run(*words: str) -> str:
    with fail_after(60):
        done = await anyio.run_process([sys.executable, *words], check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


async def test_a_device_with_nothing_but_a_socket_is_analysed(system: RunningSystem) -> None:
    server = urlsplit(system.url)
    said = await run("examples/device.py", str(server.hostname), str(server.port))
    assert said.count("'stream': 'CWT_SIGNALS'") == 20
    async with Client(system.bus).results("bench") as results:
        with fail_after(30):
            while (result := await anext(results)).octave != 1:  # 4 to 8 Hz
                pass
    middle = result.values[:, result.t.n // 2]
    assert result.freqs_hz[middle.argmax()] == pytest.approx(5, rel=0.05)
    again = await run("examples/device.py", str(server.hostname), str(server.port))
    assert again.count("'duplicate': True") == 20


async def test_a_program_defines_publishes_and_watches(system: RunningSystem) -> None:
    said = await run("examples/define_and_watch.py", system.url)
    lines = said.splitlines()
    assert len(lines) == 20
    near = [line for line in lines if "octave 0" in line]
    assert near
    assert all("left leads by" in line for line in near)


async def test_a_notebook_asks_streams_and_finds_its_chirp(system: RunningSystem) -> None:
    said = await run("examples/notebook.py", system.url)
    first, *found = said.splitlines()
    assert first == "transform of 2000 samples at 121 scales"
    assert len(found) == 7
    for line in found:
        _, _, near, _, _, true, _ = line.split()
        assert float(near) == pytest.approx(float(true), rel=0.06), line  # a voice is 6 %


async def test_a_result_is_computed_again_from_the_log(system: RunningSystem) -> None:
    words = ("--stream", "again", "--coherence", "abp_mmHg,ecg_mV", "--band", "0.5,8")
    await command("publish", str(RECORDING), *words, "--speed", "0", url=system.url)
    said = await run("examples/recompute.py", "again", system.url)
    result, found = said.splitlines()
    assert result.startswith("again/")
    assert found == "values differ by at most 0, masks are equal, levels differ by at most 0"


async def test_an_amplifier_on_the_network_is_coherent_while_its_rhythm_lasts(
    system: RunningSystem,
) -> None:
    """The rhythm is there for five of every ten seconds; the reader connects at any moment."""
    name = f"amplifier-{os.getpid()}"
    said = ""

    async def coherence(scope: anyio.CancelScope) -> None:
        nonlocal said
        said = await run("examples/lsl_coherence.py", name, system.url)
        scope.cancel()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run, "examples/lsl_amplifier.py", name)
        tasks.start_soon(coherence, tasks.cancel_scope)
    shares = [int(line.split()[9]) for line in said.splitlines()]
    assert max(shares) > 80, said
    assert min(shares) < 50, said
