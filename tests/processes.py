"""Processes as /proc shows them, for tests that look at other processes' children. Linux only."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import anyio

__all__ = ["busy", "children", "gone", "parent"]

POLL_S = 0.01
#: Processor time that only a computation takes, and not the handling of a request.
BUSY_S = 0.1


def children(pid: int) -> list[int]:
    """Return the processes that `pid` has started and that have not ended."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(FileNotFoundError, ProcessLookupError):
            state, its_parent = _stat(int(folder.name))[:2]
            if int(its_parent) == pid and state != "Z":
                found.append(int(folder.name))
    return found


def parent(pid: int) -> int:
    """Return the process that `pid` is a child of."""
    return int(_stat(pid)[1])


async def busy(pid: int) -> None:
    """Return when `pid` has computed for a while from now on."""
    until = _cpu_s(pid) + BUSY_S
    while _cpu_s(pid) < until:  # noqa: ASYNC110 - processor time has no event
        await anyio.sleep(POLL_S)


async def gone(*pids: int) -> None:
    """Return when all of `pids` have ended, waited for by their parents or not."""
    for pid in pids:
        with suppress(ProcessLookupError):
            descriptor = os.pidfd_open(pid)
            try:
                await anyio.wait_readable(descriptor)
            finally:
                os.close(descriptor)


def _cpu_s(pid: int) -> float:
    user, system = _stat(pid)[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the state on."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
