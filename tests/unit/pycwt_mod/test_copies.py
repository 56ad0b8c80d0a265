"""Copies of results are whole: mask, standard error, seed and the rest come along."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pycwt_mod import MonteCarloLevels, rednoise, wct_significance

X, Y = rednoise(200, 0.5, rng=1), rednoise(200, 0.5, rng=2)

COPIES: dict[str, Callable[[Any], Any]] = {
    "pickle": lambda result: pickle.loads(pickle.dumps(result)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}


@pytest.mark.parametrize("way", COPIES)
def test_copied_levels_keep_their_error_seed_and_method(way: str) -> None:
    levels = wct_significance(0.5, 0.5, 1.0, 1 / 4, 2.0, 12, mc_count=20, rng=7)

    copied = COPIES[way](levels)

    assert isinstance(copied, MonteCarloLevels)
    assert not np.shares_memory(copied, levels)
    np.testing.assert_array_equal(copied, levels)
    np.testing.assert_array_equal(copied.standard_error, levels.standard_error)
    assert (copied.seed, copied.mc_count, copied.method) == (7, 20, "montecarlo")


def test_levels_derived_by_arithmetic_have_no_standard_error() -> None:
    levels = wct_significance(0.5, 0.5, 1.0, 1 / 4, 2.0, 40, method="table")
    derived: list[Any] = [2 * levels, levels[:3], np.sqrt(levels)]
    assert all(each.standard_error is None for each in derived)
