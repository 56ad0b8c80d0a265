"""Randomness that can be had again.

A run draws a seed, says it in the header of its report and in what fails, and draws the same again
with ``FAULT_SEED=<seed>`` in the environment. Each test has numbers of its own, so that it gets the
same alone as in company.
"""

from __future__ import annotations

import os
import random
import secrets

__all__ = ["SEED", "chance"]

SEED = int(os.environ.setdefault("FAULT_SEED", str(secrets.randbelow(2**31))))


def chance(name: str) -> random.Random:
    """Return the random numbers of one test."""
    return random.Random(f"{SEED} {name}")
