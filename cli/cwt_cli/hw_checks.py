"""Compare results of a device with the integer model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cwt_hwbridge.model import run_bank, run_mc
from cwt_runtime.devices.plans import bank_job, null_job
from cwt_schemas.hwops import HwCwtReply, HwCwtRequest, HwMcReply, HwMcRequest

__all__ = ["Verdict", "check_cwt", "check_mc", "trial_cwt", "trial_mc"]

Integers = npt.NDArray[np.integer]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Outcome of a comparison: the count of numbers, and of those that differ."""

    numbers: int
    different: int

    @property
    def equal(self) -> bool:
        """Whether device and model agree in every number."""
        return self.different == 0


def trial_cwt(seed: int) -> HwCwtRequest:
    """Return a request for a transform of noise."""
    noise = np.random.default_rng(seed).standard_normal(512)
    return HwCwtRequest(data=noise, dt=1.0, s0=4.0, voices=4, octaves=3, timeout_s=600)


def trial_mc(seed: int) -> HwMcRequest:
    """Return a request for a small simulation."""
    return HwMcRequest(al1=0.7, al2=0.4, dj=0.25, s0=8.0, rows=4, pairs=4, seed=seed, timeout_s=600)


def check_cwt(request: HwCwtRequest, reply: HwCwtReply) -> Verdict:
    """Compare the transform of a device with the model."""
    job = bank_job(request)
    expected = job.split(run_bank(job.plan, job.samples).outputs)
    return _compared([each.integers for each in reply.octaves], list(expected))


def check_mc(request: HwMcRequest, reply: HwMcReply) -> Verdict:
    """Compare the simulation of a device with the model."""
    return _compared([reply.histograms], [run_mc(null_job(request).plan).histograms])


def _compared(actual: list[Integers], expected: list[Integers]) -> Verdict:
    numbers = sum(each.size for each in expected)
    if [each.shape for each in actual] != [each.shape for each in expected]:
        return Verdict(numbers=numbers, different=numbers)
    pairs = zip(actual, expected, strict=True)
    different = sum(int(np.count_nonzero(one != other)) for one, other in pairs)
    return Verdict(numbers=numbers, different=different)
