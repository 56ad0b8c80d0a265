"""Processor time and memory of the processes of a run, by role."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Usage", "usage"]

TICKS = os.sysconf("SC_CLK_TCK")
#: A part of the command line, and the role of the process.
ROLES = {
    b"cwt_ingest": "ingest",
    b"cwt_compute": "compute",
    b"cwt_hwbridge": "hwbridge",
    b"nats-server": "server",
    b"benchmarks.live.device": "device",
    b"benchmarks.live.floor": "floor",
}


@dataclass(frozen=True, kw_only=True)
class Usage:
    """Resource usage of one process at one time."""

    role: str
    cpu_s: float
    resident_bytes: int


def usage() -> dict[int, Usage]:
    """Return the usage so far of this process and its descendants, by pid."""
    parents: dict[int, int] = {}
    found: dict[int, Usage] = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            command = (folder / "cmdline").read_bytes()
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            status = (folder / "status").read_text()
        except OSError:
            continue  # the process has ended
        pid = int(folder.name)
        parents[pid] = int(fields[1])
        role = next((name for word, name in ROLES.items() if word in command), None)
        if pid == os.getpid():
            role = "harness"
        if role is not None and "VmRSS:" in status:
            found[pid] = Usage(
                role=role,
                cpu_s=(int(fields[11]) + int(fields[12])) / TICKS,
                resident_bytes=int(status.partition("VmRSS:")[2].split()[0]) * 1024,
            )
    return {pid: each for pid, each in found.items() if _below(pid, parents)}


def _below(pid: int, parents: dict[int, int]) -> bool:
    here = os.getpid()
    while pid not in (here, 0, 1):
        pid = parents.get(pid, 0)
    return pid == here
