"""Markers from the command line: annotations of a recording, and notes by hand."""

from __future__ import annotations

import itertools
import os
import warnings
from datetime import UTC, datetime
from pathlib import Path

import anyio
import numpy as np
import pytest

from cwt_schemas.codec import ContentType, decode
from cwt_schemas.marker import Marker
from cwt_schemas.stream import Channel, StreamDefinition
from pycwt_client import Client
from tests.deadlines import fail_after
from tests.system.command import run
from tests.system.conftest import RunningSystem
from tests.template import start

pytestmark = [pytest.mark.anyio, pytest.mark.system]

FS = 250
MINUTES = 10
#: Between two markers, until a command that has just started shows one.
NEXT_S = 0.1


def write_record(folder: Path) -> list[int]:
    """Write a WFDB record with four beats a second; return where the beats are."""
    rng = np.random.default_rng(1)
    n = MINUTES * 60 * FS
    beats = np.cumsum(rng.integers(40, 80, n // 40))
    beats = beats[beats < n]
    signal = rng.standard_normal((n, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pandas, about how the package uses it
        import wfdb

        wfdb.wrsamp(
            "beats", fs=FS, units=["mV"], sig_name=["MLII"], p_signal=signal, fmt=["16"],
            write_dir=str(folder),
        )  # fmt: skip
        wfdb.wrann("beats", "atr", beats, symbol=["N"] * len(beats), write_dir=str(folder))
    return [int(each) for each in beats]


async def markers(client: Client, stream: str, count: int) -> list[Marker]:
    async with client.markers(stream) as feed:
        with fail_after(30):
            return [await anext(feed) for _ in range(count)]


async def test_watch_shows_a_marker_and_prints_it_as_json(
    system: RunningSystem, tmp_path: Path
) -> None:
    client = Client(system.bus)
    await client.put_stream(
        StreamDefinition(name="ward", fs_hz=FS, channels=(Channel(name="MLII"),))
    )
    with fail_after(60):
        line = await told_of_marker(client, system.url, tmp_path / "json.log", "--json")
        assert decode(Marker, line.encode(), ContentType.JSON).text.startswith("sat up")
        line = await told_of_marker(client, system.url, tmp_path / "text.log")
    assert line.startswith("marker: ward 2.00 s: sat up")


async def told_of_marker(client: Client, url: str, log: Path, *options: str) -> str:
    """Watch, set a marker after another, and return the first line that has one."""
    environment = {**os.environ, "CWT_NATS_URL": url}
    with log.open("wb") as output:
        process = start(
            "cwt_cli", "watch", "ward", *options, output=output, environment=environment
        )
    try:
        for number in itertools.count():
            await client.mark("ward", f"sat up {number}", epoch="e", first_sample=2 * FS)
            lines = log.read_text().splitlines(keepends=True)  # noqa: ASYNC240 - small
            for line in lines:
                if "sat up" in line and line.endswith("\n"):
                    return line
            await anyio.sleep(NEXT_S)
    finally:
        process.kill()
        process.wait()
    raise AssertionError


async def test_thousands_of_beats_become_markers_and_a_person_adds_two(
    system: RunningSystem, tmp_path: Path
) -> None:
    beats = write_record(tmp_path)
    client = Client(system.bus)
    said = await run(
        "publish", str(tmp_path / "beats.hea"), "--stream", "ward", "--speed", "0",
        "--power", "MLII", "--band", "2,4", "--epoch", "one", url=system.url,
    )  # fmt: skip
    assert f"{len(beats)} annotations stored as markers" in said
    assert len(beats) > 2000

    said = await run("mark", "ward", "sat up", "--sample", "1000", url=system.url)
    assert "marked ward at sample 1000 of epoch one: sat up" in said
    at = "2026-01-31T08:00:00+00:00"
    await run("mark", "ward", "drug", "--time", at, "--duration", "2", url=system.url)

    found = await markers(client, "ward", len(beats) + 2)
    assert sorted(each.first_sample or 0 for each in found if each.text == "N") == beats
    assert {each.epoch for each in found[:-1]} == {"one"}
    drug = found[-1]
    t_ns = int(datetime(2026, 1, 31, 8, tzinfo=UTC).timestamp()) * 1_000_000_000
    assert (drug.text, drug.t_ns, drug.duration_s) == ("drug", t_ns, 2.0)

    said = await run("mark", "ward", "on", "--time", "08:00", code=2, url=system.url)
    assert "a time with a zone" in said
    said = await run("mark", "typo", "on", code=1, url=system.url)
    assert "stream typo does not exist" in said

    archive = tmp_path / "beats.npz"
    said = await run(
        "export", "ward", "--npz", str(archive), "--around", "N", "--before", "0.1", "--after",
        "0.1", url=system.url,
    )  # fmt: skip
    with np.load(archive) as saved:
        assert saved["marker_samples"].tolist() == beats
        assert saved["values"].shape[0] == saved["mask"].shape[0] == len(beats)
        assert abs(saved["times_s"]).max() <= 0.1
    said = await run(
        "export", "ward", "--npz", str(archive), "--around", "beat", code=1, url=system.url
    )
    assert "no marker in epoch one of ward has the text 'beat'; there are: N, sat up" in said
    said = await run(
        "export", "ward", "--csv", str(archive), "--around", "N", code=2, url=system.url
    )
    assert "--npz FILE" in said

    said = await run("stream", "delete", "ward", "--data", "--yes", url=system.url)
    assert f"{len(beats) + 2} markers" in said
