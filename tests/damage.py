"""Random damage to bytes; the same generator gives the same damage."""

from __future__ import annotations

import random

__all__ = ["DAMAGES", "cut"]


def cut(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(len(content))]


def shuffled(content: bytes, rng: random.Random) -> bytes:
    size = rng.choice([2, 16, 256, 4096])
    blocks = [content[at : at + size] for at in range(0, len(content), size)]
    begin = rng.choice([0, 1, len(blocks) // 2])
    tail = blocks[begin:]
    rng.shuffle(tail)
    return b"".join([*blocks[:begin], *tail])


def overwritten(content: bytes, rng: random.Random) -> bytes:
    damaged = bytearray(content)
    near = rng.choice([64, 1024, len(content)])  # headers are at the beginning
    for _ in range(rng.choice([1, 3, 30])):
        at = rng.randrange(min(near, len(content)))
        damaged[at] = rng.choice([0, 0xFF, ord("9"), ord("-"), rng.randrange(256)])
    return bytes(damaged)


def missing(content: bytes, rng: random.Random) -> bytes:
    begin = rng.randrange(len(content))
    return content[:begin] + content[begin + rng.choice([1, 2, 100, 5000]) :]


def doubled(content: bytes, rng: random.Random) -> bytes:
    begin = rng.randrange(len(content))
    return content[:begin] + content[begin : begin + rng.choice([1, 2, 100, 5000])] * 2


DAMAGES = (cut, shuffled, overwritten, missing, doubled)
