"""The ELM11's twin behind a pseudo-terminal, asked over the bus."""

from __future__ import annotations

import os
import threading
from collections.abc import AsyncIterator

import numpy as np
import pytest

from cwt_cli.twin.terminal import TwinTerminal
from cwt_hwbridge.model import run_mc
from cwt_runtime.devices.plans import null_job
from cwt_schemas import subjects
from cwt_schemas.errors import Unprocessable
from cwt_schemas.hwops import (
    HwCwtReply,
    HwCwtRequest,
    HwFftReply,
    HwFftRequest,
    HwMcReply,
    HwMcRequest,
)
from tests.hwpeer.running import Caller, bridge

pytestmark = pytest.mark.anyio


@pytest.fixture
async def caller() -> AsyncIterator[Caller]:
    stop, end = os.pipe()
    with TwinTerminal() as terminal:
        thread = threading.Thread(target=terminal.serve, args=(stop,))
        thread.start()
        try:
            async with bridge(f"lua0=elm11:{terminal.port}") as caller:
                await caller.until("connected")
                yield caller
        finally:
            os.write(end, b"x")
            thread.join()
            os.close(stop)
            os.close(end)


async def test_it_transforms_and_simulates_as_the_model_has_it(caller: Caller) -> None:
    data = np.sin(np.arange(64) / 3)
    reply = await caller.ask(
        subjects.hw("lua0", "fft"), HwFftRequest(data=data, timeout_s=60), HwFftReply
    )
    assert np.abs(reply.fft - np.fft.fft(data)).max() < 0.01
    assert (reply.kind, reply.simulated) == ("elm11", True)
    request = HwMcRequest(al1=0.5, al2=0.5, dj=0.5, s0=8.0, pairs=1, seed=2, timeout_s=100)
    found = await caller.ask(subjects.hw("lua0", "mc"), request, HwMcReply)
    assert np.array_equal(found.histograms, run_mc(null_job(request).plan).histograms)


async def test_it_has_no_filter_bank(caller: Caller) -> None:
    request = HwCwtRequest(data=np.ones(64), dt=1.0, s0=4.0)
    with pytest.raises(Unprocessable, match=r"lua0.*cwt.*fft, mc, selftest"):
        await caller.ask(subjects.hw("lua0", "cwt"), request, HwCwtReply)
