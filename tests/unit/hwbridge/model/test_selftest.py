from __future__ import annotations

import zlib
from itertools import islice

import numpy as np
import pytest

from cwt_hwbridge.model import run_bank, run_selftest
from cwt_hwbridge.model.selftest import selftest_samples
from tests.hardware.plans import bank_plan


def test_the_samples_are_the_upper_halves_of_a_known_generator() -> None:
    """2463534242 begins Marsaglia's own example of this generator with 723471715."""
    assert next(selftest_samples(2463534242)) == 723471715 >> 16


def test_a_signature_is_the_crc_of_the_outputs_as_they_would_travel() -> None:
    plan = bank_plan(5)
    samples = np.fromiter(islice(selftest_samples(77), 40_000), dtype=np.int16)

    told = run_selftest(plan, seed=77, samples=40_000)

    outputs = run_bank(plan, samples).outputs
    assert told.signature == zlib.crc32(outputs.astype("<i2").tobytes())
    assert told.outputs == len(outputs)


@pytest.mark.parametrize(("seed", "samples"), [(0, 1), (1 << 32, 1), (1, 0), (1, 1 << 32)])
def test_a_selftest_without_a_seed_or_samples_is_refused(seed: int, samples: int) -> None:
    with pytest.raises(ValueError, match=r"(seed|samples)=\d+ must be"):
        run_selftest(bank_plan(0), seed=seed, samples=samples)
