"""HTTP with real processes: what the plan promises, several gateways, and their end."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import httpx
import numpy as np
import pytest

from tests.deadlines import fail_after
from tests.processes import busy
from tests.system.conftest import running_system
from tests.system.gateway import RunningGateway, gateway_of

pytestmark = [pytest.mark.anyio, pytest.mark.system]

T = np.arange(100) * 0.1
PAIR = {"signal1": np.sin(T[:50]).tolist(), "signal2": np.sin(T[:50] + 1).tolist(), "dt": 0.1}
WAVELET = "/api/v1/wavelet"


@pytest.fixture(scope="module")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningGateway]:
    """A gateway of a system that the tests of this module share."""
    async with running_system(tmp_path_factory.mktemp("system"), workers=1) as system:
        yield await gateway_of(system)


@pytest.fixture
async def http(gateway: RunningGateway) -> AsyncIterator[httpx.AsyncClient]:
    async with gateway.client() as client:
        yield client


async def test_the_transform_of_a_sine_has_wave_and_computation_time(
    http: httpx.AsyncClient,
) -> None:
    reply = await http.post(f"{WAVELET}/cwt", json={"data": np.sin(T).tolist(), "dt": 0.1})
    assert reply.status_code == 200
    told = reply.json()
    assert told["computation_time"] >= 0
    assert np.array(told["wave"]).shape == (len(told["scales"]), 100, 2)


@pytest.mark.parametrize("backend", ["sequential", "joblib"])
async def test_a_coherence_says_which_backend_was_used(
    http: httpx.AsyncClient, backend: str
) -> None:
    asked = {**PAIR, "mc_count": 5, "backend": backend}
    reply = await http.post(f"{WAVELET}/wct", json=asked)
    assert reply.status_code == 200
    told = reply.json()
    assert told["backend_used"] == backend
    assert np.shape(told["WCT"]) == np.shape(told["aWCT"]) == (len(told["freqs"]), 50)


async def test_signals_of_different_lengths_are_a_bad_request(http: httpx.AsyncClient) -> None:
    reply = await http.post(f"{WAVELET}/wct", json={**PAIR, "signal2": [1, 2, 3, 4]})
    assert (reply.status_code, reply.headers["content-type"]) == (400, "application/problem+json")
    assert "signal2" in reply.json()["fields"]


async def test_health_backends_detection_and_a_coherence_in_one_flow(
    http: httpx.AsyncClient,
) -> None:
    health = await http.get("/health")
    assert (health.status_code, health.json()["status"]) == (200, "healthy")
    backends = (await http.get("/api/v1/backends/")).json()["backends"]
    free = [backend["name"] for backend in backends if backend["available"]]
    assert {"sequential", "joblib"} <= set(free)
    assert (await http.get(f"/api/v1/backends/{free[0]}")).json()["name"] == free[0]
    found = (await http.get("/api/v1/hardware/detect")).json()
    assert set(found) == {"fpga", "embedded", "gpu", "cpu"}
    assert found["cpu"]["available"]
    reply = await http.post(f"{WAVELET}/wct", json={**PAIR, "mc_count": 5, "backend": free[0]})
    assert reply.json()["backend_used"] == free[0]


async def test_gateways_side_by_side_give_the_same(gateway: RunningGateway) -> None:
    other = await gateway_of(gateway.system, "gateway-2")
    asked = {**PAIR, "mc_count": 20, "seed": 7}
    async with gateway.client() as first, other.client() as second:
        replies = [await each.post(f"{WAVELET}/wct", json=asked) for each in (first, second)]
    told = [reply.json() for reply in replies]
    assert told[0]["signif"] == told[1]["signif"]
    assert await gateway.system.stop("gateway-2") == 0


async def test_a_request_in_flight_is_answered_on_sigterm(gateway: RunningGateway) -> None:
    ending = await gateway_of(gateway.system, "gateway-3")
    x, y = np.random.default_rng(1).standard_normal((2, 2000)).tolist()
    asked = {"signal1": x, "signal2": y, "dt": 1.0, "mc_count": 1000}
    replies: list[httpx.Response] = []

    async def ask(client: httpx.AsyncClient) -> None:
        replies.append(await client.post(f"{WAVELET}/wct", json=asked))

    worker = gateway.system.processes["compute-0"].pid
    async with ending.client() as client, anyio.create_task_group() as tasks:
        tasks.start_soon(ask, client)
        with fail_after(60):
            await busy(worker)
        assert replies == []
        code = await gateway.system.stop("gateway-3")
    assert code == 0
    assert replies[0].status_code == 200
