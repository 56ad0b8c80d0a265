"""The command line as a stranger uses it: real processes from start to end."""

from __future__ import annotations

import gzip
import os
import pty
import re
import resource
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.to_thread
import httpx
import numpy as np
import pytest

from cwt_cli.discovery import count_services
from cwt_cli.shell import program
from cwt_runtime.bus import Bus
from cwt_runtime.bus.errors import BusError
from cwt_runtime.process.orphan_guard import guarded
from cwt_schemas import subjects
from cwt_schemas.errors import NotFound, Timeout, Unavailable
from cwt_schemas.service import HealthReply, HealthRequest
from pycwt_client import Client, connect
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


class Terminal:
    """What a process prints on a terminal."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._printed = b""

    async def until(self, words: str) -> str:
        """Return all that was printed so far, once it has `words`."""
        with fail_after(START_S):
            while words.encode() not in self._printed:
                await anyio.wait_readable(self._descriptor)
                try:
                    self._printed += os.read(self._descriptor, 65536)
                except OSError as error:
                    raise AssertionError(f"it ended, printing {self._printed.decode()}") from error
        return self._printed.decode()


@asynccontextmanager
async def up(
    folder: Path, port: int, *, url: str | None = None
) -> AsyncIterator[subprocess.Popen[bytes]]:
    """Run ``pycwt-mod up`` while the context is open; with `url`, beside that server."""
    output = folder / ("joined.log" if url else "up.log")
    environment = {**os.environ, **({"CWT_NATS_URL": url} if url else {})}
    arguments = ["up", "--workers", "1", "--port", str(port), "--data", str(folder / "data")]
    arguments += ["--http-port", "-1"]
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
    assert text.index("/live") < text.index("150 s of recording in")
    assert "Ctrl-C" not in text
    assert (tmp_path / "coherence.png").read_bytes().startswith(b"\x89PNG")


async def test_on_a_terminal_the_demo_leaves_its_page_up_until_ctrl_c(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    arguments = ["demo", "--seconds", "60", "--speed", "0", "--workers", "1"]
    arguments += ["--out", str(tmp_path)]
    process = subprocess.Popen(  # noqa: ASYNC220
        guarded([sys.executable, "-m", "cwt_cli", *arguments]),
        stdin=theirs, stdout=theirs, stderr=theirs, cwd=ROOT,
    )  # fmt: skip
    os.close(theirs)
    printed = Terminal(ours)
    try:
        text = await printed.until("until Ctrl-C")
        page = re.search(r"Page: +(http://\S+)/live", text)
        assert page is not None
        async with httpx.AsyncClient() as http:
            assert (await http.get(f"{page[1]}/health")).json()["status"] == "healthy"
        os.write(ours, b"\n")
        await printed.until("Finished.")
        process.send_signal(signal.SIGINT)
        await printed.until(f"{program()} watch icu")
        with fail_after(START_S):
            assert await anyio.to_thread.run_sync(process.wait) == 0
    finally:
        process.kill()
        process.wait()
        os.close(ours)


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
        assert "300 chunks of icu stored in epoch one" in published
        assert "already stored" not in published
        again = await run(
            "publish", str(recording), "--stream", "icu", "--speed", "0", "--epoch", "one", url=url
        )
        assert "all 7500 samples were already stored" in again
        async with connect(url) as client:
            await client.ask(subjects.query("health"), HealthRequest(), HealthReply)
            async with client.results("icu") as results:
                with fail_after(30):
                    assert (await anext(results)).analysis == "coherence"
        (page,) = re.findall(r"Page: +(http://\S+)/live", (tmp_path / "up.log").read_text())
        async with httpx.AsyncClient() as http:
            assert (await http.get(f"{page}/health")).json()["status"] == "healthy"
        process.send_signal(signal.SIGINT)
        with fail_after(START_S):
            assert await anyio.to_thread.run_sync(process.wait) == 0


async def test_up_restarts_what_dies_runs_beside_another_and_fails_without_its_store(
    tmp_path: Path,
) -> None:
    port = free_port()
    url = f"nats://127.0.0.1:{port}"
    async with up(tmp_path, port) as process:
        (pid,) = children_of(process.pid, "cwt_ingest")
        os.kill(pid, signal.SIGKILL)
        await gone(pid)
        await ingest_answers(url)
        services = children_of(process.pid, "cwt_")
        for _ in range(2):
            (pid,) = children_of(process.pid, "nats-server")
            os.kill(pid, signal.SIGKILL)
            await gone(pid)
            await ingest_answers(url)
        await server_that_cannot_write_is_restarted(process, url)
        assert services == children_of(process.pid, "cwt_")
        async with up(tmp_path, port, url=url) as second:
            await ingest_answers(url, number=2)
            second.send_signal(signal.SIGTERM)
            with fail_after(START_S):
                assert await anyio.to_thread.run_sync(second.wait) == 0
        await server_that_does_not_come_up_again_is_a_failure(process, tmp_path)
    assert "server_unwritable" in (tmp_path / "up.log").read_text()


async def server_that_cannot_write_is_restarted(process: subprocess.Popen[bytes], url: str) -> None:
    """After a full disk, streams accept nothing until the server is restarted."""
    (pid,) = children_of(process.pid, "nats-server")
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (2 * 1024 * 1024, hard))
    number = 0
    async with connect(url, timeout_s=START_S) as client:
        with pytest.raises(BusError), fail_after(START_S):  # noqa: PT012 - while there is room
            for number in range(100):
                await client.bus.log.store("cwt.signal.none", bytes(500_000), msg_id=f"{number}")
        await gone(pid)
        with fail_after(START_S):
            while not await is_ok(client):  # noqa: ASYNC110 - has no event
                await anyio.sleep(POLL_S)
        await client.bus.log.store("cwt.signal.none", bytes(500_000), msg_id=f"{number}")


async def is_ok(client: Client) -> bool:
    """Return whether a worker answers that it is well; it may not have reconnected yet."""
    try:
        return (await client.health()).status == "ok"
    except (Timeout, Unavailable):
        return False


async def server_that_does_not_come_up_again_is_a_failure(
    process: subprocess.Popen[bytes], folder: Path
) -> None:
    (pid,) = children_of(process.pid, "nats-server")
    store = folder / "data/jetstream"
    store.rename(folder / "data/elsewhere")
    store.write_text("no folder")
    os.kill(pid, signal.SIGKILL)
    with fail_after(START_S):
        assert await anyio.to_thread.run_sync(process.wait) == 1
    said = " ".join((folder / "up.log").read_text().split())
    assert "cannot keep the NATS server running: nats-server did not start" in said
    assert "storage directory is not a directory" in said


async def ingest_answers(url: str, *, number: int = 1) -> None:
    """Wait until this number of ingests answer at the server, which may be restarting."""
    async with connect(url, timeout_s=START_S) as client:
        with fail_after(START_S):
            while await ingests(client.bus, number) < number:  # noqa: ASYNC110 - a process has no event
                await anyio.sleep(POLL_S)


async def ingests(bus: Bus, expected: int) -> int:
    try:
        return (await count_services(bus, {"ingest": expected}))["ingest"]
    except BusError:
        return 0  # not there yet


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


async def test_a_publisher_whose_stream_another_one_takes_fails_with_the_reason(
    system: RunningSystem, tmp_path: Path
) -> None:
    """It reported all of its chunks as kept, while every one was refused."""
    define = tmp_path / "taken.json"
    define.write_bytes(DEFINITION.read_bytes().replace(b'"icu"', b'"taken"'))
    client = Client(system.bus)

    async def take_over() -> None:
        with fail_after(START_S):
            while not await is_published(client, "taken", "first"):  # noqa: ASYNC110
                await anyio.sleep(POLL_S)
        async with client.publisher("taken", "second") as other:
            for _ in range(40):
                await other.publish(np.ones((25, 3)))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(take_over)
        said = await run(
            "publish", str(RECORDING), "--stream", "taken", "--define", str(define),
            "--speed", "100", "--epoch", "first", code=1, url=system.url,
        )  # fmt: skip
    assert "samples of epoch first were refused" in " ".join(said.split())
    assert "'first' has ended; the current one is 'second'" in " ".join(said.split())
    words = ("publish", str(RECORDING), "--stream", "taken", "--epoch", "first")
    again = await run(*words, code=1, url=system.url)
    assert "epoch first of taken has ended" in again
    assert "chunks of" not in again


async def is_published(client: Client, stream: str, epoch: str) -> bool:
    try:
        return (await client.get_stream(stream)).epoch == epoch
    except NotFound:
        return False


async def test_without_a_server_the_command_says_what_to_do() -> None:
    text = await run_fresh(
        "publish", str(RECORDING), "--stream", "icu", code=1,
        url=f"nats://127.0.0.1:{free_port()}",
    )  # fmt: skip
    assert "pycwt-mod up" in text
