"""The examples in the docstrings run."""

from __future__ import annotations

import doctest
import importlib

import pytest

MODULES = (
    "coherence", "rednoise", "transform", "planning", "significance.chi_square",
    "wavelets.resolve", "wavelets.morlet", "wavelets.paul", "wavelets.dog", "backends",
    "significance.coherence", "engine.layout", "helpers", "sample.dataset",
    "arrays.checks", "arrays.foreign", "arrays.scales", "arrays.signals",
)  # fmt: skip


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name: str) -> None:
    result = doctest.testmod(importlib.import_module(f"pycwt_mod.{name}"))
    assert result.attempted > 0
    assert result.failed == 0
