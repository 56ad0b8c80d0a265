"""Jobs, streams and uploads through the gateway, as a process among the others."""

from __future__ import annotations

import gzip
import time
from io import BytesIO
from pathlib import Path

import httpx
import numpy as np
import pytest

import pycwt_mod
from cwt_cli.samples import RECORDING
from cwt_schemas import storage
from pycwt_client import Client
from tests.deadlines import fail_after
from tests.system.conftest import RunningSystem, running_system

pytestmark = pytest.mark.anyio

WAIT_S = 60.0
STREAMS, JOBS = "/api/v1/streams", "/api/v1/jobs"
ENDLESS = {
    "type": "significance", "al1": 0.5, "al2": 0.5, "dt": 1.0, "dj": 0.05, "s0": 2.0, "J": 100,
    "mc_count": 100_000,
}  # fmt: skip


async def test_jobs_streams_and_uploads_over_http_until_the_gateway_stops(tmp_path: Path) -> None:
    async with running_system(tmp_path, workers=1, environment={"CWT_HTTP_PORT": "0"}) as system:
        await system.start("gateway", "gateway")
        (ready,) = [each for each in system.log("gateway") if each["action"] == "ready"]
        async with httpx.AsyncClient(base_url=str(ready["http"]), timeout=WAIT_S) as http:
            await _compute_a_job(http)
            await _publish_chunks(http, system)
            await _upload_a_recording(http, system)
            await _stop_while_it_publishes_and_a_job_is_followed(http, system)


async def _compute_a_job(http: httpx.AsyncClient) -> None:
    x = np.random.default_rng(0).standard_normal(200)
    job = await http.post(JOBS, json={"tasks": [{"type": "cwt", "data": [*x], "dt": 1.0}]})
    path = job.headers["location"]
    assert "event: end" in (await http.get(f"{path}/events")).text
    wave = np.array((await http.get(f"{path}/results/0")).json()["result"]["wave"])
    expected = pycwt_mod.cwt(x, 1.0, 0.25).coefs
    # The last digits depend on how many threads compute.
    np.testing.assert_allclose(wave @ [1, 1j], expected, rtol=1e-9, atol=1e-12)


async def _publish_chunks(http: httpx.AsyncClient, system: RunningSystem) -> None:
    analysis = {
        "name": "power", "op": "cwt", "quantity": "power", "channels": ["a"],
        "fmin_hz": 5.0, "fmax_hz": 20.0, "hop_s": 0.5,
    }  # fmt: skip
    definition = {"fs_hz": 100.0, "channels": [{"name": "a"}], "analyses": [analysis]}
    assert (await http.put(f"{STREAMS}/live", json=definition)).status_code == 200
    samples = np.sin(np.arange(2000)).astype("<f4")
    headers = {"Content-Type": "application/octet-stream", "Cwt-Dtype": "<f4", "Cwt-Epoch": "e"}
    for first in range(0, 2000, 500):
        stored = await http.post(
            f"{STREAMS}/live/chunks",
            content=samples[first : first + 500].tobytes(),
            headers={**headers, "Cwt-First-Sample": str(first)},
        )
        assert stored.status_code == 202, stored.text
    await _results_reach(system, "live", 1000)


async def _upload_a_recording(http: httpx.AsyncClient, system: RunningSystem) -> None:
    parameters = {"filename": "icu.csv", "band": "0.5,8"}
    path = f"{STREAMS}/upload/recording"
    told = await http.post(path, content=_minute(), params=parameters)
    assert told.status_code == 202, told.text
    await _results_reach(system, "upload", told.json()["n_samples"] - 1)
    status = (await http.get(f"{STREAMS}/upload")).json()
    assert status["epoch"] == told.json()["epoch"]
    before = await system.bus.log.last_seq(storage.SIGNALS)
    again = await http.post(path, content=_minute(), params=parameters)
    assert again.json() == told.json()
    assert (await http.delete(f"{STREAMS}/upload")).status_code == 200
    assert await system.bus.log.last_seq(storage.SIGNALS) == before
    await _export_and_remove_it(http)


async def _export_and_remove_it(http: httpx.AsyncClient) -> None:
    path = f"{STREAMS}/upload"
    archive = await http.get(f"{path}/export", params={"format": "npz"})
    assert archive.status_code == 200, archive.text
    with np.load(BytesIO(archive.content)) as export:
        assert export["channels"].tolist() == ["ecg_mV,abp_mmHg"]
        assert not export["mask"].all()
    removed = await http.delete(f"{path}/data")
    assert removed.status_code == 200, removed.text
    assert removed.json()["results"] > 0
    gone = await http.get(f"{path}/export", params={"format": "npz"})
    assert (gone.status_code, gone.json()["code"]) == (404, "not_found")


async def _stop_while_it_publishes_and_a_job_is_followed(
    http: httpx.AsyncClient, system: RunningSystem
) -> None:
    parameters = {"filename": "icu.csv", "speed": "1"}
    path = f"{STREAMS}/slow/recording"
    told = await http.post(path, content=_minute(), params=parameters)
    assert told.status_code == 202, told.text
    await http.post(JOBS, json={"job_id": "long", "tasks": [ENDLESS]})
    async with http.stream("GET", f"{JOBS}/long/events") as events:
        lines = events.aiter_lines()
        assert await anext(lines) == "event: progress"
        began = time.monotonic()
        assert await system.stop("gateway") == 0
        # A connection that does not end by itself is cut after the drain time of 25 s.
        assert time.monotonic() - began < 20
        assert "event: end" not in [line async for line in lines]
    await Client(system.bus).job("long").cancel()


async def _results_reach(system: RunningSystem, stream: str, sample: int) -> None:
    """Return when there is a result that covers `sample`."""
    with fail_after(WAIT_S):
        async with Client(system.bus).results(stream) as results:
            async for result in results:
                if result.t.first_sample + result.t.step * result.t.n > sample:
                    return


def _minute() -> bytes:
    """Return the first minute of the shipped recording."""
    return b"".join(gzip.decompress(RECORDING.read_bytes()).splitlines(keepends=True)[:7500])
