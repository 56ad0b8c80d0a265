"""Record which of the project's source files a process enters while a flag is set.

Loaded at the start of every process of a traced system, so it uses only the standard library.
Forked processes continue recording: each first entry is one line in a file shared by all.
"""

from __future__ import annotations

import mmap
import os
import sys
import threading
from pathlib import Path
from types import FrameType

#: Variable with the folder of a trace; without it, nothing is recorded.
VARIABLE = "PATH_TRACE"
ROOT = f"{Path(__file__).parents[1]}{os.sep}"
#: Code that drives and observes the system, which is not traced.
OUTSIDE = ("benchmarks", "tests", "examples", ".venv")


def install() -> None:
    """Start recording in this process and its forks if a trace is configured."""
    folder = os.environ.get(VARIABLE)
    if folder is None:
        return
    with Path(folder, "phase").open("rb") as file:
        phase = mmap.mmap(file.fileno(), 1, prot=mmap.PROT_READ)
    entered = os.open(Path(folder, "entered"), os.O_WRONLY | os.O_APPEND)
    seen: set[tuple[int, str]] = set()

    def profile(frame: FrameType, event: str, argument: object) -> None:
        del argument
        now = phase[0]
        if not now or event != "call":
            return
        key = (now, frame.f_code.co_filename)
        if key in seen or not key[1].startswith(ROOT) or _importing(frame):
            return
        seen.add(key)
        name = key[1].removeprefix(ROOT)
        if name.partition(os.sep)[0] not in OUTSIDE:
            os.write(entered, f"{now} {os.getpid()} {name}\n".encode())

    threading.setprofile(profile)
    sys.setprofile(profile)


def _importing(frame: FrameType | None) -> bool:
    """Return whether `frame` runs as part of an import."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
