"""The command line as a stranger uses it: real processes from start to end."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from cwt_cli.discovery import count_services
from cwt_cli.shell import program
from cwt_runtime.bus import Bus
from cwt_runtime.bus.errors import BusError
from cwt_schemas import subjects
from cwt_schemas.query import HealthReply, HealthRequest
from pycwt_client import connect
from tests.deadlines import fail_after
from tests.servers import free_port
from tests.system.command import run
from tests.system.conftest import POLL_S, START_S, RunningSystem
from tests.system.scenario import gone

pytestmark = [pytest.mark.anyio, pytest.mark.system]

ROOT = Path(__file__).parents[2]
RECORDING = ROOT / "cli/cwt_cli/recordings/physio_mimic037_125hz.csv.gz"
DEFINITION = ROOT / "cli/cwt_cli/recordings/icu.json"
FS_HZ = 125


async def run_fresh(*arguments: str, code: int = 0, url: str | None = None) -> str:
    """Run ``pycwt-mod`` as a user does, in a new interpreter, and return what it printed."""
    environment = {**os.environ, **({"CWT_NATS_URL": url} if url else {})}
    with fail_after(100):
        done = await anyio.run_process(
            [sys.executable, "-m", "cwt_cli", *arguments],
            env=environment,
            cwd=ROOT,
            stderr=subprocess.STDOUT,
            check=False,
        )
    text = done.stdout.decode()
    assert done.returncode == code, text
    assert "Traceback" not in text
    return text


@asynccontextmanager
async def up(
    folder: Path, port: int, *, url: str | None = None
) -> AsyncIterator[subprocess.Popen[bytes]]:
    """Run ``pycwt-mod up`` while the context is open; with `url`, beside that server."""
    output = folder / ("joined.log" if url else "up.log")
    environment = {**os.environ, **({"CWT_NATS_URL": url} if url else {})}
    arguments = ["up", "--workers", "1", "--port", str(port), "--data", str(folder / "data")]
    with output.open("wb") as log:
        process = subprocess.Popen(  # noqa: ASYNC220
            [sys.executable, "-m", "cwt_cli", *arguments],
            stdout=log,
            stderr=log,
            cwd=ROOT,
            env=environment,
        )
    try:
        with fail_after(START_S):
            while "nats req" not in output.read_text():
                assert process.poll() is None, output.read_text()
                await anyio.sleep(POLL_S)
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


async def test_the_demo_ends_by_itself_with_a_picture_and_a_summary(tmp_path: Path) -> None:
    text = await run_fresh("demo", "--seconds", "150", "--speed", "50", "--out", str(tmp_path))
    assert "abp with ecg: strongest at" in text
    assert "abp with resp: strongest at" in text
    assert f"{program()} up" in text
    assert "PhysioNet" in text
    assert (tmp_path / "coherence.png").read_bytes().startswith(b"\x89PNG")


async def test_up_serves_publish_and_watch_and_ends_cleanly(tmp_path: Path) -> None:
    # So short that it is published twice within the duplicate window, also on a busy machine.
    recording, lines = tmp_path / "minute.csv", gzip.decompress(RECORDING.read_bytes()).split(b"\n")
    recording.write_bytes(b"\n".join(lines[: 3 + 60 * FS_HZ]))
    port = free_port()
    url = f"nats://127.0.0.1:{port}"
    async with up(tmp_path, port) as process:
        published = await run(
            "publish", str(recording), "--stream", "icu", "--define", str(DEFINITION),
            "--speed", "0", "--epoch", "one", url=url,
        )  # fmt: skip
        assert "300 chunks of icu kept under epoch one, 0 of them were there already" in published
        again = await run(
            "publish", str(recording), "--stream", "icu", "--speed", "0", "--epoch", "one", url=url
        )
        assert "300 of them were there already" in again
        async with connect(url) as client:
            await client.ask(subjects.query("health"), HealthRequest(), HealthReply)
            async with client.results("icu") as results:
                with fail_after(30):
                    assert (await anext(results)).analysis == "coherence"
        process.send_signal(signal.SIGINT)
        with fail_after(START_S):
            assert await anyio.to_thread.run_sync(process.wait) == 0


async def test_a_service_that_dies_is_started_again(tmp_path: Path) -> None:
    port = free_port()
    async with up(tmp_path, port) as process:
        (pid,) = children_of(process.pid, "cwt_ingest")
        os.kill(pid, signal.SIGKILL)
        await gone(pid)
        async with connect(f"nats://127.0.0.1:{port}") as client:
            with fail_after(START_S):
                while not await answers(client.bus):  # noqa: ASYNC110 - a process has no event
                    await anyio.sleep(POLL_S)
        process.send_signal(signal.SIGTERM)
        with fail_after(START_S):
            assert await anyio.to_thread.run_sync(process.wait) == 0


async def test_up_beside_a_running_system_brings_a_second_ingest(tmp_path: Path) -> None:
    port = free_port()
    url = f"nats://127.0.0.1:{port}"
    async with up(tmp_path, port), up(tmp_path, port, url=url) as second:
        async with connect(url) as client:
            with fail_after(START_S):
                while (await count_services(client.bus, {"ingest": 2}))["ingest"] < 2:  # noqa: ASYNC110
                    await anyio.sleep(POLL_S)
        second.send_signal(signal.SIGTERM)
        with fail_after(START_S):
            assert await anyio.to_thread.run_sync(second.wait) == 0


async def answers(bus: Bus) -> bool:
    try:
        await bus.request("$SRV.PING.ingest", b"", timeout_s=1)
    except BusError:
        return False  # not there yet
    return True


def children_of(parent: int, word: str) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                command = (entry / "cmdline").read_bytes().decode()
            except OSError:
                continue  # it ended while we looked
            if int(fields[1]) == parent and word in command and fields[0] != "Z":
                found.append(int(entry.name))
    return found


async def test_publishing_to_an_unknown_stream_says_how_to_define_it(
    system: RunningSystem,
) -> None:
    words = ("publish", str(RECORDING), "--stream", "nobody")
    assert "--define" in await run(*words, code=1, url=system.url)


async def test_without_a_server_the_command_says_what_to_do() -> None:
    text = await run_fresh(
        "publish", str(RECORDING), "--stream", "icu", code=1,
        url=f"nats://127.0.0.1:{free_port()}",
    )  # fmt: skip
    assert "pycwt-mod up" in text
