"""The noise of Monte Carlo: xorshift128, sums of uniform numbers, AR(1)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cwt_hwbridge.model.rounding import Integers

__all__ = ["AutoregressiveNoise", "Xorshift128"]

#: Draws per step of a channel; each gives two u16.
_DRAWS_PER_STEP = 4

#: Mean of the sum of eight uniform u16.
_MEAN = 262_140

#: Consecutive draws of one lane. Each lane starts where the one before ends, computed with a power
#: of the generator's matrix over GF(2).
_DRAWS_PER_LANE = 256

Words = npt.NDArray[np.uint32]
Bits = npt.NDArray[np.float32]


class Xorshift128:
    """Marsaglia's generator with 128 bits of state; Journal of Statistical Software 8 (14), 2003.

    Parameters
    ----------
    seed : bytes
        16 bytes, not all zero: x, y, z, w as little-endian u32.
    """

    def __init__(self, seed: bytes) -> None:
        if len(seed) != 16 or not any(seed):
            raise ValueError(f"{seed=} must be 16 bytes, not all of them 0")
        self._state: Words = np.frombuffer(seed, dtype="<u4").astype(np.uint32)

    def draws(self, count: int) -> Words:
        """Return the next `count` numbers, shape (count,); the state is always the last four."""
        lanes = -(-count // _DRAWS_PER_LANE)
        states = _lane_starts(self._state, lanes)
        numbers = np.empty((lanes, _DRAWS_PER_LANE), dtype=np.uint32)
        for column in range(_DRAWS_PER_LANE):
            states = _step(states)
            numbers[:, column] = states[:, 3]
        drawn = numbers.ravel()[:count]
        self._state = np.concatenate([self._state, drawn])[-4:]
        return drawn


class AutoregressiveNoise:
    """Two channels of AR(1) noise in 16 bits, from one generator.

    Parameters
    ----------
    seed : bytes
        As for `Xorshift128`.
    a1, a2 : int
        Lag-1 coefficients times 2**15.
    shift : int
        Bits by which the white noise is shifted down.
    """

    def __init__(self, seed: bytes, a1: int, a2: int, shift: int) -> None:
        self._draw = Xorshift128(seed)
        self._coefficients = (a1, a2)
        self._shift = shift
        self._last = [0, 0]

    def samples(self, count: int) -> Integers:
        """Return the next samples of both channels; shape (2, count)."""
        draws = self._draw.draws(2 * _DRAWS_PER_STEP * count)
        halves = draws.reshape(count, 2, _DRAWS_PER_STEP).view(np.uint16)
        innovations = (halves.sum(axis=-1, dtype=np.int64) - _MEAN) >> self._shift
        made = np.empty((2, count), dtype=np.int64)
        for channel, coefficient in enumerate(self._coefficients):
            made[channel] = self._run(channel, coefficient, innovations[:, channel].tolist())
        return made

    def _run(self, channel: int, coefficient: int, innovations: list[int]) -> list[int]:
        """Filter sample by sample: saturation and rounding depend on the previous sample."""
        last = self._last[channel]
        made = []
        for innovation in innovations:
            last = ((coefficient * last + 16384) >> 15) + innovation
            if not -32768 <= last <= 32767:
                last = 32767 if last > 0 else -32768
            made.append(last)
        self._last[channel] = last
        return made


def _step(states: Words) -> Words:
    x, y, z, w = states.T
    t = x ^ (x << np.uint32(11))
    return np.stack([y, z, w, w ^ (w >> np.uint32(19)) ^ t ^ (t >> np.uint32(8))], axis=1)


def _lane_starts(state: Words, lanes: int) -> Words:
    """Return the states at the beginning of each lane; shape (lanes, 4)."""
    bits, jump = _to_bits(state[np.newaxis]), _JUMP
    while len(bits) < lanes:
        bits = np.concatenate([bits, bits @ jump % 2])
        jump = jump @ jump % 2
    return _to_words(bits[:lanes])


def _to_bits(words: Words) -> Bits:
    octets = np.ascontiguousarray(words).astype("<u4").view(np.uint8)
    return np.unpackbits(octets, axis=1, bitorder="little").astype(np.float32)


def _to_words(bits: Bits) -> Words:
    octets = np.packbits(bits.astype(np.uint8), axis=1, bitorder="little")
    return octets.view("<u4").astype(np.uint32)


def _jump_over_a_lane() -> Bits:
    """Return J with ``bits @ J % 2`` = the state `_DRAWS_PER_LANE` draws later."""
    states = _to_words(np.eye(128, dtype=np.float32))
    for _ in range(_DRAWS_PER_LANE):
        states = _step(states)
    return _to_bits(states)


_JUMP = _jump_over_a_lane()
