"""Benchmark of the running system, from publishing the recording to its last result."""

from __future__ import annotations

import io
import tempfile
from functools import partial
from pathlib import Path

import anyio
from rich.console import Console

from benchmarks.measurement import Measurement, Work
from cwt_cli.demo_run import DemoRun
from cwt_cli.publish import read_definition
from cwt_cli.samples import DEFINITION, RECORDING
from cwt_cli.shell import command_log
from cwt_cli.system import SystemPlan, running_system
from cwt_schemas.stream import StreamDefinition
from pycwt_client.sources.csv_file import Recording, read_recording

STREAM = "icu"


def pipeline_work(seconds: float, runs: int, workers: int) -> Work:
    """Play `seconds` of the recording at full speed, through a new system each time."""
    definition = read_definition(DEFINITION, STREAM)
    recording = read_recording(RECORDING).first(seconds, definition.fs_hz)
    times, results = [], 0
    for _ in range(runs):
        took, results = anyio.run(partial(_play, definition, recording, workers))
        times.append(took)
    length_s = len(recording.samples) / definition.fs_hz
    speed = length_s / sorted(times)[len(times) // 2]
    note = (
        f"{speed:.0f} x real time; {len(recording.samples):,} samples of "
        f"{len(definition.channels)} channels, {results} results, each with its level; from the "
        "definition of the stream until the last result has come, polled every 0.25 s"
    )
    line = Measurement(who="pycwt-mod system", seconds=tuple(times), note=note)
    title = (
        f"system: {length_s:.0f} s of recording at {definition.fs_hz:g} Hz, embedded server, "
        f"ingest and {workers} compute workers"
    )
    return Work(title=title, measurements=(line,))


async def _play(
    definition: StreamDefinition, recording: Recording, workers: int
) -> tuple[float, int]:
    """Return the duration of a run, s, and its number of results."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        plan = SystemPlan(
            server=None, folder=folder / "nats", host="127.0.0.1", port=-1, workers=workers,
            log_folder=folder / "logs",
        )  # fmt: skip
        run = DemoRun(definition, recording, speed=0)
        log = command_log(quiet=True)
        async with running_system(plan, log, kill=anyio.Event()) as system:
            await run.run(system.client, Console(file=io.StringIO()))
        return run.took_s, run.results
