"""Skip chunks that crash the process that reads them.

The log is replayed, so such a chunk would crash every process that takes the stream over. A stream
that its last owner did not release indicates a crash. After a crash, the first `GUARDED_CHUNKS` new
chunks are guarded: before a chunk is decoded, and again afterwards, the checkpoint records its
number and how often decoding has started. A chunk that was started `MAX_BEGUN` times and never
finished is recorded as unfinished and rejected without decoding, also when the log is read again,
so the outputs remain a function of the log and the checkpoint. By then it has crashed one more
process than `MAX_BEGUN`, since the first crash was not guarded.

Only decoding is guarded, which takes milliseconds, and a process decodes one guarded chunk at a
time. So a process that is killed for another reason rarely leaves a mark, and at most one. A chunk
beyond `GUARDED_CHUNKS` is reached after more crashes, since each crash leaves a later checkpoint.
"""

from __future__ import annotations

from typing import Any, Final

from cwt_schemas.checkpoint import BegunChunk, StreamCheckpoint
from cwt_schemas.errors import Unprocessable

__all__ = ["GUARDED_CHUNKS", "UNFINISHED", "CrashGuard"]

#: New chunks to guard after a crash, with two writes each: more than usually arrive between two
#: checkpoints.
GUARDED_CHUNKS: Final = 1000
#: Starts without an end after which the chunk is considered the cause.
MAX_BEGUN: Final = 2
#: Stands for a chunk that is not decoded.
UNFINISHED: Final = Unprocessable("reading the chunk crashed the process more than once")


class CrashGuard:
    """The marks of one stream in its checkpoint.

    Parameters
    ----------
    checkpoint
        From which the stream is resumed.
    after_crash
        Whether the last owner did not release the stream.
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
        """Return whether to skip the chunk."""
        return seq in self._unfinished

    def begin(self, seq: int) -> None:
        """Mark a new chunk as started or, if it was started too often, as unfinished."""
        begun = self._begun
        times = begun.times if begun is not None and begun.seq == seq else 0
        if times < MAX_BEGUN:
            self._begun = BegunChunk(seq=seq, times=times + 1)
        else:
            self._begun = None
            self._unfinished = (*self._unfinished, seq)

    def finish(self) -> None:
        """Remove the mark of a decoded chunk."""
        self._begun = None
        self._left -= 1

    def fields(self, replay_from_seq: int) -> dict[str, Any]:
        """Return the fields of a checkpoint from which the log is read again at that place."""
        unfinished = tuple(seq for seq in self._unfinished if seq >= replay_from_seq)
        return {"begun": self._begun, "unfinished": unfinished}
