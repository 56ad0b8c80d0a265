"""``python -m services.compute.calculator WORKER``: frames in, frames out, until the pipe ends."""

from __future__ import annotations

import os
import sys
from typing import BinaryIO

import threadpoolctl

from services.compute.calculator.answers import answer_frame
from services.compute.calculator.frames import HEADER_BYTES, Frame, header_of, packed

#: Behind everything that somebody waits for, and yet all of a processor that nobody else wants.
NICENESS = 10


def main() -> None:
    """Answer frames from standard input on standard output."""
    os.nice(NICENESS)
    worker = sys.argv[1]
    with threadpoolctl.threadpool_limits(1):
        while (frame := _read(sys.stdin.buffer)) is not None:
            sys.stdout.buffer.write(packed(answer_frame(frame, worker)))
            sys.stdout.buffer.flush()


def _read(pipe: BinaryIO) -> Frame | None:
    head = pipe.read(HEADER_BYTES)
    if len(head) < HEADER_BYTES:
        return None
    kind, length = header_of(head)
    body = pipe.read(length)
    return Frame(kind, body) if len(body) == length else None


if __name__ == "__main__":
    main()
