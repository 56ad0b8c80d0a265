"""A recording of a laboratory's format, from the command line to the picture in a terminal."""

from __future__ import annotations

import os
import pty
import signal
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import ioctl
from pathlib import Path
from termios import TIOCSWINSZ

import anyio
import anyio.to_thread
import numpy as np
import pytest

from cwt_cli.scalogram_text import HALF
from cwt_schemas.codec import validated
from cwt_schemas.stream import StreamDefinition
from pycwt_client import Client
from tests.deadlines import fail_after
from tests.system.command import run
from tests.system.conftest import START_S, RunningSystem
from tests.system.toolchains import ROOT
from tests.template import ForkedProcess, start
from tests.unit.client.sources.test_files import write_edf

pytestmark = [pytest.mark.anyio, pytest.mark.system]

FS = 100.0


@contextmanager
def terminal(url: str, *arguments: str) -> Iterator[tuple[ForkedProcess, int]]:
    """Run the command in a terminal of 80 x 24 of its own; yield it and the terminal."""
    here, there = pty.openpty()
    ioctl(there, TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    environment = {**os.environ, "CWT_NATS_URL": url, "TERM": "xterm-256color"}
    environment.pop("NO_COLOR", None)
    with os.fdopen(there, "wb", buffering=0) as output:
        process = start("cwt_cli", *arguments, output=output, environment=environment)
    try:
        yield process, here
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        os.close(here)


async def shown(screen: int, words: str, so_far: str = "") -> str:
    """Return all that came to the screen once `words` are in it."""
    with fail_after(START_S):
        while words not in so_far:
            await anyio.wait_readable(screen)
            so_far += os.read(screen, 65536).decode(errors="replace")
    return so_far


async def test_an_edf_file_is_published_defined_and_watched(
    system: RunningSystem, tmp_path: Path
) -> None:
    t = np.arange(0, 40, 1 / FS)
    rng = np.random.default_rng(0)
    tone = 40 * np.sin(2 * np.pi * 8 * t)
    signals = [tone + 5 * rng.standard_normal(len(t)) for _ in range(2)]
    write_edf(tmp_path / "night.edf", [("C3", FS, signals[0]), ("C4", FS, signals[1])])
    said = await run(
        "publish", "--source", f"edf:{tmp_path}/night.edf", "--stream", "night", "--speed", "0",
        "--power", "C3", "--coherence", "C3,C4", "--band", "4,16", "--epoch", "one",
        url=system.url,
    )  # fmt: skip
    assert "chunks of night stored in epoch one" in said
    async with Client(system.bus).results("night", "coherence") as results:
        with fail_after(60):
            while (result := await anext(results)).t.first_sample < 1500 or result.octave:
                pass
    row = int(np.abs(result.freqs_hz - 8).argmin())
    assert result.masked[row].mean() > 0.9

    table = await run("watch", "night", "--once", url=system.url)
    assert "C3 C4" in table

    with terminal(system.url, "watch", "night", "--span", "60") as (process, screen):
        text = await shown(screen, "night  power of C3  epoch one")
        text = await shown(screen, HALF, text)
        os.write(screen, b"\t")
        await shown(screen, "night  coherence of C3 with C4")
        process.send_signal(signal.SIGINT)
        with fail_after(START_S):
            while process.poll() is None:
                await anyio.wait_readable(screen)
                try:
                    text = os.read(screen, 65536).decode(errors="replace")
                except OSError:  # the other side of the terminal is closed
                    break
            assert await anyio.to_thread.run_sync(process.wait) == 0
    assert "Traceback" not in text


async def test_publish_warns_of_a_wrong_rate_and_of_a_missing_end_and_measures(
    system: RunningSystem,
) -> None:
    recording = str(ROOT / "tests/data/recordings/clock_resets_cut.xdf")
    options = ("--speed", "0", "--coherence", "ch1,ch2", "--band", "5,20")
    said = await run("publish", recording, "--stream", "declared", *options, url=system.url)
    assert "ends in the middle of a chunk" in said
    assert "has 100 Hz, but its time stamps say 93.42 Hz" in said
    said = await run(
        "publish", recording, "--stream", "measured", "--fs", "measured", *options, url=system.url
    )
    assert "time stamps say" not in said
    client = Client(system.bus)
    rates = {each.definition.name: each.definition.fs_hz for each in await client.list_streams()}
    assert rates["declared"] == 100
    assert abs(rates["measured"] - 93.42) < 0.01


async def test_all_pairs_are_watched_as_a_matrix_and_one_of_them_as_a_picture(
    system: RunningSystem,
) -> None:
    fields = {"name": "net", "op": "wct", "pairs": "all", "quantity": "coherence", "hop_s": 1,
              "fmin_hz": 4, "fmax_hz": 16}  # fmt: skip
    channels = [{"name": name} for name in ("c3", "c4", "pz")]
    stream = {"name": "eeg", "fs_hz": FS, "channels": channels, "analyses": [fields]}
    client = Client(system.bus)
    await client.put_stream(validated(StreamDefinition, stream))
    async with client.publisher("eeg", "one") as publisher:
        await publisher.publish(np.random.default_rng(0).standard_normal((2000, 3)))
    async with client.pair_results("eeg", "net") as results:
        with fail_after(60):
            while (result := await anext(results)).t.first_sample < 1500 or result.octave:
                pass

    assert "3 pairs" in await run("watch", "eeg", "--once", url=system.url)
    with terminal(system.url, "watch", "eeg") as (_, screen):
        text = await shown(screen, "coherence of 3 pairs  epoch one")
        await shown(screen, "c4      ", text)
    with terminal(system.url, "watch", "eeg", "--channels", "pz,c3") as (_, screen):
        await shown(screen, "coherence of c3 with pz  epoch one")
