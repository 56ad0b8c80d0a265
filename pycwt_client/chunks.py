"""Consecutive samples with their position and time; split to message size, or joined. No I/O.

Rules of joining
----------------
- Samples that continue the pushed ones, in the same dtype, are joined to them. Otherwise a new
  chunk begins: after a gap, a step back, or a change of dtype.
- A push is not split by joining, because only the time of its first sample is known.
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

    #: Position of the first sample in its epoch.
    first_sample: int
    #: Time of the first sample, nanoseconds UTC; None if unknown.
    t0_ns: int | None
    #: (time,) or (time, channel)
    samples: Samples

    @property
    def next_sample(self) -> int:
        """Position after the last sample."""
        return self.first_sample + len(self.samples)


def cut(piece: Piece, max_bytes: int) -> list[Piece]:
    """Split `piece` into pieces of at most `max_bytes`; the first one keeps the time."""
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
    """Join pushes until there are `enough` samples; `take` returns what is collected."""

    def __init__(self, *, enough: int) -> None:
        self._enough = enough
        self._pieces: list[Piece] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def push(self, piece: Piece) -> list[Piece]:
        """Add a piece; return the pieces that are now complete.

        Raises
        ------
        ValueError
            The number of channels differs from that of the collected samples.
        """
        done = [] if self._goes_on(piece) else self.take()
        self._pieces.append(piece)
        self._count += len(piece.samples)
        return [*done, *self.take()] if self._count >= self._enough else done

    def take(self) -> list[Piece]:
        """Return the collected samples as one piece, if any."""
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
                f"cannot join samples of shape {piece.samples.shape} to those of shape "
                f"{last.samples.shape}: keep the number of channels"
            )
        return (
            last.next_sample == piece.first_sample
            and last.samples.dtype == piece.samples.dtype
            and self._count + len(piece.samples) <= MAX_CHUNK_SAMPLES
        )
