"""A simulated board, the bridge and the workers as processes: from a query to the gateware."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from cwt_cli.hw_checks import check_cwt, check_mc, trial_cwt, trial_mc
from cwt_schemas import subjects
from cwt_schemas.hwops import HwCwtReply, HwMcReply, HwSelftestReply, HwSelftestRequest
from pycwt_client import connect
from pycwt_client.request import ask
from tests.system.command import run
from tests.system.conftest import running_system
from tests.template import printing

pytestmark = [pytest.mark.anyio, pytest.mark.system, pytest.mark.timeout(600)]


@pytest.fixture
def simulated_port() -> Iterator[str]:
    """The RTL behind a pseudo-terminal, as `pycwt-mod hw sim` starts it."""
    kind = "verilator" if shutil.which("verilator") else "amaranth"
    with printing("cwt_cli", "hw", "sim", "--simulator", kind) as (_, printed):
        yield printed.readline().strip()


async def test_a_simulated_board_gives_what_the_model_gives(
    simulated_port: str, tmp_path: Path
) -> None:
    ports = {"CWT_HW_PORTS": f"fpga0=tangnano9k:{simulated_port}"}
    async with running_system(tmp_path, workers=1, environment=ports) as system:
        bus = system.bus
        selftest = await ask(
            bus, subjects.hw("fpga0", "selftest"), HwSelftestRequest(timeout_s=400),
            HwSelftestReply, timeout_s=420,
        )  # fmt: skip
        assert selftest.passed
        assert selftest.simulated
        cwt = trial_cwt(1)
        transform = await ask(bus, subjects.hw("fpga0", "cwt"), cwt, HwCwtReply, timeout_s=420)
        assert check_cwt(cwt, transform).equal
        mc = trial_mc(1)
        simulation = await ask(bus, subjects.hw("fpga0", "mc"), mc, HwMcReply, timeout_s=420)
        assert check_mc(mc, simulation).equal
        assert (simulation.simulated, simulation.device) == (True, "fpga0")
        said = await run("hw", "verify", "fpga0", "--operation", "mc", url=system.url)
        assert "mc: equal, of 1024 numbers; tangnano9k, simulated" in said
        assert "fpga0: tangnano9k on" in await run("hw", "list", url=system.url)
        assert "(simulated)" in await run("hw", "info", "fpga0", url=system.url)
        async with connect(system.url, name="test") as client:
            levels = await client.significance(
                0.5, 0.5, 1.0, 0.5, 4.0, 1, mc_count=20, backend="tangnano9k", seed=1
            )
        assert np.isfinite(levels.signif).all()
        assert levels.backend_used == "tangnano9k"
