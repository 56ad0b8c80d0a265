"""Whether a device's numbers are the model's."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from cwt_cli.hw_checks import Verdict, check_mc, trial_mc
from cwt_cli.hw_devices import device_line, port_line
from cwt_hwbridge.model import run_mc
from cwt_runtime.devices.plans import null_job
from cwt_schemas.hardware import ConfiguredPort, SerialDevice
from cwt_schemas.hwops import HwMcReply

REQUEST = trial_mc(3)


@pytest.fixture(scope="module")
def reply() -> HwMcReply:
    job = null_job(REQUEST)
    return HwMcReply(
        device="fpga0", kind="tangnano9k", build_hash="ab", simulated=True, computation_time=1.0,
        scales=job.scales, histograms=run_mc(job.plan).histograms.astype(np.int32),
        saturations=0, seed=3,
    )  # fmt: skip


def test_what_the_model_gives_is_equal(reply: HwMcReply) -> None:
    verdict = check_mc(REQUEST, reply)
    assert verdict.equal
    assert verdict.numbers == 4 * 256


def test_histograms_differing_by_one_count_are_unequal(reply: HwMcReply) -> None:
    counts = reply.histograms.copy()
    counts[2, 100] += 1
    wrong = reply.model_copy(update={"histograms": counts})
    assert check_mc(REQUEST, wrong) == Verdict(numbers=1024, different=1)


def test_another_shape_is_different_throughout(reply: HwMcReply) -> None:
    short = reply.model_copy(update={"histograms": reply.histograms[:1]})
    assert check_mc(REQUEST, short).different == 1024
    assert not replace(check_mc(REQUEST, short)).equal


def test_a_port_and_a_device_are_a_line_each() -> None:
    port = SerialDevice(port="/dev/ttyUSB1", description="JTAG", vid=0x403, pid=0x6010)
    assert_names(port_line(port), "/dev/ttyUSB1", "0403:6010", "JTAG")
    given = ConfiguredPort(
        device="a", port="/dev/x", kind="elm11", detail="there is no port /dev/x"
    )
    assert_names(device_line(given), "a", "elm11", "/dev/x", "absent", given.detail)
    works = given.model_copy(
        update={"state": "ready", "build_hash": "ab", "simulated": True, "operations": ("mc",)}
    )
    assert_names(device_line(works), "a", "elm11", "/dev/x", "ready", "simulated", "ab", "mc")


def assert_names(line: str, *facts: str) -> None:
    """Assert that a line has the facts, in order."""
    assert re.search(".*".join(rf"(?<!\w){re.escape(fact)}(?!\w)" for fact in facts), line), line
