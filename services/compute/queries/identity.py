"""What makes two requests the same: their content, whoever sent it and in whichever encoding."""

from __future__ import annotations

import hashlib

import numpy as np

from schemas.message import Message

__all__ = ["content_digest", "content_seed"]

#: Says what is simulated where, or is what is looked for; `type` is of the tasks of a job.
NOT_OF_THE_SEED = frozenset({"seed", "backend", "fallback", "type"})
#: A number of so many bits survives JavaScript, where a seed of 63 would come back another one.
SEED_BITS = 53


def content_seed(request: Message) -> int:
    """Return the seed of a simulation whose request has none.

    The same question has the same seed, so it has the same answer, on every worker, as a query
    and as a task of a job, and however often it is asked.
    """
    digest = content_digest(request, without=NOT_OF_THE_SEED)
    return int.from_bytes(digest[:8], "big") >> (64 - SEED_BITS)


def content_digest(request: Message, *, without: frozenset[str] = frozenset()) -> bytes:
    """Return the SHA-256 of all fields but those named, numbers in arrays bit by bit."""
    digest = hashlib.sha256()
    for name in sorted(type(request).model_fields.keys() - without):
        value = getattr(request, name)
        if isinstance(value, np.ndarray):
            digest.update(f"{name}={value.dtype.str}{value.shape}:".encode())
            digest.update(np.ascontiguousarray(value).reshape(-1).view(np.uint8).data)
        else:
            digest.update(f"{name}={value!r};".encode())
    return digest.digest()
