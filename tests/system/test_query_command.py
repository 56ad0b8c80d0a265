"""Questions from the terminal, to a running system."""

from __future__ import annotations

import json
import math
from pathlib import Path

import anyio
import numpy as np
import pytest

from cwt_runtime.process.embedded_server import start_server
from cwt_schemas import storage, subjects
from cwt_schemas.stream import Channel, StreamDefinition
from pycwt_client import Client
from tests.deadlines import fail_after
from tests.servers import free_port
from tests.system.command import run
from tests.system.conftest import POLL_S, RunningSystem

pytestmark = [pytest.mark.anyio, pytest.mark.system]


def recording(folder: Path, n: int = 300) -> Path:
    path = folder / "pair.csv"
    lines = ["# fs_hz=64", "a,b"]
    for i in range(n):
        noise = (i * 7919 % 13) / 13
        lines.append(f"{math.sin(i / 2.5) + noise:.4f},{math.sin(i / 2.5 - 1) + noise / 2:.4f}")
    path.write_text("\n".join(lines))
    return path


async def test_files_are_asked_about_with_a_picture_and_in_json(
    system: RunningSystem, tmp_path: Path
) -> None:
    path, url = str(recording(tmp_path)), system.url
    picture = tmp_path / "out.png"
    said = await run("query", "wct", path, "--seed", "1", "--plot", str(picture), url=url)
    assert "a with b: 300 samples" in said
    assert "from seed 1" in said
    assert picture.read_bytes().startswith(b"\x89PNG")
    answer = json.loads(await run("query", "cwt", path, "--channels", "a", "--json", url=url))
    assert len(answer["wave"]["re"][0]) == 300
    assert "cross power" in await run("query", "xwt", path, url=url)
    said = await run("query", "cwt", path, code=2, url=url)
    assert "--channels" in said


async def test_a_level_of_two_files_is_asked_for_and_drawn(
    system: RunningSystem, tmp_path: Path
) -> None:
    path, url, picture = str(recording(tmp_path)), system.url, tmp_path / "level.svg"
    words = ("query", "significance", path, "--mc-count", "20", "--plot", str(picture))
    assert "levels of" in await run(*words, url=url)
    assert "<svg" in picture.read_text()


async def test_a_stream_is_listed_and_deleted_with_its_data(
    system: RunningSystem, tmp_path: Path
) -> None:
    path, url = str(recording(tmp_path)), system.url
    words = ("--stream", "gone", "--power", "a", "--band", "4,16", "--speed", "0")
    await run("publish", path, *words, url=url)
    assert "gone: 2 channels, 64 Hz, power" in await run("stream", "list", url=url)
    await run("stream", "delete", "gone", url=url)
    said = await run("stream", "delete", "gone", url=url, code=1)
    assert "stream gone does not exist" in said
    said = await run("stream", "delete", "gone", "--data", "--yes", url=url)
    assert "removed from gone:" in said
    assert " 0 chunks" not in said
    assert await system.bus.log.subject_counts(storage.SIGNALS, subjects.signal("gone")) == {}


async def test_a_recording_is_published_at_the_rate_of_its_stream(
    system: RunningSystem, tmp_path: Path
) -> None:
    path, url = str(recording(tmp_path)), system.url
    words = ("publish", path, "--stream", "slower", "--resample", "16", "--speed", "0")
    await run(*words, "--power", "a", "--band", "1,4", "--epoch", "one", url=url)
    assert "slower: 2 channels, 16 Hz, power" in await run("stream", "list", url=url)
    assert "all 75 samples were already stored" in await run(*words, "--epoch", "one", url=url)
    said = await run("publish", path, "--stream", "slower", url=url, code=2)
    assert "--resample 16" in said


async def test_a_recording_that_was_interrupted_is_continued_under_its_epoch(
    system: RunningSystem, tmp_path: Path
) -> None:
    client, path = Client(system.bus), recording(tmp_path)
    channels = (Channel(name="a"), Channel(name="b"))
    await client.put_stream(StreamDefinition(name="half", fs_hz=64.0, channels=channels))
    async with client.publisher("half", "one") as publisher:
        await publisher.publish(np.ones((128, 2)))
    with fail_after(30):
        while (await client.get_stream("half")).next_sample != 128:  # noqa: ASYNC110 - another process
            await anyio.sleep(POLL_S)
    words = ("--stream", "half", "--speed", "0", "--chunk", "1", "--epoch", "one")
    said = await run("publish", str(path), *words, url=system.url)
    assert "3 chunks of half stored in epoch one; the first 128 samples were already stored" in said
    status = await client.get_stream("half")
    assert (status.next_sample, status.ended_epochs) == (300, ("one",))


async def test_a_job_is_handed_over_watched_listed_and_fetched(
    system: RunningSystem, tmp_path: Path
) -> None:
    path, url = str(recording(tmp_path)), system.url
    said = await run("job", "submit", "cwt", path, "--id", "both", "--watch", url=url)
    assert "both: completed, 100 %" in said
    assert "both" in await run("job", "list", url=url)
    folder = tmp_path / "out"
    said = await run("job", "results", "both", "--json", "--out", str(folder), url=url)
    assert sorted(each.name for each in folder.iterdir()) == ["0.npz", "1.npz"]
    assert len(json.loads(said.splitlines()[0])["result"]["wave"]["re"][0]) == 300
    assert "already completed" in await run("job", "cancel", "both", url=url, code=1)


async def test_the_workers_are_timed_and_the_doctor_finds_nothing_wrong(
    system: RunningSystem,
) -> None:
    said = await run("bench", "--length", "100", "--mc-count", "5", url=system.url)
    assert "sequential" in said
    assert "1.00 x" in said
    said = await run("doctor", url=system.url)
    assert "WRONG" not in said
    assert "compute: 2 running" in said
    assert "permissions: nothing was refused" in said


async def test_the_doctor_says_what_is_wrong_and_what_to_do(tmp_path: Path) -> None:
    nowhere = f"nats://127.0.0.1:{free_port()}"
    said = await run("doctor", url=nowhere, code=1)
    assert "pycwt-mod up" in said
    assert "permissions" not in said  # nobody was asked
    async with start_server(tmp_path / "nats") as server:
        with fail_after(60):
            said = await run("doctor", url=server.url, code=1)
    assert "CWT_SIGNALS: stream not found" in said
    assert "compute: not running" in said
    assert "python -m cwt_compute" in said


async def test_what_is_not_there_is_said_and_ends_with_a_code(system: RunningSystem) -> None:
    nowhere = f"nats://127.0.0.1:{free_port()}"
    assert "pycwt-mod up" in await run("hw", "list", url=nowhere, code=1)
    said = await run("watch", "nosuch", "--once", url=system.url, code=1)
    assert "stream nosuch does not exist; available: " in said
    assert "pycwt-mod publish" in said
    said = await run("hw", "info", "fpga7", url=system.url, code=1)
    assert "no bridge has a device fpga7" in said
    words = ("bench", "--length", "100", "--mc-count", "5", "--backends", "abacus")
    assert "cannot time abacus" in await run(*words, url=system.url, code=1)
