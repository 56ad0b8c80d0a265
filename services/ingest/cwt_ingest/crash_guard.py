"""Chunks that end the process that reads them, and how a stream gets past them.

The log is replayed, so such a chunk would end every process that takes the stream over. A crash
shows in a stream whose last owner did not leave it. After a crash, the first `GUARDED_CHUNKS` new
chunks are guarded: the checkpoint has the number of the chunk and how often its reading was begun,
and is written before the chunk is read and again afterwards. A chunk that was begun `MAX_BEGUN`
times and never finished is recorded as unfinished. It is rejected without being read, also when the
log is read again, so the outputs stay a function of the log and the checkpoint. It has ended one
process more than that by then, since the first crash was not guarded.

Only the reading is guarded, which takes milliseconds, and a process reads one guarded chunk at a
time. So a process that is killed for another reason seldom leaves a mark, and never more than one.
A chunk that is further away than `GUARDED_CHUNKS` is reached after more crashes, since each one
leaves a later checkpoint.
"""

from __future__ import annotations

from typing import Any, Final

from cwt_schemas.checkpoint import BegunChunk, StreamCheckpoint
from cwt_schemas.errors import Unprocessable

__all__ = ["GUARDED_CHUNKS", "UNFINISHED", "CrashGuard"]

#: New chunks that are guarded after a crash, with two writes each: more than a stream usually takes
#: between two checkpoints.
GUARDED_CHUNKS: Final = 1000
#: The second time shows that the chunk was the reason.
MAX_BEGUN: Final = 2
#: In place of a chunk that is not read.
UNFINISHED: Final = Unprocessable("reading the chunk ended the process, more than once")


class CrashGuard:
    """The marks of one stream.

    Parameters
    ----------
    checkpoint
        From which the stream is resumed.
    after_crash
        Whether its last owner did not leave the stream.
    """

    def __init__(self, checkpoint: StreamCheckpoint, *, after_crash: bool) -> None:
        self._begun = checkpoint.begun
        self._unfinished = checkpoint.unfinished
        self._left = GUARDED_CHUNKS if after_crash or checkpoint.begun is not None else 0

    @property
    def is_on(self) -> bool:
        """Whether the next new chunk is guarded."""
        return self._left > 0

    def leaves_out(self, seq: int) -> bool:
        """Return whether the chunk is not to be read."""
        return seq in self._unfinished

    def begin(self, seq: int) -> None:
        """Mark a new chunk as begun, or, if it was begun too often, as one that is left out."""
        begun = self._begun
        times = begun.times if begun is not None and begun.seq == seq else 0
        if times < MAX_BEGUN:
            self._begun = BegunChunk(seq=seq, times=times + 1)
        else:
            self._begun = None
            self._unfinished = (*self._unfinished, seq)

    def finish(self) -> None:
        """Remove the mark of a chunk that was read."""
        self._begun = None
        self._left -= 1

    def fields(self, replay_from_seq: int) -> dict[str, Any]:
        """Return the fields of a checkpoint from which the log is read again at that place."""
        unfinished = tuple(seq for seq in self._unfinished if seq >= replay_from_seq)
        return {"begun": self._begun, "unfinished": unfinished}
