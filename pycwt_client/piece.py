"""Consecutive samples and where they belong; pure."""

from __future__ import annotations

from dataclasses import dataclass

from pycwt_client.signals import Samples
from schemas.limits import MAX_CHUNK_SAMPLES

__all__ = ["Piece", "cut"]


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Consecutive samples of all channels."""

    #: Position of the first one in its epoch.
    first_sample: int
    #: When the first one was taken, nanoseconds UTC; None if nobody knows.
    t0_ns: int | None
    #: (time,) or (time, channel)
    samples: Samples

    @property
    def next_sample(self) -> int:
        """Position right after the last one."""
        return self.first_sample + len(self.samples)


def cut(piece: Piece, max_bytes: int) -> list[Piece]:
    """Return `piece` in pieces of at most `max_bytes`; the first keeps the time."""
    row_bytes = piece.samples[:1].nbytes
    most = min(max(max_bytes // max(row_bytes, 1), 1), MAX_CHUNK_SAMPLES)
    if len(piece.samples) <= most:
        return [piece]
    return [
        Piece(
            first_sample=piece.first_sample + at,
            t0_ns=piece.t0_ns if at == 0 else None,
            samples=piece.samples[at : at + most],
        )
        for at in range(0, len(piece.samples), most)
    ]
