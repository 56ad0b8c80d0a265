"""The shipped recording through the running system, with and without a killed worker."""

from __future__ import annotations

import signal
from itertools import repeat
from pathlib import Path

import anyio
import numpy as np
import pytest
from numpy.typing import NDArray

from cwt_schemas import storage
from cwt_schemas.live import AnalysisResult
from cwt_schemas.stream import StreamDefinition
from pycwt_client import Client, Scalogram
from pycwt_client.sources.csv_file import read_recording
from tests import pipeline
from tests.deadlines import fail_after
from tests.system.conftest import POLL_S, RunningSystem, running_system
from tests.system.scenario import blank, check_stored, collect

pytestmark = [pytest.mark.anyio, pytest.mark.system]

RECORDINGS = Path("cli/cwt_cli/recordings")
CHUNK = 125
EPOCH = "e"


def definition() -> StreamDefinition:
    return StreamDefinition.model_validate_json((RECORDINGS / "icu.json").read_bytes())


def recording(seconds: int = 600) -> NDArray[np.float32]:
    samples = read_recording(RECORDINGS / "physio_mimic037_125hz.csv.gz").samples.astype("<f4")
    return samples[: seconds * 125]


async def play(client: Client, samples: NDArray[np.float32]) -> None:
    async with client.publisher("icu", EPOCH) as publisher:
        for first in range(0, len(samples), CHUNK):
            await publisher.publish(samples[first : first + CHUNK])


def median_coherence(
    found: dict[str, AnalysisResult], pair: tuple[str, str], freq_hz: float
) -> float:
    scalogram = Scalogram("icu", "coherence", pair)
    for result in found.values():
        if result.channels == pair:
            scalogram.add(result)
    picture = scalogram.resample(600)
    row = int(np.argmin(np.abs(np.log(picture.freqs_hz / freq_hz))))
    return float(np.median(picture.values[row][~picture.mask[row]].real))


async def test_the_recordings_coherence_is_what_a_physiologist_expects(
    system: RunningSystem,
) -> None:
    client = Client(system.bus)
    await client.put_stream(definition())
    expected = pipeline.results(
        definition(), pipeline.chunks_of(recording(), repeat(CHUNK), epoch=EPOCH)
    )
    await play(client, recording())
    found = await collect(client, len(expected), "icu")
    assert blank(found) == blank(expected)
    assert len({result.engine.worker for result in found.values()}) == 2
    assert median_coherence(found, ("abp", "ecg"), 2.04) > 0.97
    assert median_coherence(found, ("abp", "resp"), 0.30) > 0.95


async def test_a_worker_killed_with_windows_in_its_hands_changes_no_result(
    tmp_path: Path,
) -> None:
    samples = recording(200)
    expected = pipeline.results(
        definition(), pipeline.chunks_of(samples, repeat(CHUNK), epoch=EPOCH)
    )
    async with running_system(tmp_path, workers=1) as system:
        client = Client(system.bus)
        await client.put_stream(definition())
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(play, client, samples)
            await collect(client, len(expected) // 4, "icu")
            await halt_with_windows(system, "compute-0")
            system.kill("compute-0")
            await system.start("compute-1", "compute")
        found = await collect(client, len(expected), "icu")
        await check_stored(system.bus, len(expected))
    assert blank(found) == blank(expected)


async def halt_with_windows(system: RunningSystem, worker: str) -> None:
    """Suspend the only worker while it has unacknowledged windows."""
    with fail_after(30):
        while True:
            system.processes[worker].send_signal(signal.SIGSTOP)
            backlog = await system.bus.log.backlog(storage.WINDOWS, storage.COMPUTE_WINDOWS)
            if backlog.in_flight > 0:
                return
            system.processes[worker].send_signal(signal.SIGCONT)
            await anyio.sleep(POLL_S)
