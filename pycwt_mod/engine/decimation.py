"""Sampling steps and FFT lengths of rows that are not needed at every sample."""

from __future__ import annotations

import math

import scipy.fft


def power_of_two_below(x: float) -> int:
    """Return the largest power of two <= x, at least 1."""
    return max(1, 2 ** math.floor(math.log2(x))) if x >= 1 else 1


def fast_length(n: float, step: int) -> int:
    """Return a length >= n that is `step` times a number with small prime factors."""
    return step * int(scipy.fft.next_fast_len(math.ceil(n / step)))
