"""Provisional estimates of the running system."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anyio
import numpy as np
import pytest
from numpy.typing import NDArray

from cwt_schemas.provisional import ProvisionalEstimate
from cwt_schemas.stream import StreamDefinition
from pycwt_client import Client, Estimates
from pycwt_mod import Estimate, Morlet, Provisional, StreamingCwt, VoiceGrid, rednoise
from pycwt_mod.streaming import ProvisionalPlan
from tests.deadlines import fail_after
from tests.system.conftest import POLL_S, RunningSystem

pytestmark = [pytest.mark.anyio, pytest.mark.system]

FS, CHUNK = 100.0, 20
#: The chunk at which a worker is killed, and the one that is lost.
KILLED, LOST = 600, 800
AXIS: dict[str, Any] = {"fmin_hz": 3.2, "fmax_hz": 10.0, "voices_per_octave": 4}
OPTIONS = Provisional(max_error=0.4)
#: Samples between two fits of each octave.
INTERVALS = ProvisionalPlan(
    grid=VoiceGrid(fs_hz=FS, wavelet=Morlet(), **AXIS), options=OPTIONS
).intervals
DEFINITION = StreamDefinition.model_validate(
    {
        "name": "s", "fs_hz": FS, "reorder_s": 0, "channels": [{"name": "x"}, {"name": "y"}],
        "analyses": [
            {
                "name": "a", "op": "cwt", "channels": ["x", "y"], "hop_s": 1, "quantity": "power",
                "provisional": {"max_error": 0.4, "quantities": ["complex", "phase"]}, **AXIS,
            }
        ],
    }
)  # fmt: skip


def signal(n: int) -> NDArray[np.float64]:
    return np.stack([rednoise(n, 0.8, rng=seed) for seed in (1, 2)], axis=1)


async def after(estimates: Estimates, end: int) -> ProvisionalEstimate:
    """Return the estimate after the first `end` samples."""
    with fail_after(20):
        return await anext(each async for each in estimates if each.newest_sample == end - 1)


async def fitted(client: Client, end: int) -> None:
    """Return when the models in use are those of the library after `end` samples."""
    expected = [end // interval * interval or None for interval in INTERVALS]
    with fail_after(20):
        while True:
            status = await client.get_stream("s")
            if [each.fitted for each in status.provisional] == expected:
                return
            await anyio.sleep(POLL_S)


def compare(estimate: ProvisionalEstimate, expected: Sequence[Estimate]) -> int:
    """Compare the octaves whose models are those of the library already; return their number."""
    assert estimate.values is not None
    equal, row = 0, 0
    for octave in estimate.octaves:
        interval = INTERVALS[octave.octave]
        rows = slice(row, row := row + octave.n)
        if octave.fitted != (estimate.newest_sample + 1) // interval * interval:
            continue
        equal += 1
        for mine, theirs in zip(range(len(expected)), expected, strict=True):
            np.testing.assert_array_equal(
                estimate.positions[mine, rows], theirs.samples[rows], strict=False
            )
            np.testing.assert_allclose(
                estimate.values[mine, rows], theirs.values[rows], rtol=1e-5, atol=1e-5
            )
            np.testing.assert_allclose(estimate.std[mine, rows], theirs.std[rows], rtol=1e-5)
    return equal


async def test_estimates_equal_those_of_the_library_over_a_gap_and_a_killed_worker(
    system: RunningSystem,
) -> None:
    client, samples = Client(system.bus), signal(1200)
    await client.put_stream(DEFINITION)
    stream = StreamingCwt(fs_hz=FS, hop_s=1, channels=2, provisional=OPTIONS, **AXIS)
    workers: set[str] = set()
    equal = dict.fromkeys(("before", "after"), 0)
    announced = ""
    async with (
        client.now("s", "a") as estimates,
        client.publisher("s", "e", in_flight=1) as publisher,
    ):
        for first in range(0, len(samples), CHUNK):
            if first == KILLED:
                system.kill("compute-0")
            if first == LOST:
                stream.skip(CHUNK)
                continue
            chunk = samples[first : first + CHUNK]
            expected = stream.push(chunk).estimates
            await publisher.publish(chunk, first_sample=first)
            estimate = await after(estimates, first + CHUNK)
            equal["before" if first < KILLED else "after"] += compare(estimate, expected)
            workers.add(estimate.worker)
            await fitted(client, first + CHUNK)
            if first == KILLED:
                announced = estimate.result_id(1, 2)
    assert len(workers) == 2
    assert min(equal.values()) > 30, equal
    async with client.results("s", "a") as results:
        with fail_after(20):
            await anext(each async for each in results if each.id == announced)
