"""Integer model of the ELM11's Fourier transform; results must agree bit for bit.

Radix 2, decimation in time. Samples of 16 bits are multiplied by 2^13 / n, factors by 2^24, and
every product is rounded to the nearest, halves upward. No number exceeds 2^52, so floats represent
all of them exactly, even on a microcontroller without 64-bit integers. The factors
``exp(-2 pi i k / n)`` are products of the constants in `ROOTS`, because math libraries may round
differently.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["MAX_POINTS", "MIN_POINTS", "ROOTS", "SCALE_BITS", "spectrum"]

MIN_POINTS = 8

#: Largest size; beyond it, products of values and factors would exceed 2^52.
MAX_POINTS = 8192

#: Samples are multiplied by 2^SCALE_BITS / n.
SCALE_BITS = 13

_ONE: Final = 1 << 24

#: 2^24 times ``exp(-2 pi i / 2^k)`` for k = 1 to 13, as pairs of integers.
ROOTS: Final = tuple(
    (round(_ONE * math.cos(2 * math.pi / 2**k)), round(-_ONE * math.sin(2 * math.pi / 2**k)))
    for k in range(1, SCALE_BITS + 1)
)


def spectrum(samples: npt.NDArray[np.int16]) -> npt.NDArray[np.int64]:
    """Return the transform of `samples`, times 2^13 / n.

    Parameters
    ----------
    samples : ndarray of int16, shape (n,)
        n a power of two from 8 to 8192.

    Returns
    -------
    ndarray of int64, shape (n // 2 + 1, 2)
        Real and imaginary parts for frequencies 0 to n / 2.
    """
    n = len(samples)
    values = samples.astype(np.int64) * (2**SCALE_BITS // n)
    order = [int(f"{i:0{n.bit_length() - 1}b}"[::-1], 2) for i in range(n)]
    re, im = values[order], np.zeros(n, np.int64)
    factors = _factors(n)
    half = 1
    while half < n:
        ur, ui = factors[:: n // (2 * half)].T
        block_re, block_im = re.reshape(-1, 2, half), im.reshape(-1, 2, half)
        low_re, low_im = block_re[:, 0], block_im[:, 0]
        high_re, high_im = block_re[:, 1], block_im[:, 1]
        tr = _rounded(high_re * ur - high_im * ui)
        ti = _rounded(high_re * ui + high_im * ur)
        re = np.stack((low_re + tr, low_re - tr), axis=1).ravel()
        im = np.stack((low_im + ti, low_im - ti), axis=1).ravel()
        half *= 2
    return np.stack((re, im), axis=1)[: n // 2 + 1]


def _factors(n: int) -> npt.NDArray[np.int64]:
    factors = np.array([(_ONE, 0)], np.int64)
    while len(factors) < n // 2:
        br, bi = ROOTS[(n // len(factors)).bit_length() - 2]
        re, im = factors.T
        more = np.stack((_rounded(re * br - im * bi), _rounded(re * bi + im * br)), axis=1)
        factors = np.concatenate((factors, more))
    return factors


def _rounded(product: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return (product + (_ONE >> 1)) >> 24
