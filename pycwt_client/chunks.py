"""Consecutive samples and where they belong, cut to what a message carries or joined; pure.

Rules of joining
----------------
- What follows on what was pushed before, in the same dtype, is joined to it. Anything else begins
  a new chunk: a gap, a step back, another dtype.
- A push is not torn apart, because the time of its first sample is known and that of the others is
  not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cwt_schemas.limits import MAX_CHUNK_SAMPLES
from pycwt_client.signals import Samples

__all__ = ["Batch", "Piece", "cut"]


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


class Batch:
    """Joins pushes until there are `enough` samples; `take` gives what there is."""

    def __init__(self, *, enough: int) -> None:
        self._enough = enough
        self._pieces: list[Piece] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def push(self, piece: Piece) -> list[Piece]:
        """Take in a piece; return what is to be sent because of it.

        Raises
        ------
        ValueError
            It has another number of channels than those that wait.
        """
        done = [] if self._goes_on(piece) else self.take()
        self._pieces.append(piece)
        self._count += len(piece.samples)
        return [*done, *self.take()] if self._count >= self._enough else done

    def take(self) -> list[Piece]:
        """Return what waits as one piece, or nothing."""
        pieces, self._pieces, self._count = self._pieces, [], 0
        if len(pieces) < 2:
            return pieces
        samples = np.concatenate([piece.samples for piece in pieces])
        first = pieces[0]
        return [Piece(first_sample=first.first_sample, t0_ns=first.t0_ns, samples=samples)]

    def _goes_on(self, piece: Piece) -> bool:
        if not self._pieces:
            return True
        last = self._pieces[-1]
        if last.samples.shape[1:] != piece.samples.shape[1:]:
            raise ValueError(
                f"samples of shape {piece.samples.shape}, and those before have "
                f"{last.samples.shape}: the channels have to stay the same"
            )
        return (
            last.next_sample == piece.first_sample
            and last.samples.dtype == piece.samples.dtype
            and self._count + len(piece.samples) <= MAX_CHUNK_SAMPLES
        )
