"""The ELM11's twin on the bus: two processes, a pseudo-terminal between them, the real server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from tests.system.conftest import RunningSystem, running_system
from tests.system.twin import simulated_elm11

pytestmark = [pytest.mark.anyio, pytest.mark.system]


@pytest.fixture
async def system(tmp_path: Path) -> AsyncIterator[RunningSystem]:
    with simulated_elm11("lua0") as environment:
        async with running_system(tmp_path, workers=1, environment=environment) as running:
            yield running


async def ask(system: RunningSystem, verb: str, **fields: Any) -> dict[str, Any]:
    reply = await system.bus.request(f"cwt.hw.lua0.{verb}", orjson.dumps(fields), timeout_s=60)
    found: dict[str, Any] = orjson.loads(reply.data)
    return found


async def test_the_twin_is_asked_over_the_bus_and_says_that_it_is_one(
    system: RunningSystem,
) -> None:
    info = await ask(system, "info")
    assert (info["kind"], info["simulated"]) == ("elm11", True)
    selftest = await ask(system, "selftest", seed=3)
    assert (selftest["passed"], selftest["simulated"]) == (True, True)
    signal = np.sin(np.arange(64) / 3)
    fft = await ask(system, "fft", data=signal.tolist())
    values = np.array(fft["fft"]["re"]) + 1j * np.array(fft["fft"]["im"])
    assert abs(values - np.fft.fft(signal)).max() < 0.01
    refused = await ask(system, "cwt", data=signal.tolist(), dt=1.0, s0=4.0, octaves=1)
    assert "does not support cwt" in orjson.dumps(refused).decode()
