"""Wall time of repeated runs, and the peak memory of a separate process."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import re
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

#: ru_maxrss counts kilobytes on Linux and bytes on macOS.
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024

#: Program of the interpreter whose memory is measured.
PROGRAM = (
    "import pickle, sys; from benchmarks.clock import peak_here; "
    "print(peak_here(pickle.load(sys.stdin.buffer)))"
)


def once_s(work: Callable[[], object]) -> float:
    """Return the wall time of one run, s; output and warnings of peers are suppressed."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start = time.perf_counter()
        work()
        return time.perf_counter() - start


def rounds(works: list[Callable[[], object]], repeats: int) -> list[tuple[float, ...]]:
    """Return the wall times of each implementation, s.

    They run in turns, so that other load on the machine affects all of them equally. The first
    round fills caches and is not counted.
    """
    taken = [[once_s(work) for work in works] for _ in range(repeats + 1)]
    return [tuple(column) for column in zip(*taken[1:], strict=True)]


def peak_bytes(work: Callable[[], object]) -> int:
    """Return the peak resident memory of a new interpreter that runs `work` once, bytes.

    `work` is a function of a module, the only one that the interpreter imports.
    """
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=pickle.dumps(work),
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        check=True,
    )
    return int(done.stdout.split()[-1])


def peak_here(work: Callable[[], object]) -> int:
    """Return the peak resident memory of this process after running `work`, bytes."""
    once_s(work)
    status = Path("/proc/self/status")
    if status.exists():
        # ru_maxrss would include the memory of the parent when it started this process.
        found = re.search(r"^VmHWM:\s+(\d+) kB", status.read_text(), re.MULTILINE)
        if found is not None:
            return int(found[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT
